//! What a stage was given is reachable from that stage alone.
use rendez::{Context, pattern};

fn main() {
    let ctx = Context::background();
    let mut words = vec!["a", "b"];
    let stream = pattern::generator(&ctx, words);
    words.push("c");
    assert_eq!(stream.iter().count(), 2);
}

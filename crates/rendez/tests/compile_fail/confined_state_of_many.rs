//! Several workers at once may not change what they share.
use rendez::{Context, pattern};

fn main() {
    let ctx = Context::background();
    let mut seen = 0;
    let numbered = pattern::ordered_map(&ctx, pattern::generator(&ctx, ["a", "b"]), 2, move |word| {
        seen += 1;
        (seen, word)
    });
    assert_eq!(numbered.iter().count(), 2);
}

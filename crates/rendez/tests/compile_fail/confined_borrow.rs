//! A stage outlives the function that starts it, so it may not borrow from there.
use rendez::{Context, pattern};

fn main() {
    let ctx = Context::background();
    let mut sum = 0;
    let stream = pattern::map(&ctx, pattern::generator(&ctx, 0..3), |n| {
        sum += n;
        n
    });
    assert_eq!(stream.iter().count(), 3);
    assert_eq!(sum, 3);
}

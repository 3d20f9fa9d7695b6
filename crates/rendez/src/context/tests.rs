//! What only the tree itself knows.

use super::*;

fn children(ctx: &Context) -> usize {
    ctx.repr.cancellable().expect("it can be cancelled").scope().count_children()
}

#[test]
fn children_that_end_in_any_way_leave_their_parent_at_once() {
    let (parent, cancel) = Context::background().with_cancel();
    for _ in 0..1000 {
        let (child, cancel) = parent.with_cancel();
        let (by_time, by_hand) = child.with_timeout(Duration::from_secs(3600));
        assert_eq!((children(&parent), children(&child)), (1, 1));
        drop(by_hand);
        assert!(by_time.err().is_some());
        assert_eq!(children(&child), 0);
        cancel.cancel();
        assert_eq!(children(&parent), 0);
    }
    for _ in 0..1000 {
        let (child, cancel) = parent.with_value(1).with_cancel();
        cancel.detach();
        assert_eq!(children(&parent), 1);
        drop(child);
        assert_eq!(children(&parent), 0);
    }
    let (past, _cancel) = parent.with_deadline(Instant::now());
    assert!(past.err().is_some());
    assert_eq!(children(&parent), 0);
    cancel.cancel();
    let (late, _cancel) = parent.with_cancel();
    assert!(late.err().is_some());
    assert_eq!(children(&parent), 0);
}

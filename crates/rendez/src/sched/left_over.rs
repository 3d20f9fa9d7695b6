//! Which goroutines of a runtime do not end.

use super::Inhabitant;
use crate::time::{Instant, sleep};
use std::time::Duration;

/// How often somebody who waits for goroutines to end looks again, at first and at last.
const LOOK_MIN: Duration = Duration::from_micros(100);
const LOOK_MAX: Duration = Duration::from_millis(10);

/// The goroutines besides the caller that are left in its runtime when for `patience` none has ended and none runs, or when
/// `limit` is over; and how many more there are, which have not started or can't be asked.
pub(crate) fn left_over(patience: Duration, limit: Duration) -> (Vec<Inhabitant>, u64) {
    let runtime = super::current_runtime();
    let me = super::current_id();
    let alone = u64::from(me.is_some());
    let begin = Instant::now();
    let (mut since, mut seen, mut look) = (begin, 0, LOOK_MIN);
    loop {
        let (finished, left) = runtime.counts();
        if left <= alone {
            return (Vec::new(), 0);
        }
        if begin.elapsed() >= limit {
            break;
        }
        if finished != seen || runtime.runs_besides(super::worker_number()) {
            (since, seen, look) = (Instant::now(), finished, LOOK_MIN);
        } else if since.elapsed() >= patience {
            break;
        }
        sleep(look);
        look = (look * 2).min(LOOK_MAX);
    }
    let named: Vec<Inhabitant> = runtime.census().into_iter().filter(|other| Some(other.id) != me).collect();
    // Some may have ended meanwhile.
    let left = runtime.counts().1.saturating_sub(alone);
    let unnamed = left.saturating_sub(super::census::count(&named));
    (named, unnamed)
}

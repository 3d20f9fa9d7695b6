//! 5. RWMutex, beside Mutex.
//!
//! **The notes:** an `RWMutex` lets any number of readers in together as long as nobody writes. Whether that pays is shown by a
//! table: one producer locks five times, so and so many observers lock once each, with a read lock or with the whole one.
//!
//! **In Rust** the two are types, [`RwLock`] and [`Mutex`], and which lock is taken is said by the call: `read` gives a guard that can
//! only be read through. The observers here keep the lock for a moment (they sleep while they hold it), as
//! otherwise there is nothing to gain by being in together.

use std::time::{Duration, Instant};

use rendez::sync::{Mutex, RwLock};
use rendez::{scope, sleep};

use crate::output::{Check, Output, ensure};
use crate::picture::{Lines, draw};

/// For how long an observer looks.
const MOMENT: Duration = Duration::from_micros(20);

pub(crate) fn run(out: &Output) -> Check {
    let mut rows = Vec::new();
    out.say("Readers  RwLock    Mutex");
    for readers in (0..=10).map(|power| 1_usize << power) {
        let (both, alone) = (RwLock::new(0_u64), Mutex::new(0_u64));
        let with_read_lock = measure(
            readers,
            || *both.write() += 1,
            || {
                let seen = both.read();
                sleep(MOMENT);
                *seen
            },
        );
        let with_mutex = measure(
            readers,
            || *alone.lock() += 1,
            || {
                let seen = alone.lock();
                sleep(MOMENT);
                *seen
            },
        );
        ensure(both.into_inner() == 5 && alone.into_inner() == 5, "the producer locks five times")?;
        out.say(format_args!("{readers:>7}  {with_read_lock:<8.0?}  {with_mutex:<8.0?}"));
        rows.push((readers as f64, micros(with_read_lock), micros(with_mutex)));
    }
    let picture = draw(&Lines {
        file: "05-readers",
        title: "Time until all readers have read",
        x: "readers",
        y: "microseconds",
        log_x: true,
        series: &[
            ("RwLock", rows.iter().map(|row| (row.0, row.1)).collect()),
            ("Mutex", rows.iter().map(|row| (row.0, row.2)).collect()),
        ],
    })?;
    out.say(format_args!("drawn in {}", picture.display()));
    let &(_, together, one_by_one) = rows.last().expect("there are rows");
    ensure(together < one_by_one, "a thousand who read together take longer than one by one")?;
    ensure(out.lines().len() == 13, "a head, eleven rows and where the picture is")
}

/// How long a producer and so many observers take.
fn measure(observers: usize, produce: impl Fn() + Sync, observe: impl Fn() -> u64 + Sync) -> Duration {
    let start = Instant::now();
    scope(|s| {
        s.go(|| {
            for _ in 0..5 {
                produce();
                sleep(Duration::from_micros(1));
            }
        });
        for _ in 0..observers {
            s.go(|| assert!(observe() <= 5));
        }
    });
    start.elapsed()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

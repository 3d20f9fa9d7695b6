//! 6. Cond: signal.
//!
//! **The notes:** a `Cond` is where goroutines wait for an event, which says no more than that it has happened. A queue is to hold no
//! more than two; ten items go through it, and whoever takes one out signals that there is room.
//!
//! **In Rust** [`wait`](Cond::wait) borrows the guard for as long as it waits: that the mutex is unlocked meanwhile is in its type, not
//! hidden. [`wait_while`](Cond::wait_while) is the loop around it. Nobody waits without the guard, for there is no other way to call it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rendez::sync::{Cond, Mutex};
use rendez::{scope, sleep};

use crate::output::{Check, Output, ensure};
use crate::picture::{Lines, draw};

pub(crate) fn run(out: &Output) -> Check {
    let (queue, room) = (Mutex::new(Queue::default()), Cond::new());
    let start = Instant::now();
    scope(|s| {
        for item in 0..10 {
            let mut inside = queue.lock();
            room.wait_while(&mut inside, |queue| queue.items.len() == 2);
            inside.items.push_back(item);
            inside.note(start);
            out.say("Enqueue");
            drop(inside);
            s.go(|| {
                sleep(Duration::from_millis(10));
                let mut inside = queue.lock();
                let item = inside.items.pop_front();
                inside.taken.extend(item);
                inside.note(start);
                out.say("Dequeue");
                drop(inside);
                room.signal();
            });
        }
    });
    let Queue { items, taken, lengths } = queue.into_inner();
    ensure(items.is_empty() && taken == (0..10).collect::<Vec<_>>(), "all go through, in order")?;
    ensure(lengths.iter().all(|&(_, length)| length <= 2.0), "more than two were in the queue")?;
    let lines = out.lines();
    ensure(lines[..2] == ["Enqueue", "Enqueue"] && lines[2] == "Dequeue", "the third waits for room")?;
    let picture = draw(&Lines {
        file: "06-queue",
        title: "Length of a queue that holds no more than two",
        x: "milliseconds",
        y: "items",
        log_x: false,
        series: &[("queue", steps(&lengths))],
    })?;
    out.say(format_args!("drawn in {}", picture.display()));
    ensure(lines.len() == 20, "ten in and ten out")
}

#[derive(Default)]
struct Queue {
    items: VecDeque<u32>,
    taken: Vec<u32>,
    /// When it changed (milliseconds), and to what length.
    lengths: Vec<(f64, f64)>,
}

impl Queue {
    fn note(&mut self, start: Instant) {
        self.lengths.push((start.elapsed().as_secs_f64() * 1e3, self.items.len() as f64));
    }
}

/// The corners of a line that keeps its height until it changes.
fn steps(changes: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (mut corners, mut height) = (Vec::new(), 0.0);
    for &(at, to) in changes {
        corners.extend([(at, height), (at, to)]);
        height = to;
    }
    corners
}

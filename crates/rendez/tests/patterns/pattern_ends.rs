//! How the patterns end: by their input, their context, their output or a panic, at whatever moment, and leave nobody behind.
#![cfg(not(loom))]

use crate::{
    setup::{Drops, in_every_world, in_time, in_worlds_of_time, runtime},
    stages::{STAGES, can_leave_its_input, counting, filled, wait_until_let_go},
};
use rendez::{
    CancelFunc, Context, Event, chan,
    chan::{Receiver, Sender},
    go,
    pattern::{self, fan_out, filter, generator, map, or, ordered_map, repeat_with, tee},
    time::Instant,
};
use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

fn cancellable() -> (Context, CancelFunc) {
    Context::background().with_cancel()
}

/// Nothing more comes out.
fn ends<T>(output: &Receiver<T>) {
    output.iter().for_each(drop);
}

#[test]
fn a_cancelled_stage_that_waits_for_its_input_lets_go_of_both_ends() {
    in_every_world(|| {
        for stage in STAGES.iter().filter(|stage| can_leave_its_input(stage)) {
            let (ctx, cancel) = cancellable();
            let (tx, rx) = chan::bounded(0);
            let output = (stage.start)(&ctx, rx);
            tx.send(7).unwrap();
            assert_eq!(output.recv(), Ok(7), "{}", stage.name);
            cancel.cancel();
            ends(&output);
            wait_until_let_go(&tx);
        }
    });
}

#[test]
fn a_cancelled_stage_that_waits_for_its_output_lets_go_of_both_ends() {
    in_every_world(|| {
        for stage in STAGES {
            let (ctx, cancel) = cancellable();
            let (numbers, source_ended) = counting();
            let output = (stage.start)(&ctx, numbers);
            assert!(output.recv().is_ok(), "{}", stage.name);
            cancel.cancel();
            ends(&output);
            ends(&source_ended);
        }
    });
}

#[test]
fn a_stage_of_a_context_that_has_ended_ends_at_once() {
    in_every_world(|| {
        for stage in STAGES.iter().filter(|stage| can_leave_its_input(stage)) {
            let (ctx, cancel) = cancellable();
            cancel.cancel();
            let (tx, rx) = chan::bounded(0);
            assert!((stage.start)(&ctx, rx).recv().is_err(), "{}", stage.name);
            wait_until_let_go(&tx);
        }
    });
}

#[test]
fn a_stage_ends_by_a_deadline_as_by_a_cancel() {
    in_worlds_of_time(|clock| {
        let limit = std::time::Duration::from_millis(2);
        for stage in STAGES.iter().filter(|stage| can_leave_its_input(stage)) {
            let start = Instant::now();
            let (ctx, _cancel) = Context::background().with_timeout(limit);
            let (tx, rx) = chan::bounded(0);
            assert!((stage.start)(&ctx, rx).recv().is_err(), "{}", stage.name);
            wait_until_let_go(&tx);
            clock.has_passed(start, limit);
        }
    });
}

#[test]
fn a_stage_whose_output_is_dropped_ends_though_its_input_is_silent() {
    in_every_world(|| {
        for stage in STAGES.iter().filter(|stage| can_leave_its_input(stage)) {
            let (tx, rx) = chan::bounded(0);
            let output = (stage.start)(&Context::background(), rx);
            tx.send(7).unwrap();
            assert_eq!(output.recv(), Ok(7), "{}", stage.name);
            drop(output);
            wait_until_let_go(&tx);
        }
    });
}

#[test]
fn a_stage_whose_output_is_dropped_while_it_waits_to_send_ends() {
    in_every_world(|| {
        for stage in STAGES {
            let (numbers, source_ended) = counting();
            let output = (stage.start)(&Context::background(), numbers);
            assert!(output.recv().is_ok(), "{}", stage.name);
            drop(output);
            ends(&source_ended);
        }
    });
}

#[test]
fn dropping_the_last_output_ends_a_whole_chain() {
    in_every_world(|| {
        let (mut stream, source_ended) = counting();
        for stage in STAGES {
            stream = (stage.start)(&Context::background(), stream);
        }
        assert!(stream.recv().is_ok());
        drop(stream);
        ends(&source_ended);
    });
}

#[test]
fn a_chain_is_cancelled_at_any_moment() {
    in_time(|| {
        runtime(2).run(|| {
            for moment in 0..STAGES.len() * 12 {
                let (ctx, cancel) = cancellable();
                let (mut stream, source_ended) = counting();
                for step in 0..4 {
                    stream = (STAGES[(moment + step * 5) % STAGES.len()].start)(&ctx, stream);
                }
                let canceller = go(move || {
                    (0..moment * 3).for_each(|_| rendez::yield_now());
                    cancel.cancel();
                });
                ends(&stream);
                canceller.join().unwrap();
                ends(&source_ended);
            }
        });
    });
}

#[test]
fn nobody_takes_more_than_it_must_from_its_input_while_nobody_receives() {
    in_time(|| {
        runtime(1).run(|| {
            for stage in STAGES {
                let made = Arc::new(AtomicUsize::new(0));
                let count = made.clone();
                let source = repeat_with(&Context::background(), move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    0
                });
                let _output = (stage.start)(&Context::background(), source);
                (0..300).for_each(|_| rendez::yield_now());
                let made = made.load(Ordering::Relaxed);
                // One in the stage's hands, and one on offer at the source.
                assert!(made <= stage.ahead + 2, "{}: {made}", stage.name);
            }
        });
    });
}

#[test]
fn what_a_stage_was_given_is_dropped_when_it_ends_and_so_are_the_values() {
    in_time(|| {
        let (functions, values) = (Drops::default(), Drops::default());
        let made = Arc::new(AtomicUsize::new(0));
        {
            let (functions, values, made) = (functions.clone(), values.clone(), made.clone());
            runtime(2).run(move || {
                let (ctx, cancel) = cancellable();
                let token = functions.token();
                let source = repeat_with(&ctx, move || {
                    let _ = &token;
                    made.fetch_add(1, Ordering::Relaxed);
                    values.token()
                });
                let token = functions.token();
                let mapped = map(&ctx, source, move |value| {
                    let _ = &token;
                    value
                });
                let token = functions.token();
                let kept = filter(&ctx, mapped, move |_| {
                    let _ = &token;
                    true
                });
                let token = functions.token();
                let ordered = ordered_map(&ctx, kept, 3, move |value| {
                    let _ = &token;
                    value
                });
                let token = functions.token();
                let outputs = fan_out(&ctx, ordered, 3, move |value| {
                    let _ = &token;
                    value
                });
                let all = pattern::buffer(&ctx, pattern::fan_in(&ctx, outputs), 5);
                all.iter().take(20).for_each(drop);
                cancel.cancel();
                ends(&all);
                crate::setup::wait_until(|| functions.count() == 5);
            });
        }
        assert_eq!(values.count(), made.load(Ordering::Relaxed));
    });
}

#[test]
fn a_tee_of_which_nobody_reads_any_more_ends() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded(0);
        let (left, right) = tee(&Context::background(), rx);
        tx.send(1).unwrap();
        assert_eq!(right.recv(), Ok(1));
        drop(right);
        assert_eq!(left.recv(), Ok(1));
        drop(left);
        wait_until_let_go(&tx);
    });
}

#[test]
fn a_bridge_ends_between_two_channels_as_within_one() {
    in_every_world(|| {
        for drops in [false, true] {
            let (ctx, cancel) = cancellable();
            let ((pages_in, pages), (tx, page)) = (chan::bounded(0), chan::bounded(0));
            let values = pattern::bridge(&ctx, pages);
            pages_in.send(page).unwrap();
            tx.send(1).unwrap();
            assert_eq!(values.recv(), Ok(1));
            // There may be more on this page, and more pages.
            if drops {
                drop(values);
            } else {
                cancel.cancel();
                ends(&values);
            }
            wait_until_let_go(&tx);
            wait_until_let_go(&pages_in);
        }
    });
}

#[test]
fn an_or_whose_result_is_dropped_lets_go_of_its_signals() {
    in_every_world(|| {
        let (senders, signals): (Vec<Sender<_>>, Vec<_>) = (0..10).map(|_| chan::bounded(0)).unzip();
        drop(or(signals));
        senders.iter().for_each(wait_until_let_go);
    });
}

#[test]
fn a_worker_of_fan_out_whose_output_is_dropped_leaves_the_values_to_the_others() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded(0);
        let mut outputs = fan_out(&Context::background(), rx.clone(), 2, |n| n);
        drop(outputs.remove(0));
        // It waits for its input and has nothing in hand; after a moment only one is left.
        let other = outputs.remove(0);
        let sent = go(move || (0..10).filter(|&n| tx.send(n).is_ok()).count());
        drop(rx);
        let received = other.iter().count();
        assert!((9..=10).contains(&received), "one may have been in the hands of the first: {received}");
        assert_eq!(sent.join().unwrap(), 10);
    });
}

/// A stage that panics at this value.
type FailingAt = fn(u64, Receiver<u64>) -> Receiver<u64>;

// A payload that the panic hook does not see.
fn fail() -> ! {
    resume_unwind(Box::new("on purpose"))
}

#[test]
fn a_panic_in_a_function_ends_its_stage_after_the_values_before_it_at_every_position() {
    in_time(|| {
        runtime(2).run(|| {
            for position in [0, 1, 2, 13] {
                let starts: [FailingAt; 4] = [
                    |at, rx| map(&Context::background(), rx, move |n| if n == at { fail() } else { n }),
                    |at, rx| filter(&Context::background(), rx, move |&n| n != at || fail()),
                    |at, rx| {
                        generator(
                            &Context::background(),
                            rx.into_iter().map(move |n| if n == at { fail() } else { n }),
                        )
                    },
                    |at, rx| {
                        fan_out(&Context::background(), rx, 1, move |n| if n == at { fail() } else { n })
                            .remove(0)
                    },
                ];
                for start in starts {
                    let (numbers, source_ended) = counting();
                    let output = start(position, numbers);
                    assert_eq!(output.iter().collect::<Vec<_>>(), (0..position).collect::<Vec<_>>());
                    ends(&source_ended);
                }
            }
        });
    });
}

#[test]
fn a_panic_in_ordered_map_ends_it_before_the_value_that_is_missing() {
    in_time(|| {
        runtime(2).run(|| {
            for workers in [1, 2, 5] {
                for position in [0, 1, 7, 40] {
                    let (numbers, source_ended) = counting();
                    let output = ordered_map(&Context::background(), numbers, workers, move |n| {
                        if n == position { fail() } else { n }
                    });
                    let seen: Vec<_> = output.iter().collect();
                    assert!(seen.len() as u64 <= position, "{seen:?}");
                    assert_eq!(seen, (0..seen.len() as u64).collect::<Vec<_>>());
                    ends(&source_ended);
                }
            }
        });
    });
}

#[test]
fn a_panic_in_one_worker_of_fan_out_leaves_the_others_at_work() {
    in_time(|| {
        runtime(2).run(|| {
            let outputs =
                fan_out(&Context::background(), filled(0..50_u64), 3, |n| if n == 20 { fail() } else { n });
            let mut seen: Vec<_> = pattern::fan_in(&Context::background(), outputs).iter().collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..50).filter(|&n| n != 20).collect::<Vec<_>>());
        });
    });
}

#[test]
fn a_panic_in_a_clone_ends_a_tee() {
    struct Fragile(u64);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            if self.0 == 2 { fail() } else { Fragile(self.0) }
        }
    }
    in_time(|| {
        runtime(2).run(|| {
            let (numbers, source_ended) = counting();
            let fragile = map(&Context::background(), numbers, Fragile);
            let (left, right) = tee(&Context::background(), fragile);
            for n in 0..2 {
                assert_eq!((left.recv().unwrap().0, right.recv().unwrap().0), (n, n));
            }
            assert!(left.recv().is_err() && right.recv().is_err());
            ends(&source_ended);
        });
    });
}

#[test]
fn a_shutdown_ends_all_stages() {
    in_time(|| {
        let functions = Drops::default();
        let token = functions.token();
        let stream = runtime(2).run(move || {
            let (mut stream, _source_ended) = counting();
            for stage in STAGES {
                stream = (stage.start)(&Context::background(), stream);
            }
            map(&Context::background(), stream, move |n| {
                let _ = &token;
                n
            })
        });
        // The runtime has gone.
        ends(&stream);
        assert_eq!(functions.count(), 1);
    });
}

#[test]
fn a_senders_closed_event_happens_once_nobody_can_receive_and_in_every_world() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded::<i32>(1);
        assert!(tx.closed_event().wait_timeout(std::time::Duration::ZERO).is_none());
        let watchers: Vec<_> = (0..40)
            .map(|n| {
                let tx = tx.clone();
                match n % 2 {
                    0 => go(move || tx.closed_event().wait()),
                    _ => rendez::go_async(async move { tx.closed_event().wait_async().await }),
                }
            })
            .collect();
        rendez::yield_now();
        drop(rx);
        watchers.into_iter().for_each(|watcher| watcher.join().unwrap());
        tx.closed_event().wait();
        let (tx, rx) = chan::bounded::<i32>(1);
        rx.close();
        tx.closed_event().wait();
    });
}

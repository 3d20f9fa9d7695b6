//! The patterns that mind the time, errors or failures: batch, rate limit, heartbeat, replicated requests, supervisor.
#![cfg(not(loom))]

use crate::{
    setup::{in_every_world, in_time, in_worlds_of_time, runtime, text},
    stages::{counting, filled, wait_until_let_go},
};
use rendez::{
    Context, ContextError, Event, chan, go,
    pattern::{
        Failure, Pulse, RateLimit, ReplicateError, Supervisor, SupervisorError, batch, collect_all,
        generator, heartbeat, rate_limit, replicate, replicate_async, split_errors, try_map, until_error,
    },
    time::{Instant, timer},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

fn background() -> Context {
    Context::background()
}

// ---- batch ----

#[test]
fn a_batch_is_passed_on_when_it_is_full_and_the_last_at_the_end() {
    in_every_world(|| {
        for patience in [LONG, Duration::MAX] {
            for (count, size) in [(0, 3), (1, 3), (3, 3), (10, 3), (10, 1), (2, 100)] {
                let batches: Vec<Vec<usize>> =
                    batch(&background(), generator(&background(), 0..count), size, patience).iter().collect();
                let all: Vec<usize> = (0..count).collect();
                assert_eq!(batches, all.chunks(size).collect::<Vec<_>>());
            }
        }
    });
}

#[test]
fn a_batch_that_is_not_full_is_passed_on_when_its_first_value_has_waited() {
    in_worlds_of_time(|clock| {
        let (tx, rx) = chan::bounded(0);
        let batches = batch(&background(), rx, 100, SHORT);
        for round in 0..3 {
            let start = Instant::now();
            tx.send(round).unwrap();
            assert_eq!(batches.recv().unwrap(), [round]);
            clock.has_passed(start, SHORT);
        }
        // No values, no batches.
        assert!(batches.recv_timeout(SHORT * 2).is_err());
        drop(tx);
        assert!(batches.recv().is_err());
    });
}

#[test]
fn a_batch_that_waits_ends_with_its_context_or_its_output() {
    in_every_world(|| {
        let (ctx, cancel) = background().with_cancel();
        let (tx, rx) = chan::bounded(0);
        let batches = batch(&ctx, rx, 100, LONG);
        tx.send(1).unwrap();
        cancel.cancel();
        assert!(batches.recv().is_err());
        wait_until_let_go(&tx);

        let (tx, rx) = chan::bounded(0);
        let batches = batch(&background(), rx, 100, LONG);
        tx.send(1).unwrap();
        drop(batches);
        wait_until_let_go(&tx);
    });
}

// ---- errors ----

#[test]
fn errors_are_passed_on_in_their_places_or_end_the_stream_or_have_their_own() {
    in_every_world(|| {
        let results = || filled([Ok(1), Err("a"), Ok(2), Err("b"), Ok(3)]);
        let (ctx, twice) = (background(), |n: i32| if n == 2 { Err("two") } else { Ok(n * 2) });
        let carried: Vec<_> = try_map(&ctx, results(), twice).iter().collect();
        assert_eq!(carried, [Ok(2), Err("a"), Err("two"), Err("b"), Ok(6)]);
        assert_eq!(until_error(&ctx, results()).iter().collect::<Vec<_>>(), [Ok(1), Err("a")]);
        assert_eq!(collect_all(results()), (vec![1, 2, 3], vec!["a", "b"]));
        let (values, errors) = split_errors(&ctx, results());
        let log = go(move || errors.iter().collect::<Vec<_>>());
        assert_eq!(values.iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(log.join().unwrap(), ["a", "b"]);
    });
}

#[test]
fn the_first_error_lets_go_of_what_would_come_after_it() {
    in_every_world(|| {
        let (numbers, source_ended) = counting();
        let results = try_map(&background(), generator(&background(), numbers.into_iter().map(Ok)), |n| {
            if n < 5 { Ok(n) } else { Err(n) }
        });
        let all: Result<Vec<_>, _> = until_error(&background(), results).iter().collect();
        assert_eq!(all, Err(5));
        assert!(source_ended.recv().is_err());
    });
}

#[test]
fn of_split_errors_one_side_may_be_dropped_and_both_end_it() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded(0);
        let (values, errors) = split_errors(&background(), rx);
        drop(errors);
        tx.send(Err("nobody reads it")).unwrap();
        tx.send(Ok(1)).unwrap();
        assert_eq!(values.recv(), Ok(1));
        drop(values);
        wait_until_let_go(&tx);
    });
}

// ---- rate limit ----

#[test]
fn no_more_pass_than_the_bucket_holds_and_gets() {
    in_worlds_of_time(|clock| {
        let (every, start) = (Duration::from_millis(1), Instant::now());
        let passed = rate_limit(&background(), generator(&background(), 0..8_u32), 3, every);
        let times: Vec<_> = passed.iter().map(|n| (n, Instant::now())).collect();
        assert_eq!(times.len(), 8);
        for (n, at) in times {
            clock.meets(at, start + every * n.saturating_sub(2));
        }
    });
}

#[test]
fn several_share_one_bucket_and_a_wait_that_is_given_up_costs_no_token() {
    in_worlds_of_time(|clock| {
        let limit = Arc::new(RateLimit::new(1, SHORT));
        assert!(limit.try_take());
        let (ctx, cancel) = background().with_cancel();
        let slow = Arc::new(RateLimit::new(1, LONG));
        assert!(slow.try_take() && !slow.try_take());
        let waiter = go({
            let slow = slow.clone();
            move || slow.wait(&ctx)
        });
        cancel.cancel();
        assert_eq!(waiter.join().unwrap(), Err(ContextError::Canceled));
        assert!(!slow.try_take());

        let start = Instant::now();
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let limit = limit.clone();
                go(move || limit.wait(&background()).unwrap())
            })
            .collect();
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        // Three after the first one; where the clock goes meanwhile, the bucket was made before `start`.
        let waited = if clock.is_virtual() { SHORT * 3 } else { SHORT * 2 };
        clock.has_passed(start, waited);
    });
}

#[test]
fn a_bucket_fills_up_to_its_burst_and_no_further() {
    in_worlds_of_time(|clock| {
        let limit = RateLimit::new(2, SHORT);
        rendez::sleep(SHORT * 5);
        let start = Instant::now();
        assert!(limit.try_take() && limit.try_take());
        let third = limit.try_take();
        if clock.is_virtual() {
            assert!(!third);
        } else {
            assert!(!third || start.elapsed() >= SHORT, "it was not for the time since");
        }
    });
}

// ---- heartbeat ----

#[test]
fn a_heart_beats_while_its_stage_waits_for_input_or_output_and_passes_the_values_on() {
    in_worlds_of_time(|clock| {
        let (every, start) = (Duration::from_micros(500), Instant::now());
        let (tx, rx) = chan::bounded(0);
        let (values, beats) = heartbeat(&background(), rx, every);
        assert_eq!(beats.iter().take(3).count(), 3, "it waits for its input");
        // One may lie ready while the next comes.
        clock.has_passed(start, every * 3);
        tx.send(7).unwrap();
        assert_eq!(beats.iter().take(3).count(), 3, "it waits for its output");
        assert_eq!(values.recv(), Ok(7));
        drop(beats);
        let sender = go(move || (0..3).for_each(|n| tx.send(n).unwrap()));
        assert_eq!(values.iter().collect::<Vec<_>>(), [0, 1, 2], "without listeners, too");
        sender.join().unwrap();
    });
}

#[test]
fn a_heart_stops_with_its_stage() {
    in_every_world(|| {
        let (ctx, cancel) = background().with_cancel();
        let (tx, rx) = chan::bounded::<i32>(0);
        let (values, beats) = heartbeat(&ctx, rx, SHORT);
        cancel.cancel();
        beats.iter().for_each(drop);
        assert!(values.recv().is_err());
        wait_until_let_go(&tx);
    });
}

#[test]
fn beats_that_nobody_takes_do_not_pile_up() {
    let (pulse, beats) = Pulse::new();
    (0..100).for_each(|_| pulse.clone().beat());
    assert_eq!(beats.len(), 1);
}

// ---- replicated requests ----

#[test]
fn the_first_answer_wins_and_the_others_are_cancelled() {
    in_every_world(|| {
        let (told, tells) = chan::unbounded();
        let answer = replicate(&background(), 4, move |ctx, copy| {
            if copy == 2 {
                return Ok::<_, ContextError>("the answer");
            }
            let error = ctx.wait();
            told.send((copy, error)).unwrap();
            Err(error)
        });
        assert_eq!(answer, Ok("the answer"));
        let mut others: Vec<_> = tells.iter().collect();
        others.sort_by_key(|other| other.0);
        assert_eq!(others, [0, 1, 3].map(|copy| (copy, ContextError::Canceled)));
    });
}

#[test]
fn an_error_is_no_answer_unless_there_is_no_other() {
    in_every_world(|| {
        let answer = replicate(&background(), 3, |_, copy| if copy == 1 { Ok(1) } else { Err(copy) });
        assert_eq!(answer, Ok(1));
        match replicate(&background(), 3, |_, copy| Err::<(), _>(copy)) {
            Err(ReplicateError::Failed(mut errors)) => {
                errors.sort_unstable();
                assert_eq!(errors, [0, 1, 2]);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            replicate(&background(), 0, |_, _| Err::<(), ()>(())),
            Err(ReplicateError::Failed(vec![]))
        );
    });
}

#[test]
fn without_an_answer_a_panic_of_a_copy_goes_on_and_with_one_it_does_not() {
    in_time(|| {
        runtime(2).run(|| {
            let ask = |wins: usize| {
                replicate(&background(), 3, move |_, copy| match copy {
                    0 => resume_unwind(Box::new("on purpose")),
                    _ if copy == wins => Ok(()),
                    _ => Err("no"),
                })
            };
            assert_eq!(ask(2), Ok(()));
            assert_eq!(text(catch_unwind(AssertUnwindSafe(|| ask(9))).unwrap_err()), "on purpose");
        });
    });
}

#[test]
fn the_end_of_the_context_or_of_the_future_cancels_all_copies() {
    in_worlds_of_time(|clock| {
        let (told, tells) = chan::unbounded();
        let request = move |ctx: &Context, _| {
            let error = ctx.wait();
            told.send(error).unwrap();
            Err::<(), _>(error)
        };
        let start = Instant::now();
        let (ctx, _cancel) = background().with_timeout(SHORT);
        let answer = replicate(&ctx, 3, request.clone());
        // Either it sees the end itself, or first that of all copies.
        match answer {
            Err(ReplicateError::Ended(error)) => assert_eq!(error, ContextError::DeadlineExceeded),
            Err(ReplicateError::Failed(errors)) => assert_eq!(errors.len(), 3),
            Ok(()) => panic!("nobody answers"),
        }
        assert_eq!(tells.iter().take(3).collect::<Vec<_>>(), [ContextError::DeadlineExceeded; 3]);
        clock.has_passed(start, SHORT);
        drop(replicate_async(&background(), 2, request));
        assert_eq!(tells.iter().collect::<Vec<_>>(), [ContextError::Canceled; 2]);
    });
}

// ---- supervisor ----

fn quick() -> Supervisor {
    Supervisor::new().back_off(Duration::from_micros(100), Duration::from_millis(1))
}

#[test]
fn work_is_started_again_after_an_error_or_a_panic_until_it_is_done() {
    in_every_world(|| {
        let starts = Arc::new(AtomicUsize::new(0));
        let count = starts.clone();
        let supervised =
            quick().run(&background(), move |_, _| match count.fetch_add(1, Ordering::Relaxed) {
                0 | 2 => Err("no"),
                1 => resume_unwind(Box::new("on purpose")),
                _ => Ok(()),
            });
        assert!(supervised.is_ok());
        assert_eq!(starts.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn a_supervisor_gives_up_after_too_many_failures_and_says_how_the_last_was() {
    in_every_world(|| {
        let error = quick().limit(2, LONG).run(&background(), |_, _| Err::<(), _>("no")).unwrap_err();
        assert_eq!(error.to_string(), "given up after 3 starts: no");
        let panics = |_: &Context, _: &Pulse| -> Result<(), &str> { resume_unwind(Box::new("on purpose")) };
        let error = quick().limit(0, LONG).run(&background(), panics).unwrap_err();
        assert_eq!(error.to_string(), "given up after 1 starts: it panicked: on purpose");
    });
}

#[test]
fn failures_that_are_long_ago_do_not_count() {
    in_worlds_of_time(|_| {
        let starts = AtomicUsize::new(0);
        // Each failure is forgotten before the next.
        let supervisor = quick().limit(1, Duration::from_micros(50));
        let supervised = supervisor.run(&background(), move |_, _| {
            rendez::sleep(Duration::from_micros(200));
            if starts.fetch_add(1, Ordering::Relaxed) < 10 { Err("again") } else { Ok(()) }
        });
        assert!(supervised.is_ok());
    });
}

#[test]
fn work_that_falls_silent_is_cancelled_and_started_again() {
    in_worlds_of_time(|clock| {
        let starts = Arc::new(AtomicUsize::new(0));
        let (told, tells) = chan::unbounded();
        let count = starts.clone();
        // By the clock of a busy machine the second run may be taken for silent as well, and is begun anew.
        let supervisor = quick().limit(1000, LONG).silence(Duration::from_millis(20));
        supervisor
            .run(&background(), move |ctx, pulse| {
                if count.fetch_add(1, Ordering::Relaxed) == 0 {
                    let start = Instant::now();
                    told.send(ctx.wait()).unwrap();
                    clock.has_passed(start, Duration::from_millis(20));
                    return Err("cancelled");
                }
                // This one takes longer than the limit, but says that it is alive.
                for _ in 0..10 {
                    rendez::sleep(Duration::from_millis(3));
                    pulse.beat();
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(tells.recv(), Ok(ContextError::Canceled));
        let starts = starts.load(Ordering::Relaxed);
        assert!(starts == 2 || starts > 2 && !clock.is_virtual(), "{starts}");
    });
}

#[test]
fn the_end_of_the_context_ends_work_and_supervision() {
    in_every_world(|| {
        let (ctx, cancel) = background().with_cancel();
        let (started, is_started) = chan::bounded(1);
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        let supervised = go(move || {
            quick().run(&ctx, move |ctx, _| {
                started.send(()).unwrap();
                let error = ctx.wait();
                count.fetch_add(1, Ordering::SeqCst);
                Err(error)
            })
        });
        is_started.recv().unwrap();
        cancel.cancel();
        match supervised.join().unwrap() {
            Err(SupervisorError::Ended(ContextError::Canceled)) => {}
            // It may have seen the work's error first, and the context's end in the pause after it.
            other => panic!("{other:?}"),
        }
        assert_eq!(ended.load(Ordering::SeqCst), 1, "it has waited for the work");
    });
}

#[test]
fn in_the_pause_after_a_failure_the_context_is_heeded() {
    in_every_world(|| {
        let (ctx, cancel) = background().with_cancel();
        let (failed, has_failed) = chan::bounded(1);
        let supervised = go(move || {
            Supervisor::new().back_off(LONG, LONG).run(&ctx, move |_, _| {
                failed.send(()).unwrap();
                Err("no")
            })
        });
        has_failed.recv().unwrap();
        cancel.cancel();
        assert!(matches!(supervised.join().unwrap(), Err(SupervisorError::Ended(_))));
    });
}

#[test]
fn a_failure_tells_what_it_was() {
    assert_eq!(Failure::Error("no").to_string(), "no");
    assert_eq!(Failure::<&str>::Silent.to_string(), "it gave no sign of life");
    assert!(timer(LONG).wait_timeout(Duration::ZERO).is_none());
}

//! `Pipeline`: what comes out, how it ends, and what its report says.
#![cfg(not(loom))]

use crate::{
    setup::{Drops, in_every_world, in_time, in_worlds_of_time, runtime, text},
    stages::{counting, wait_until_let_go},
};
use rendez::{
    Context, ContextError, chan,
    pattern::{Pipeline, PipelineError, Run},
    sleep,
    time::Instant,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

fn background() -> Context {
    Context::background()
}

/// A pipeline with every kind of stage; it drops a quarter of the values and sends the others in batches.
fn with_every_stage(
    values: impl Iterator<Item = u64> + Send + 'static,
    workers: usize,
) -> Pipeline<Vec<u64>> {
    Pipeline::from(values)
        .map(workers, |n| n + 1)
        .filter(|n| !n.is_multiple_of(4))
        .flat_map(Some)
        .buffer(3)
        .try_map(workers, |n| n.checked_mul(2).ok_or("too large"))
        .map_with(workers, Vec::new, |seen, n| {
            seen.push(n);
            n
        })
        .batch(5, Duration::from_secs(3600))
        .buffer(1)
}

#[test]
fn all_values_come_out_in_order_whatever_the_parallelism() {
    in_every_world(|| {
        for workers in [1, 3] {
            for count in [0, 1, 2, 103] {
                let run = with_every_stage(0..count, workers).run(&background());
                let (batches, report) = run.collect().unwrap();
                let expected: Vec<u64> =
                    (1..=count).filter(|n| !n.is_multiple_of(4)).map(|n| n * 2).collect();
                assert!(batches.iter().rev().skip(1).all(|batch| batch.len() == 5));
                assert_eq!(batches.concat(), expected);
                assert_eq!(report.stages.first().unwrap().sent, count);
                assert_eq!(report.stages.last().unwrap().received, expected.len() as u64);
                assert_eq!(report.stages.last().unwrap().sent, batches.len() as u64);
            }
        }
    });
}

#[test]
fn very_many_values_come_out() {
    let count = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
    in_time(move || {
        runtime(2).run(|| {
            let (mut next, mut batches) = (1, 0);
            let run = Pipeline::from(0..count).map(2, |n| n + 1).batch(10, Duration::MAX).run(&background());
            run.for_each(|batch| {
                batches += 1;
                for n in batch {
                    assert_eq!(n, next);
                    next += 1;
                }
            })
            .unwrap();
            assert_eq!((next, batches), (count + 1, count / 10));
        });
    });
}

#[test]
fn unordered_stages_lose_nothing() {
    in_every_world(|| {
        let run = Pipeline::from(0..50_u64)
            .map_unordered(3, |n| n + 1)
            .try_map_unordered(3, |n| Ok::<_, &str>(n - 1))
            .run(&background());
        let mut values = run.collect().unwrap().0;
        values.sort_unstable();
        assert_eq!(values, (0..50).collect::<Vec<_>>());
    });
}

#[test]
fn one_value_becomes_many_which_are_made_as_they_are_taken() {
    in_time(|| {
        runtime(2).run(|| {
            let (made, iterators) = (Arc::new(AtomicUsize::new(0)), Drops::default());
            let (count, held) = (made.clone(), iterators.clone());
            let many = move |n: usize| {
                let (count, token) = (count.clone(), held.token());
                (0..n).map(move |i| {
                    let _ = &token;
                    count.fetch_add(1, Ordering::SeqCst);
                    (n, i)
                })
            };
            let run = Pipeline::from([0, 2, 0, 1_000_000]).flat_map(many).named("many").run(&background());
            let first: Vec<_> = run.output().iter().take(4).collect();
            assert_eq!(first, [(2, 0), (2, 1), (1_000_000, 0), (1_000_000, 1)]);
            let report = run.finish().unwrap();
            let many = &report.stages[1];
            assert_eq!((many.name.as_str(), many.received), ("many", 4));
            assert!(
                (3..=4).contains(&many.sent),
                "{}: the last may have been taken as the reader went",
                many.sent
            );
            let made = made.load(Ordering::SeqCst);
            assert!((4..=5).contains(&made), "{made}: one more may wait to be taken");
            assert_eq!(iterators.count(), 4, "the one in the midst of which it ended, too");
        });
    });
}

#[test]
fn a_channel_may_be_the_source_and_the_whole() {
    in_every_world(|| {
        assert_eq!(
            Pipeline::from(crate::stages::filled([1, 2])).run(&background()).collect().unwrap().0,
            [1, 2]
        );
        let buffered =
            Pipeline::from(crate::stages::filled([1, 2])).buffer(2).named("nothing").map(1, |n| n + 1);
        assert_eq!(buffered.run(&background()).collect().unwrap().0, [2, 3]);
        // With nothing else in it, it still heeds its context and its reader.
        let (ctx, cancel) = background().with_cancel();
        let (tx, rx) = chan::bounded::<i32>(0);
        let run = Pipeline::from(rx.clone()).run(&ctx);
        cancel.cancel();
        assert_eq!(run.output().iter().count(), 0);
        drop(run);
        let run = Pipeline::from(rx).run(&background());
        drop(run);
        wait_until_let_go(&tx);
    });
}

fn finish_in_any_way<T>(run: Run<T>, way: usize) -> Result<rendez::pattern::Report, PipelineError> {
    match way % 2 {
        0 => run.finish(),
        _ => rendez::block_on(run.finish_async()),
    }
}

#[test]
fn the_first_error_ends_every_stage_and_is_what_finish_returns() {
    in_every_world(|| {
        for workers in [1, 3] {
            for ordered in [true, false] {
                let (numbers, source_ended) = counting();
                let before = Pipeline::from(numbers).map(workers, |n| n);
                let fails = |n: u64| if n == 20 { Err(format!("no {n}")) } else { Ok(n) };
                let failing = match ordered {
                    true => before.try_map(workers, fails),
                    false => before.try_map_unordered(workers, fails),
                };
                let run = failing.map(workers, |n| n).run(&background());
                let seen: Vec<u64> = run.output().iter().collect();
                // (Without an order, others go on while whoever has that number does not get to run. But the numbers have no end.)
                assert!(!seen.contains(&20), "{seen:?}");
                if ordered {
                    assert_eq!(seen, (0..seen.len() as u64).collect::<Vec<_>>());
                }
                match finish_in_any_way(run, workers) {
                    Err(PipelineError::Failed(error)) => assert_eq!(error.to_string(), "no 20"),
                    other => panic!("{other:?}"),
                }
                assert!(source_ended.recv().is_err());
            }
        }
    });
}

#[test]
fn the_end_of_the_context_ends_every_stage_and_is_told_unless_all_was_done() {
    in_every_world(|| {
        for workers in [1, 3] {
            let (ctx, cancel) = background().with_cancel();
            let run = with_every_stage(0.., workers).run(&ctx);
            assert!(run.output().recv().is_ok());
            cancel.cancel();
            run.output().iter().for_each(drop);
            match finish_in_any_way(run, workers) {
                Err(PipelineError::Ended(error)) => assert_eq!(error, ContextError::Canceled),
                other => panic!("{other:?}"),
            }

            let (ctx, cancel) = background().with_cancel();
            let run = with_every_stage(0..10, workers).run(&ctx);
            assert_eq!(run.output().iter().flatten().count(), 8);
            let run_is_over = || run.report().stages.iter().all(|stage| stage.sent > 0);
            crate::setup::wait_until(run_is_over);
            assert!(run.finish().is_ok());
            cancel.cancel();
        }
    });
}

#[test]
fn a_reader_that_has_enough_ends_every_stage_which_is_no_error() {
    in_every_world(|| {
        for workers in [1, 3] {
            let (numbers, source_ended) = counting();
            let run = Pipeline::from(numbers).map(workers, |n| n).filter(|_| true).run(&background());
            assert_eq!(run.output().iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
            let report = finish_in_any_way(run, workers).unwrap();
            assert_eq!(report.stages.len(), 2);
            assert!(source_ended.recv().is_err());

            let (numbers, source_ended) = counting();
            drop(Pipeline::from(numbers).map(workers, |n| n).run(&background()));
            assert!(source_ended.recv().is_err(), "a run that is dropped ends as well");
        }
    });
}

#[test]
fn a_panic_in_a_stage_comes_out_of_finish_when_all_have_ended() {
    fn fail() -> ! {
        resume_unwind(Box::new("on purpose".to_string()))
    }
    in_time(|| {
        runtime(2).run(|| {
            for position in 0..6 {
                for workers in [1, 3] {
                    let functions = Drops::default();
                    let (token, (numbers, source_ended)) = (functions.token(), counting());
                    let at = move |place, n: u64| if place == position && n == 10 { fail() } else { n };
                    let run = Pipeline::from(numbers.into_iter().map(move |n| at(0, n)))
                        .map(workers, move |n| at(1, n))
                        .map_unordered(workers, move |n| at(2, n))
                        .filter(move |&n| at(3, n) == n)
                        .flat_map(move |n| std::iter::once_with(move || at(5, n)))
                        .try_map(workers, move |n| {
                            let _ = &token;
                            Ok::<_, &str>(at(4, n))
                        })
                        .run(&background());
                    let seen = run.output().iter().count();
                    assert!(seen < 30, "{seen}");
                    let panic = catch_unwind(AssertUnwindSafe(|| finish_in_any_way(run, workers)));
                    assert_eq!(text(panic.unwrap_err()), "on purpose");
                    assert_eq!(functions.count(), 1, "all have ended");
                    assert!(source_ended.recv().is_err());
                }
            }
        });
    });
}

#[test]
fn a_panic_of_whoever_reads_ends_the_stages() {
    in_time(|| {
        runtime(2).run(|| {
            let (numbers, source_ended) = counting();
            let run = Pipeline::from(numbers).map(2, |n| n).run(&background());
            let reads = AssertUnwindSafe(|| run.for_each(|_| resume_unwind(Box::new("reader"))));
            assert!(catch_unwind(reads).is_err());
            assert!(source_ended.recv().is_err());
        });
    });
}

#[test]
fn each_worker_has_a_state_of_its_own() {
    in_every_world(|| {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let init = move || {
            count.fetch_add(1, Ordering::Relaxed);
            0
        };
        let counted = Pipeline::from(0..30).map_with(3, init, |seen, _| {
            *seen += 1;
            *seen
        });
        let seen = counted.run(&background()).collect().unwrap().0;
        assert_eq!((made.load(Ordering::Relaxed), seen.len()), (3, 30));
        assert!(seen.contains(&1) && !seen.contains(&31));
    });
}

#[test]
fn stages_are_no_further_ahead_of_a_slow_reader_than_their_buffers_allow() {
    in_time(|| {
        runtime(1).run(|| {
            let made = Arc::new(AtomicUsize::new(0));
            let count = made.clone();
            let source = std::iter::repeat_with(move || count.fetch_add(1, Ordering::Relaxed));
            let run = Pipeline::from(source).buffer(7).map(1, |n| n).map(3, |n| n).run(&background());
            (0..500).for_each(|_| rendez::yield_now());
            // At the source one, in the buffer seven, in the first stage one, in the second five for each worker.
            let made = made.load(Ordering::Relaxed);
            assert!((10..=24).contains(&made), "{made}");
            run.finish().unwrap();
        });
    });
}

#[test]
fn the_report_tells_which_stage_holds_the_others_up() {
    in_worlds_of_time(|clock| {
        let nap = |micros| {
            move |n: u32| {
                sleep(Duration::from_micros(micros));
                n
            }
        };
        let run = Pipeline::from(0..40)
            .named("numbers")
            .map(1, nap(50))
            .named("quick")
            .map(2, nap(2000))
            .named("slow")
            .map(4, nap(1000))
            .run(&background());
        let early = run.report();
        assert_eq!(early.stages.len(), 4);
        let report = run.for_each(drop).unwrap();
        let (quick, slow, last) = (&report.stages[1], &report.stages[2], &report.stages[3]);
        assert_eq!((slow.name.as_str(), slow.workers, slow.received, slow.sent), ("slow", 2, 40, 40));
        let table = report.to_string();
        assert_eq!(table.lines().count(), 6);
        if !clock.is_virtual() {
            // Whose nap was the longest is for the machine to say.
            assert!(slow.busy >= Duration::from_micros(40 * 2000), "{slow:?}");
            return;
        }
        assert_eq!(report.bottleneck().unwrap().name, "slow");
        let busy = [quick, slow, last].map(|stage| stage.busy.as_micros());
        assert_eq!(busy, [40 * 50, 40 * 2000, 40 * 1000]);
        assert!(quick.blocked_on_output > quick.busy, "it waits for the slow one: {quick:?}");
        assert!(last.blocked_on_input > last.blocked_on_output, "it waits for the slow one: {last:?}");
        assert!(slow.utilisation(report.elapsed) > quick.utilisation(report.elapsed));
        assert!(table.lines().any(|line| line.starts_with("->slow ")), "{table}");
    });
}

#[test]
fn a_deadline_is_told_as_one() {
    in_worlds_of_time(|clock| {
        let (start, limit) = (Instant::now(), Duration::from_millis(2));
        let (ctx, _cancel) = background().with_timeout(limit);
        let error = Pipeline::from(chan::never::<i32>()).map(2, |n| n).run(&ctx).collect().unwrap_err();
        assert_eq!(error.to_string(), "context deadline exceeded");
        clock.has_passed(start, limit);
    });
}

#[test]
#[should_panic(expected = "at least one worker")]
fn a_stage_without_workers_panics() {
    let _ = Pipeline::from([1]).map(0, |n| n);
}

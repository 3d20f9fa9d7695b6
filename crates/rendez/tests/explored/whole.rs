//! Patterns that are more than a stage, under every schedule: the first signal, the first answer, the first error, work that is started anew, and
//! whole pipelines. Whatever comes first and whoever leaves, each goroutine they started ends (which the engine tells: a leak).

use crate::explore;
use rendez::{
    Context, Event, chan, go,
    pattern::{self, Pipeline, ReplicateError, Supervisor, SupervisorError},
    time::timer,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn or_closes_with_the_first_signal_and_ends_with_its_reader() {
    explore(2, || {
        let contexts: Vec<_> = (0..3).map(|_| Context::background().with_cancel()).collect();
        let first = pattern::or(contexts.iter().map(|(ctx, _)| ctx.done().clone()));
        let (all, cancels): (Vec<_>, Vec<_>) = contexts.into_iter().unzip();
        let enders: Vec<_> = cancels.into_iter().map(|cancel| go(move || cancel.cancel())).collect();
        assert!(first.recv().is_err());
        assert!(all.iter().any(|ctx| ctx.err().is_some()), "closed before any signal was");
        enders.into_iter().for_each(|ender| ender.join().unwrap());
    });
    // Nobody waits for it any more, and no signal ever comes: it lets go of them.
    explore(2, || {
        let ((a_open, a), (_b_open, b)) = (chan::bounded(0), chan::bounded(0));
        let first = pattern::or([a, b]);
        let leaves = go(move || drop(first));
        a_open.closed_event().wait();
        leaves.join().unwrap();
    });
}

#[test]
fn the_first_answer_ends_the_other_copies() {
    explore(3, || {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = begun.clone();
        let answer = pattern::replicate(&Context::background(), 3, move |ctx, copy| {
            counted.fetch_add(1, Ordering::Relaxed);
            match copy {
                0 => Err("it fails"),
                1 => Ok(copy),
                // It only ends by being cancelled.
                _ => Err(ctx.wait()).map_err(|_| "cancelled"),
            }
        });
        assert_eq!(answer.unwrap(), 1);
        assert!(begun.load(Ordering::Relaxed) >= 1);
    });
    explore(3, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let ends = go(move || cancel.cancel());
        let answer = pattern::replicate(&ctx, 2, |ctx, copy| match copy {
            0 => Ok(0),
            _ => Err(ctx.wait()),
        });
        assert!(matches!(answer, Ok(0) | Err(ReplicateError::Ended(_))), "{answer:?}");
        ends.join().unwrap();
    });
    explore(3, || {
        let answer: Result<(), _> =
            pattern::replicate(&Context::background(), 2, |_, copy| Err::<(), _>(copy));
        let Err(ReplicateError::Failed(mut errors)) = answer else { panic!("{answer:?}") };
        errors.sort_unstable();
        assert_eq!(errors, [0, 1]);
    });
}

#[test]
fn supervised_work_is_done_once_given_up_or_ended_and_gone_by_then() {
    explore(3, || {
        let tries = AtomicUsize::new(0);
        let supervisor = Supervisor::new().limit(2, Duration::from_secs(60)).back_off(SHORT, SHORT);
        supervisor
            .run(&Context::background(), move |_, pulse| {
                pulse.beat();
                if tries.fetch_add(1, Ordering::Relaxed) < 2 { Err("not yet") } else { Ok(()) }
            })
            .unwrap();
    });
    explore(3, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let ends = go(move || cancel.cancel());
        let inside = Arc::new(AtomicUsize::new(0));
        let work_inside = inside.clone();
        let supervisor = Supervisor::new().limit(1, Duration::from_secs(60)).back_off(SHORT, SHORT);
        let ended = supervisor.run(&ctx, move |ctx, _| {
            assert_eq!(work_inside.fetch_add(1, Ordering::Relaxed), 0, "two runs at a time");
            let ended = ctx.bound(timer(SHORT)).wait();
            work_inside.fetch_sub(1, Ordering::Relaxed);
            Err::<(), _>(ended.err())
        });
        match ended {
            Err(SupervisorError::Ended(_)) => {}
            // The work failed twice before it was cancelled, or by being cancelled.
            Err(SupervisorError::GaveUp { starts, .. }) => assert_eq!(starts, 2),
            Ok(()) => unreachable!("the work never does"),
        }
        assert_eq!(inside.load(Ordering::Relaxed), 0, "it has returned before its work has");
        ends.join().unwrap();
    });
    // Work that falls silent is cancelled, not waited for, and started anew.
    explore(3, || {
        let tries = AtomicUsize::new(0);
        let supervisor = Supervisor::new().silence(SHORT).back_off(SHORT, SHORT);
        let done = supervisor.run(&Context::background(), move |ctx, _| {
            if tries.fetch_add(1, Ordering::Relaxed) == 0 { Err(ctx.wait()) } else { Ok(()) }
        });
        // A run that does may be taken for a silent one when its time is up just then.
        assert!(matches!(done, Ok(()) | Err(SupervisorError::GaveUp { .. })), "{done:?}");
    });
}

#[test]
fn errors_as_values_keep_their_places_and_end_what_they_are_to_end() {
    explore(3, || {
        let ctx = Context::background();
        let results = pattern::generator(&ctx, (1..=3).map(|n| if n == 2 { Err(n) } else { Ok(n) }));
        let doubled = pattern::try_map(&ctx, results, |n| Ok(2 * n));
        assert_eq!(doubled.iter().collect::<Vec<_>>(), [Ok(2), Err(2), Ok(6)]);
    });
    explore(3, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let results = pattern::generator(&ctx, (1..).map(|n| if n < 2 { Ok(n) } else { Err(n) }));
        let ends = go(move || cancel.cancel());
        let some: Vec<_> = pattern::until_error(&ctx, results).iter().collect();
        assert!([Ok(1), Err(2)].starts_with(&some), "{some:?}");
        ends.join().unwrap();
    });
    explore(3, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let results = pattern::generator(&ctx, [Ok(1), Err(2), Ok(3)]);
        let (values, errors) = pattern::split_errors(&ctx, results);
        let ends = go(move || cancel.cancel());
        let log = go(move || errors.iter().collect::<Vec<i32>>());
        let values: Vec<i32> = values.iter().collect();
        assert!([1, 3].starts_with(&values), "{values:?}");
        assert!([2].starts_with(&log.join().unwrap()));
        ends.join().unwrap();
    });
}

fn pipeline() -> Pipeline<u64> {
    Pipeline::from(1..=4_u64).map(2, |n| n * n).buffer(1).map_unordered(2, |n| n + 1).filter(|n| n % 2 == 0)
}

#[test]
fn a_pipeline_is_read_cancelled_and_left_at_every_moment() {
    explore(5, || {
        let (mut values, report) = pipeline().run(&Context::background()).collect().unwrap();
        values.sort_unstable();
        assert_eq!(values, [2, 10]);
        assert_eq!(report.stages.iter().map(|stage| stage.sent).collect::<Vec<_>>(), [4, 4, 4, 2]);
    });
    explore(5, || {
        let (ctx, cancel) = Context::background().with_cancel();
        let ends = go(move || cancel.cancel());
        match pipeline().run(&ctx).collect() {
            Ok((values, _)) => assert_eq!(values.len(), 2),
            Err(error) => assert!(error.to_string().contains("canceled"), "{error}"),
        }
        ends.join().unwrap();
    });
    explore(5, || {
        let run = pipeline().run(&Context::background());
        let reader = go(move || {
            assert!(run.output().recv().is_ok());
            run.finish().unwrap();
        });
        reader.join().unwrap();
    });
    explore(5, || drop(pipeline().run(&Context::background())));
}

#[test]
fn the_first_error_and_a_panic_end_a_pipeline_whichever_stage_has_it() {
    for bad in 0..3 {
        explore(6, move || {
            let failing = Pipeline::from(0..3_u64)
                .try_map(2, move |n| if n == bad { Err("no") } else { Ok(n) })
                .try_map_unordered(2, Ok::<_, &str>);
            let error = failing.run(&Context::background()).collect().unwrap_err();
            assert_eq!(error.to_string(), "no");
        });
        explore(6, move || {
            let panicking = Pipeline::from(0..3_u64).map(2, move |n| {
                if n == bad {
                    std::panic::resume_unwind(Box::new("it panics"));
                }
                n
            });
            let run = panicking.run(&Context::background());
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.collect()));
            assert_eq!(told.unwrap_err().downcast_ref::<&str>(), Some(&"it panics"));
        });
    }
}

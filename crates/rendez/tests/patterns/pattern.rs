//! What the patterns pass on: every value once, in order where that is promised, whatever blocks on the way.
#![cfg(not(loom))]

use crate::{
    setup::{in_every_world, in_time, in_worlds_of_time, runtime},
    stages::{STAGES, filled},
};
use rendez::{
    Context, chan, go,
    pattern::{
        bridge, buffer, fan_in, fan_out, filter, generator, map, or, or_done, ordered_map, repeat,
        repeat_with, take, tee, tee_n,
    },
    sync::Barrier,
    time::Instant,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

fn background() -> Context {
    Context::background()
}

#[test]
fn every_stage_passes_on_all_that_comes_and_then_ends() {
    in_every_world(|| {
        for stage in STAGES {
            for count in [0, 1, 2, 100] {
                let output = (stage.start)(&background(), generator(&background(), 0..count));
                let mut values: Vec<u64> = output.iter().collect();
                if !stage.is_ordered {
                    values.sort_unstable();
                }
                assert_eq!(values, (0..count).collect::<Vec<_>>(), "{}", stage.name);
            }
        }
    });
}

#[test]
fn every_stage_passes_on_very_many() {
    let count = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
    for stage in STAGES {
        in_time(move || {
            runtime(2).run(|| {
                let (mut next, mut sum) = (0, 0);
                for value in (stage.start)(&background(), generator(&background(), 0..count)) {
                    assert!(!stage.is_ordered || value == next, "{}", stage.name);
                    next += 1;
                    sum += value;
                }
                assert_eq!((next, sum), (count, count * (count - 1) / 2), "{}", stage.name);
            });
        });
    }
}

#[test]
fn any_two_stages_make_a_pipeline() {
    in_time(|| {
        runtime(2).run(|| {
            for first in STAGES {
                for second in STAGES {
                    let (ctx, _cancel) = background().with_cancel();
                    let middle = (first.start)(&ctx, generator(&ctx, 0..30));
                    let mut values: Vec<u64> = (second.start)(&ctx, middle).iter().collect();
                    if !(first.is_ordered && second.is_ordered) {
                        values.sort_unstable();
                    }
                    assert_eq!(values, (0..30).collect::<Vec<_>>(), "{}, {}", first.name, second.name);
                }
            }
        });
    });
}

#[test]
fn stages_between_a_slow_producer_and_a_slow_consumer_lose_nothing() {
    in_worlds_of_time(|_| {
        for stage in STAGES {
            let slowly = |n: u64| {
                if n.is_multiple_of(5) {
                    rendez::sleep(Duration::from_micros(100));
                }
                n
            };
            let output = (stage.start)(&background(), generator(&background(), (0..40).map(slowly)));
            let mut values: Vec<u64> = output.iter().map(|n| slowly(n + 2) - 2).collect();
            values.sort_unstable();
            assert_eq!(values, (0..40).collect::<Vec<_>>(), "{}", stage.name);
        }
    });
}

#[test]
fn a_generator_asks_its_iterator_for_no_value_that_nobody_wants() {
    in_time(|| {
        runtime(1).run(|| {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = asked.clone();
            let numbers = repeat_with(&background(), move || count.fetch_add(1, Ordering::Relaxed));
            assert_eq!((numbers.recv(), numbers.recv()), (Ok(0), Ok(1)));
            (0..100).for_each(|_| rendez::yield_now());
            assert_eq!(asked.load(Ordering::Relaxed), 3, "two and the one that is on offer");
        });
    });
}

#[test]
fn repeat_begins_again_after_the_last_one_and_without_any_it_ends() {
    in_every_world(|| {
        let values: Vec<i32> = repeat(&background(), vec![1, 2, 3]).iter().take(7).collect();
        assert_eq!(values, [1, 2, 3, 1, 2, 3, 1]);
        assert_eq!(repeat(&background(), [0; 0]).iter().count(), 0);
    });
}

#[test]
fn take_receives_no_more_than_it_passes_on() {
    in_every_world(|| {
        let (tx, rx) = chan::unbounded();
        (0..5).for_each(|n| tx.send(n).unwrap());
        assert_eq!(take(&background(), rx.clone(), 0).iter().count(), 0);
        assert_eq!(take(&background(), rx.clone(), 3).iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(rx.len(), 2);
        drop(tx);
        assert_eq!(take(&background(), rx, 9).iter().collect::<Vec<_>>(), [3, 4], "there were no more");
    });
}

#[test]
fn take_lets_go_of_its_input_before_anybody_has_the_last_value() {
    in_every_world(|| {
        let (tx, rx) = chan::bounded(0);
        let first = take(&background(), rx, 1);
        tx.send(1).unwrap();
        crate::stages::wait_until_let_go(&tx);
        assert_eq!(first.iter().collect::<Vec<_>>(), [1]);
    });
}

#[test]
fn filter_keeps_what_it_is_told_to_keep() {
    in_every_world(|| {
        let odd = filter(&background(), filled(0..10), |n| n % 2 == 1);
        assert_eq!(odd.iter().collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
        assert_eq!(filter(&background(), filled(0..10), |_| false).iter().count(), 0);
    });
}

#[test]
fn the_function_of_a_stage_may_keep_state_and_may_block() {
    in_every_world(|| {
        let (tx, terms) = chan::unbounded();
        let mut sum = 0;
        let sums = map(&background(), filled(1..=3), move |n| {
            sum += n * terms.recv().unwrap();
            sum
        });
        for term in [10, 100, 1000] {
            rendez::yield_now();
            tx.send(term).unwrap();
        }
        assert_eq!(sums.iter().collect::<Vec<i32>>(), [10, 210, 3210]);
    });
}

#[test]
fn a_buffer_lets_the_stage_before_it_go_on_by_its_capacity() {
    in_worlds_of_time(|clock| {
        let (tx, rx) = chan::bounded(0);
        let buffered = buffer(&background(), rx, 3);
        // Three in the buffer and one in the stage's hands, with nobody there to receive.
        (0..4).for_each(|n| tx.send(n).unwrap());
        let start = Instant::now();
        assert!(tx.send_timeout(4, Duration::from_millis(1)).is_err());
        clock.has_passed(start, Duration::from_millis(1));
        drop(tx);
        assert_eq!(buffered.iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    });
}

#[test]
fn or_closes_with_the_first_of_any_number() {
    in_every_world(|| {
        for number in [1, 2, 3, 100] {
            for first in [0, number / 2, number - 1] {
                let (senders, signals): (Vec<_>, Vec<_>) = (0..number).map(|_| chan::bounded(0)).unzip();
                let any = or(signals);
                assert!(any.try_recv().is_err_and(|error| error == chan::TryRecvError::Empty));
                senders[first].close();
                assert!(any.recv().is_err());
            }
        }
    });
}

#[test]
fn or_of_none_never_closes() {
    in_worlds_of_time(|clock| {
        let start = Instant::now();
        assert_eq!(or([]).recv_timeout(Duration::from_millis(1)), Err(chan::RecvTimeoutError::Timeout));
        clock.has_passed(start, Duration::from_millis(1));
    });
}

#[test]
fn or_of_signals_of_which_one_has_closed_is_closed() {
    in_every_world(|| {
        let (ctx, cancel) = background().with_cancel();
        cancel.cancel();
        assert!(or([chan::never(), ctx.done().clone(), chan::never()]).recv().is_err());
    });
}

#[test]
fn both_outputs_of_a_tee_get_every_value_in_order_whoever_reads_first() {
    in_every_world(|| {
        let (left, right) = tee(&background(), filled(0..50));
        for n in 0..50 {
            // By turns the one is first and the other.
            let [first, second] = if n % 2 == 0 { [&left, &right] } else { [&right, &left] };
            assert_eq!((first.recv(), second.recv()), (Ok(n), Ok(n)));
        }
        assert!(left.recv().is_err() && right.recv().is_err());
    });
}

#[test]
fn an_output_of_a_tee_that_is_dropped_does_not_stop_the_others() {
    in_every_world(|| {
        let mut outputs = tee_n(&background(), generator(&background(), 0..10), 3);
        assert!(outputs.iter().all(|output| output.recv() == Ok(0)));
        drop(outputs.remove(1));
        for n in 1..10 {
            assert!(outputs.iter().rev().all(|output| output.recv() == Ok(n)));
        }
        let (dropped, kept) = tee(&background(), filled(0..3));
        drop(dropped);
        assert_eq!(kept.iter().collect::<Vec<_>>(), [0, 1, 2]);
    });
}

#[test]
fn tee_n_to_none_lets_go_of_its_input() {
    let (tx, rx) = chan::bounded::<i32>(0);
    assert!(tee_n(&background(), rx, 0).is_empty());
    assert!(tx.is_closed());
}

#[test]
fn a_bridge_is_one_channel_after_another() {
    in_every_world(|| {
        let (tx, channels) = chan::bounded(0);
        let all = bridge(&background(), channels);
        go(move || {
            for page in 0..10 {
                // An empty one now and then.
                tx.send(filled((0..page % 3).map(|line| (page, line)))).unwrap();
            }
        });
        let expected: Vec<_> = (0..10).flat_map(|page| (0..page % 3).map(move |line| (page, line))).collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), expected);
    });
}

#[test]
fn fan_in_keeps_the_order_of_each_input_and_ends_after_the_last() {
    in_every_world(|| {
        assert_eq!(fan_in::<i32, _>(&background(), []).iter().count(), 0);
        let inputs = (0..5).map(|input| generator(&background(), (0..20).map(move |n| (input, n))));
        let mut next = [0; 5];
        for (input, n) in fan_in(&background(), inputs) {
            assert_eq!(n, next[input]);
            next[input] += 1;
        }
        assert_eq!(next, [20; 5]);
    });
}

#[test]
fn fan_out_and_ordered_map_have_as_many_at_work_as_they_are_told() {
    in_time(|| {
        runtime(2).run(|| {
            // Nobody goes on before all are at work.
            let barrier = Arc::new(Barrier::new(4));
            let meet = {
                let barrier = barrier.clone();
                move |n: u64| {
                    barrier.wait();
                    n
                }
            };
            let all = fan_in(&background(), fan_out(&background(), filled(0..8), 4, meet.clone()));
            assert_eq!(all.iter().sum::<u64>(), 28);
            let ordered = ordered_map(&background(), filled(0..8), 4, meet);
            assert_eq!(ordered.iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
        });
    });
}

#[test]
fn fan_out_to_nobody_lets_go_of_its_input() {
    let (tx, rx) = chan::bounded::<i32>(0);
    assert!(fan_out(&background(), rx, 0, |n| n).is_empty());
    assert!(tx.is_closed());
}

#[test]
fn ordered_map_keeps_the_order_whichever_takes_longest() {
    in_worlds_of_time(|_| {
        for workers in [1, 2, 3, 16] {
            let uneven = ordered_map(&background(), generator(&background(), 0..60_u64), workers, |n| {
                rendez::sleep(Duration::from_micros(n * 37 % 11 * 100));
                n
            });
            assert_eq!(uneven.iter().collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
        }
    });
}

#[test]
fn ordered_map_starts_no_more_than_fits_in_behind_one_that_takes_long() {
    in_time(|| {
        runtime(1).run(|| {
            let (release, held) = chan::bounded::<()>(0);
            let started = Arc::new(AtomicUsize::new(0));
            let count = started.clone();
            let results = ordered_map(&background(), generator(&background(), 0..1000_u64), 3, move |n| {
                count.fetch_add(1, Ordering::Relaxed);
                if n == 0 {
                    assert!(held.recv().is_err());
                }
                n
            });
            (0..1000).for_each(|_| rendez::yield_now());
            let started = started.load(Ordering::Relaxed);
            assert!((4..=24).contains(&started), "{started}");
            drop(release);
            assert_eq!(results.iter().collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
        });
    });
}

#[test]
#[should_panic(expected = "at least one worker")]
fn ordered_map_without_workers_panics() {
    ordered_map(&background(), filled([1]), 0, |n| n);
}

#[test]
fn or_done_reads_a_channel_of_somebody_else_until_the_context_ends() {
    in_every_world(|| {
        let (tx, theirs) = chan::bounded(0);
        let (ctx, cancel) = background().with_cancel();
        let ours = or_done(&ctx, theirs.clone());
        tx.send(1).unwrap();
        assert_eq!(ours.recv(), Ok(1));
        cancel.cancel();
        assert!(ours.recv().is_err());
        // Theirs is as it was.
        assert!(!tx.is_closed());
        go(move || tx.send(2));
        assert_eq!(theirs.recv(), Ok(2));
    });
}

//! Events as values: made, mapped, boxed, chosen among, waited for, or thrown away without an effect.
#![cfg(not(loom))]

use crate::{
    setup::Drops,
    worlds::{Crew, in_both_times, in_every_world, in_worlds_of_time, on_one_worker, poll_once},
};
use rendez::{
    Event,
    chan::{self, Receiver, RecvError, RecvEvent, SendError},
    choose, go, select,
    select::{Arm, Operation},
    sync::WaitGroup,
    time::{self, Instant},
};
use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    time::Duration,
};

fn everywhere(body: fn()) {
    in_every_world(|crew: &Crew| crew.start(move |_| async move { body() }).join());
}

const SHORT: Duration = Duration::from_millis(2);

#[test]
fn an_event_has_no_effect_until_it_is_waited_for() {
    everywhere(|| {
        let drops = Drops::default();
        let (tx, rx) = chan::bounded(1);
        let mapped = Cell::new(0);
        drop(tx.send_event(drops.token()));
        drop(tx.send_event(drops.token()).map(|_| mapped.set(1)).boxed_local());
        drop(choose([tx.send_event(drops.token()), tx.send_event(drops.token())]));
        drop(tx.send_event(drops.token()).wait_async());
        assert_eq!((drops.count(), rx.len(), mapped.get()), (5, 0, 0));
        assert!(tx.send_event(drops.token()).map(|sent| sent.is_ok()).wait());
        drop(rx.recv_event());
        drop(rx.recv_event().map(|_| mapped.set(2)).operation());
        assert_eq!((drops.count(), rx.len(), mapped.get()), (5, 1, 0));
        rx.recv_event().map(|value| mapped.set(value.map_or(3, |_| 4))).wait();
        assert_eq!((drops.count(), mapped.get()), (6, 4));
    });
}

#[test]
fn every_way_of_waiting_yields_the_result() {
    in_worlds_of_time(|crew| {
        crew.start(|ops| async move {
            let (start, clock) = (Instant::now(), ops.clock());
            let (tx, rx) = chan::bounded(1);
            assert_eq!(tx.send_event(1).wait(), Ok(()));
            assert_eq!(tx.send_event(2).wait_timeout(Duration::ZERO), None);
            assert_eq!(tx.send_event(2).wait_timeout(SHORT), None);
            assert_eq!(rx.recv_event().wait_timeout(Duration::ZERO), Some(Ok(1)));
            assert_eq!(rx.recv_event().wait_timeout(SHORT), None);
            assert_eq!(time::timeout(SHORT, rx.recv_event()), None);
            clock.has_passed(start, SHORT * 3);
            assert_eq!(ops.event(tx.send_event(3)).await, Ok(()));
            assert_eq!(time::timeout(Duration::MAX, rx.recv_event()), Some(Ok(3)));
            tx.close();
            assert_eq!(ops.event(tx.send_event(4)).await, Err(SendError(4)));
            assert_eq!(ops.event(rx.recv_event()).await, Err(RecvError));
        })
        .join();
    });
}

#[test]
fn the_function_of_an_event_runs_once_and_only_if_it_is_chosen() {
    everywhere(|| {
        let (tx, rx) = chan::bounded(1);
        let calls = RefCell::new(Vec::new());
        for i in 0..20 {
            tx.send(i).unwrap();
            let note = |name| {
                let calls = &calls;
                move |value: Result<i32, RecvError>| calls.borrow_mut().push((name, value.unwrap()))
            };
            choose([rx.recv_event().map(note("a")), rx.recv_event().map(note("b"))]).wait();
            assert_eq!(calls.borrow_mut().pop().map(|(_, value)| value), Some(i));
            assert!(calls.borrow().is_empty());
        }
    });
}

/// A mailbox whose letters come by two ways, as one event.
struct Mailbox {
    letters: Receiver<&'static str>,
    urgent: Receiver<&'static str>,
}

impl<'a> Event for &'a Mailbox {
    type Output = Result<&'static str, RecvError>;
    type Operation = <rendez::select::Choose<RecvEvent<'a, &'static str>> as Event>::Operation;

    fn operation(self) -> Self::Operation {
        choose([self.letters.recv_event(), self.urgent.recv_event()]).operation()
    }
}

#[test]
fn an_event_of_ones_own_is_an_arm_and_a_part_of_choices() {
    in_every_world(|crew| {
        let (tx, letters) = chan::bounded(0);
        let (tx_urgent, urgent) = chan::bounded(0);
        let mailbox = Mailbox { letters, urgent };
        let writer = crew.start(move |ops| async move {
            ops.send(&tx, "a letter").await.unwrap();
            ops.send(&tx_urgent, "an urgent one").await.unwrap();
            ops.send(&tx, "another").await.unwrap();
        });
        let reader = crew.start(move |ops| async move {
            assert_eq!((&mailbox).wait(), Ok("a letter"));
            select! {
                wait(&mailbox) -> letter => assert_eq!(letter, Ok("an urgent one")),
                recv(chan::never::<()>()) -> _ => unreachable!("nil"),
            }
            let either = choose([
                (&mailbox).map(|letter| letter.unwrap()).boxed(),
                time::timer(Duration::from_secs(60)).map(|_| "too late").boxed(),
            ]);
            assert_eq!(ops.event(either).await, "another");
        });
        writer.join();
        reader.join();
    });
}

#[test]
fn choices_nest() {
    everywhere(|| {
        let channels: Vec<_> = (0..12).map(|_| chan::bounded::<usize>(1)).collect();
        let nested = || {
            choose((0..3).map(|i| {
                let three = choose((0..4).map(|j| channels[4 * i + j].1.recv_event()));
                choose([three]).map(move |value| (i, value.unwrap()))
            }))
        };
        assert!(nested().wait_timeout(Duration::ZERO).is_none());
        for (n, (tx, _)) in channels.iter().enumerate() {
            tx.send(n).unwrap();
            assert_eq!(nested().wait(), (n / 4, n));
        }
        // All that lose, lose nothing.
        channels.iter().enumerate().for_each(|(n, (tx, _))| tx.send(n).unwrap());
        let mut received: Vec<_> = (0..12).map(|_| nested().wait().1).collect();
        received.sort_unstable();
        assert!(received.into_iter().eq(0..12));
    });
}

#[test]
fn a_limit_ends_the_wait_for_nested_choices() {
    in_both_times(|clock| {
        let (never, start) = (chan::never::<()>(), Instant::now());
        let nested = choose([choose([never.recv_event(), never.recv_event()]), choose([never.recv_event()])]);
        assert!(nested.wait_timeout(SHORT).is_none());
        clock.has_passed(start, SHORT);
    });
}

/// The numbers that a nested choice gives its parts lead back to the right ones, timers and nil arms between them.
#[test]
fn a_part_of_a_nested_choice_that_a_peer_chooses_is_found() {
    in_every_world(|crew| {
        let channels: Vec<_> = (0..6).map(|_| chan::bounded::<usize>(0)).collect();
        let (txs, rxs): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
        let rounds = if cfg!(debug_assertions) { 100 } else { 2_000 };
        let receives = crew.start(move |ops| async move {
            let (never, group) = (chan::never::<usize>(), WaitGroup::new());
            group.add(1);
            for round in 0..rounds {
                let recv = |i: usize| rxs[i].recv_event().map(move |value| (i, value.unwrap())).boxed();
                let timer = || time::timer(Duration::from_secs(60)).map(|_| (9, 9)).boxed();
                let nil = || never.recv_event().map(|_| (9, 9)).boxed();
                let waits = || (&group).map(|()| (9, 9)).boxed();
                let inner = choose([timer(), recv(1), nil(), recv(2), waits(), timer()]).boxed();
                let deeper = choose([recv(4), choose([timer(), choose([recv(5)]).boxed()]).boxed()]).boxed();
                let outer = choose([recv(0), timer(), inner, waits(), recv(3), timer(), deeper]);
                let (i, value) = ops.event(outer).await;
                assert_eq!((i, value), (round % 6, round));
            }
        });
        let sends = crew.start(move |ops| async move {
            for round in 0..rounds {
                ops.send(&txs[round % 6], round).await.unwrap();
            }
        });
        sends.join();
        receives.join();
    });
}

#[test]
fn the_earliest_of_several_timers_ends_the_wait() {
    in_worlds_of_time(|crew| {
        crew.start(|ops| async move {
            let (began, clock) = (Instant::now(), ops.clock());
            let timers = [50, 2, 900].map(|ms| time::timer(Duration::from_millis(ms)).map(move |_| ms));
            assert_eq!(ops.event(choose(timers)).await, 2);
            clock.has_passed(began, Duration::from_millis(2));
            // The moment that it yields is the one for which it was set.
            let set_at = Instant::now();
            let moment = ops.event(time::timer(SHORT)).await;
            clock.meets(moment, set_at + SHORT);
            clock.meets(Instant::now(), moment);
            let never = time::timer(Duration::MAX);
            assert!(never.wait_timeout(Duration::from_micros(10)).is_none());
            assert!(poll_once(pin!(never.wait_async())).is_none());
        })
        .join();
    });
}

#[test]
fn what_may_not_leave_its_thread_can_be_chosen_among_too() {
    everywhere(|| {
        let seen = std::rc::Rc::new(Cell::new(0));
        let (tx, rx) = chan::bounded(1);
        tx.send(3).unwrap();
        let events = [rx.recv_event().map({
            let seen = seen.clone();
            move |value| seen.set(value.unwrap())
        })];
        let others = [time::timer(Duration::from_secs(60)).map(|_| ()).boxed_local()];
        choose(events.map(Event::boxed_local).into_iter().chain(others)).wait();
        assert_eq!(seen.get(), 3);
    });
}

#[test]
fn the_end_of_a_scoped_goroutine_is_an_event() {
    let (tx, rx) = chan::bounded::<()>(0);
    let words = ["a".to_string(), "b".to_string()];
    let length = rendez::scope(|s| {
        let handle = s.go(|| {
            let _ = rx.recv();
            words.concat().len()
        });
        let ended = select! {
            wait(&handle) -> () => true,
            default => false,
        };
        assert!(!ended, "it waits for a value");
        tx.send(()).unwrap();
        (&handle).wait();
        handle.join().unwrap()
    });
    assert_eq!(length, 2);
}

#[test]
fn an_arm_that_was_undone_is_not_taken_for_done_again() {
    on_one_worker(|| {
        let drops = Drops::default();
        let (tx, rx) = chan::bounded(0);
        let mut arm = rx.recv_event().operation();
        let token = drops.token();
        let sender = go(move || tx.send(token).unwrap());
        // The sender starts when this waits, so it hands the value to the arm in the queue.
        assert_eq!(rendez::__private::block(&mut [&mut arm], false), 0);
        sender.join().unwrap();
        arm.undo();
        assert_eq!(rx.len(), 1);
        // Whoever has an operation may call this; the value is not in its hands any more.
        assert!(!arm.conclude(0));
        drop(arm);
        assert_eq!((rx.len(), drops.count()), (1, 0));
        drop(rx.recv().unwrap());
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_choice_that_has_been_made_stays_so_however_often_it_is_attempted() {
    let (tx, rx) = chan::bounded(4);
    (0..4).for_each(|i| tx.send(i).unwrap());
    let mut choice = choose([rx.recv_event(), rx.recv_event()]).operation();
    assert!((0..20).all(|_| choice.attempt()));
    assert_eq!(rx.len(), 3);
    assert!(choice.conclude(0) && choice.conclude(1));
    assert_eq!(choice.finish(), Ok(0));
    assert_eq!(rx.len(), 3);
}

#[test]
fn an_operation_that_is_finished_is_not_chosen_any_more() {
    let ctx = rendez::Context::background();
    let (tx, rx) = chan::bounded(2);
    (0..2).for_each(|i| tx.send(i).unwrap());
    let mut bound = ctx.bound(rx.recv_event()).operation();
    assert!(bound.attempt());
    assert_eq!((bound.finish(), rx.len()), (Ok(Ok(0)), 1));
    assert!(!bound.conclude(1));
    assert!(bound.attempt());
    assert_eq!((bound.finish(), rx.len()), (Ok(Ok(1)), 0));
    assert!(!bound.attempt());
}

#[test]
fn a_send_that_has_given_its_value_back_does_not_say_that_it_was_sent() {
    let drops = Drops::default();
    let (tx, rx) = chan::bounded(2);
    rx.close();
    let mut send = tx.send_event(drops.token()).operation();
    assert!(send.attempt());
    drop(send.finish().unwrap_err());
    assert_eq!(drops.count(), 1);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(send.finish()))).is_err());
    let _ = send.attempt();
    drop(send);
    assert_eq!(drops.count(), 1);
}

#[test]
fn what_is_finished_holds_no_value_any_more() {
    everywhere(|| {
        let drops = Drops::default();
        let (tx, rx) = chan::bounded(4);
        let mut send = tx.send_event(drops.token()).boxed_local().map(|sent| sent.is_ok()).operation();
        assert!(send.attempt() && send.finish());
        drop(send);
        let mut receive = choose([rx.recv_event().boxed_local()]).operation();
        assert!(receive.attempt());
        let received = receive.finish().unwrap();
        drop(receive);
        assert_eq!((drops.count(), rx.len()), (0, 0));
        drop(received);
        assert_eq!(drops.count(), 1);
    });
}

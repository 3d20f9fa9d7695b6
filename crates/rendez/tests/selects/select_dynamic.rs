//! `Select`: arms known at run time, many of them; operations completed late, elsewhere, wrongly, or never.
#![cfg(not(loom))]

use crate::{
    setup::{Drops, Token, in_time, runtime, text},
    worlds::{Crew, Ops, Role, in_every_world, in_worlds_of_time, on_one_worker, until},
};
use rendez::{
    Event, Select,
    chan::{self, Receiver, RecvError, RecvEvent, RecvTimeoutError, SendError, Sender, TryRecvError},
    choose, go, select,
};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
    thread,
    time::Duration,
};

const fn rounds(of: usize) -> usize {
    if cfg!(debug_assertions) { of / 20 } else { of }
}

async fn wait<'a>(ops: Ops, select: &mut Select<'a>) -> rendez::SelectedOperation<'a> {
    if ops.awaits() { select.wait_async().await } else { select.wait() }
}

#[test]
fn thousands_of_arms_come_and_go_between_waits() {
    in_every_world(|crew| {
        let many = rounds(4_000);
        let (txs, rxs): (Vec<_>, Vec<_>) = (0..many).map(|i| chan::bounded(i % 2)).unzip();
        let sender = crew.start(move |ops| async move {
            let mut random = fastrand::Rng::with_seed(1);
            let mut order: Vec<usize> = (0..many).collect();
            random.shuffle(&mut order);
            for i in order {
                ops.send(&txs[i], i).await.unwrap();
            }
        });
        let receiver = crew.start(move |ops| async move {
            let spare = chan::never::<usize>();
            let mut select = Select::new();
            // Every arm's receiver, by number.
            let mut of_number: Vec<Option<usize>> = Vec::new();
            for (i, rx) in rxs.iter().enumerate() {
                assert_eq!(select.recv(rx), of_number.len());
                of_number.push(Some(i));
            }
            for _ in 0..many {
                let operation = wait(ops, &mut select).await;
                let number = operation.index();
                let i = of_number[number].take().expect("an arm that is there");
                assert_eq!(operation.recv(&rxs[i]), Ok(i));
                select.remove(number);
                // A spare one comes for each second, and goes again.
                if i.is_multiple_of(2) {
                    let spare = select.recv(&spare);
                    assert_eq!(spare, of_number.len());
                    of_number.push(None);
                    if i.is_multiple_of(4) {
                        select.remove(spare);
                    }
                }
            }
            assert!(select.try_wait().is_none());
            select.len()
        });
        sender.join();
        assert_eq!(receiver.join(), (0..many).filter(|i| i % 4 == 2).count());
    });
}

#[test]
fn removing_an_arm_that_is_not_there_says_so() {
    let rx = chan::never::<()>();
    let mut select = Select::new();
    let number = select.recv(&rx);
    select.remove(number);
    for index in [number, 7] {
        let message = text(catch_unwind(AssertUnwindSafe(|| select.remove(index))).unwrap_err());
        assert!(message.contains(&format!("there is no arm {index}")), "{message}");
    }
}

#[test]
fn without_arms_there_is_nothing_to_wait_for() {
    in_every_world(|crew| {
        crew.start(|_| async {
            let mut select = Select::new();
            assert!(select.is_empty());
            assert!(select.try_wait().is_none());
            for limit in [Duration::ZERO, Duration::from_micros(10)] {
                assert!(select.wait_timeout(limit).is_none());
                assert!(choose([] as [RecvEvent<'_, ()>; 0]).wait_timeout(limit).is_none());
                select! {
                    default(limit) => {}
                }
            }
            assert!(crate::worlds::poll_once(pin!(select.wait_async())).is_none());
        })
        .join();
    });
}

#[test]
fn an_operation_completed_with_the_wrong_endpoint_panics_and_loses_nothing() {
    let drops = Drops::default();
    let ((tx, rx), (other_tx, other_rx)) = (chan::bounded(2), chan::bounded(1));
    tx.send(drops.token()).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    for send in [false, true] {
        let operation = select.try_wait().unwrap();
        let completes = AssertUnwindSafe(|| {
            if send { drop(operation.send(&tx, drops.token())) } else { drop(operation.recv(&other_rx)) }
        });
        let message = text(catch_unwind(completes).unwrap_err());
        assert!(message.contains("is not the one of the selected arm 0"), "{message}");
        assert_eq!(rx.len(), 1, "it is back");
    }
    // (The second one's own value has been dropped with the call.)
    assert_eq!(drops.count(), 1);

    let mut select = Select::new();
    select.send(&other_tx);
    let operation = select.try_wait().unwrap();
    let message = text(catch_unwind(AssertUnwindSafe(|| operation.send(&tx, drops.token()))).unwrap_err());
    assert!(message.contains("is not the one of the selected arm 0"), "{message}");
    let operation = select.try_wait().expect("the slot is free again");
    let message = text(catch_unwind(AssertUnwindSafe(|| operation.recv(&other_rx))).unwrap_err());
    assert!(message.contains("is not the one of the selected arm 0"), "{message}");
    other_tx.try_send(drops.token()).expect("the slot is free again");
    assert_eq!(drops.count(), 2);
    // A clone is the same channel.
    let operation = {
        let mut select = Select::new();
        select.recv(&rx);
        select.try_wait().unwrap()
    };
    assert!(operation.recv(&rx.clone()).is_ok());
}

#[test]
fn a_receive_that_is_given_up_goes_back_to_the_front() {
    for capacity in [1, 3] {
        let (tx, rx) = chan::bounded(capacity);
        (0..capacity).for_each(|i| tx.send(i).unwrap());
        let mut select = Select::new();
        select.recv(&rx);
        for _ in 0..3 {
            drop(select.wait());
        }
        // Others come in between: the one in hand stays the first.
        let operation = select.wait();
        tx.try_send(capacity).unwrap();
        drop(operation);
        assert!(tx.try_send(9).is_err());
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), (0..=capacity).collect::<Vec<_>>());
    }
}

/// Arms of each are in blocks of the thread's own or, if they are large or aligned to more than those, of the allocator.
#[test]
fn a_value_of_any_size_is_received_and_given_back() {
    struct Padded<const N: usize> {
        i: usize,
        padding: [u8; N],
        _token: Token,
    }

    impl<const N: usize> Padded<N> {
        fn new(i: usize, token: Token) -> Self {
            Padded { i, padding: [7; N], _token: token }
        }

        fn look(&self) -> usize {
            assert_eq!(self.padding, [7; N]);
            self.i
        }
    }

    fn play<T: 'static>(make: impl Fn(usize, Token) -> T, look: impl Fn(&T) -> usize) {
        let drops = Drops::default();
        let (tx, rx) = chan::bounded(3);
        let (wrong_tx, wrong_rx) = chan::bounded(1);
        (0..3).for_each(|i| tx.send(make(i, drops.token())).unwrap());
        let mut select = Select::new();
        select.recv(&rx);
        drop(select.wait());
        assert!(catch_unwind(AssertUnwindSafe(|| select.wait().recv(&wrong_rx))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| select.wait().send(&wrong_tx, ()))).is_err());
        assert_eq!((rx.len(), drops.count()), (3, 0), "all of it is back");
        assert_eq!(select.wait().recv(&rx).map(|value| look(&value)), Ok(0));
        assert_eq!(drops.count(), 1);
        // An operation outlives its select, and one in hand is not in the way of the next.
        let (first, second) = (select.wait(), select.wait());
        drop(select);
        assert_eq!(second.recv(&rx).map(|value| look(&value)), Ok(2));
        drop(first);
        drop(tx);
        let mut select = Select::new();
        select.recv(&rx);
        assert_eq!(select.wait().recv(&rx).map(|value| look(&value)), Ok(1));
        assert_eq!(drops.count(), 3);
        drop(select.wait());
        assert!(matches!(select.wait().recv(&rx), Err(RecvError)));
    }

    play(|i, token| (i, token), |value| value.0);
    play(Padded::<9>::new, Padded::look);
    play(Padded::<1000>::new, Padded::look);
    macro_rules! play_aligned {
        ($($align:literal)*) => {$({
            #[repr(align($align))]
            struct Aligned(Padded<1>);
            play(
                |i, token| Aligned(Padded::new(i, token)),
                |value| {
                    assert!(ptr::from_ref(value).addr().is_multiple_of($align));
                    value.0.look()
                },
            );
        })*};
    }
    play_aligned!(16 32 64 4096);
}

/// The memory of arms comes from the thread, and goes back to it, which may have none of its own any more.
#[test]
fn selects_and_operations_may_be_made_and_dropped_as_their_thread_ends() {
    type Kept = (Select<'static>, rendez::SelectedOperation<'static>, &'static Channel);
    type Channel = (Sender<Token>, Receiver<Token>);
    struct Last(RefCell<Option<Kept>>);
    impl Drop for Last {
        fn drop(&mut self) {
            let (mut select, operation, (tx, rx)) = self.0.take().expect("it was filled");
            drop(operation);
            let number = select.recv(rx);
            let operation = select.wait();
            assert!(operation.index() <= number);
            drop(operation.recv(rx));
            let mut other = Select::new();
            other.send(tx);
            drop(other.wait());
            drop((other, select));
        }
    }
    thread_local! {
        static LAST: Last = const { Last(RefCell::new(None)) };
    }
    let drops = Drops::default();
    let channel: &'static Channel = Box::leak(Box::new(chan::bounded(1)));
    for i in 0..100 {
        channel.0.send(drops.token()).unwrap();
        thread::spawn(move || {
            LAST.with(|last| {
                // Last to be dropped, for it was first to be there.
                let mut select = Select::new();
                select.recv(&channel.1);
                let operation = select.wait();
                *last.0.borrow_mut() = Some((select, operation, channel));
            });
        })
        .join()
        .unwrap();
        assert_eq!((drops.count(), channel.1.len()), (i + 1, 0));
    }
    static KEPT: AtomicPtr<Channel> = AtomicPtr::new(ptr::null_mut());
    KEPT.store(ptr::from_ref(channel).cast_mut(), Ordering::Relaxed);
}

#[test]
fn a_receive_that_is_given_up_goes_to_whoever_waits() {
    on_one_worker(|| {
        let (tx, rx) = chan::bounded(0);
        let sender = go(move || tx.send("value"));
        let mut select = Select::new();
        select.recv(&rx);
        let operation = select.wait();
        assert_eq!(sender.join().unwrap(), Ok(()), "it is out of the sender's hands");
        let other = rx.clone();
        let waits = go(move || other.recv());
        rendez::yield_now();
        drop(operation);
        assert_eq!(waits.join().unwrap(), Ok("value"));
    });
}

#[test]
fn a_reserved_slot_counts_until_it_is_used_or_given_up() {
    on_one_worker(|| {
        let (tx, rx) = chan::bounded(2);
        let mut select = Select::new();
        select.send(&tx);
        let (first, second) = (select.wait(), select.wait());
        assert!(select.try_wait().is_none());
        assert!(tx.is_full() && rx.is_empty());
        assert!(tx.try_send(0).is_err());
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        let waits = go({
            let tx = tx.clone();
            move || tx.send(3)
        });
        rendez::yield_now();
        assert!(!waits.is_finished());
        drop(second);
        assert_eq!(waits.join().unwrap(), Ok(()), "the slot that was given up is its");
        first.send(&tx, 1).unwrap();
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [3, 1]);
    });
}

#[test]
fn a_reserved_slot_serves_a_receiver_that_came_to_wait_and_is_free_by_that() {
    on_one_worker(|| {
        let (tx, rx) = chan::bounded(1);
        let mut select = Select::new();
        select.send(&tx);
        let operation = select.wait();
        let receives = go({
            let rx = rx.clone();
            move || rx.recv()
        });
        let sends = go({
            let tx = tx.clone();
            move || tx.send(2)
        });
        until(|| receives.is_finished() && sends.is_finished());
        // The plain send met the receiver; the slot is still kept.
        assert_eq!(receives.join().unwrap(), Ok(2));
        assert!(tx.is_full());
        let waits = go({
            let tx = tx.clone();
            move || tx.send(4)
        });
        let receives = go({
            let rx = rx.clone();
            move || rx.recv()
        });
        rendez::yield_now();
        operation.send(&tx, 3).unwrap();
        waits.join().unwrap().unwrap();
        let mut values = vec![receives.join().unwrap().unwrap()];
        values.extend(rx.try_iter());
        values.sort_unstable();
        assert_eq!(values, [3, 4]);
    });
}

#[test]
fn a_reservation_against_a_close() {
    let drops = Drops::default();
    let (tx, rx) = chan::bounded(1);
    let mut select = Select::new();
    select.send(&tx);
    let (late, dropped) = (select.wait(), {
        rx.close();
        select.wait()
    });
    drop(dropped);
    let SendError(back) = late.send(&tx, drops.token()).unwrap_err();
    assert_eq!(drops.count(), 0, "the value came back");
    drop(back);
    let SendError(_back) = select.wait().send(&tx, drops.token()).unwrap_err();
    assert_eq!(rx.recv().err(), Some(RecvError));

    // And with a receiver that was promised: it was there before the close.
    on_one_worker(|| {
        for send in [true, false] {
            let (tx, rx) = chan::bounded(0);
            let receives = go(move || rx.recv());
            rendez::yield_now();
            let mut select = Select::new();
            select.send(&tx);
            let operation = select.wait();
            tx.close();
            if send {
                assert_eq!(operation.send(&tx, 1), Ok(()));
            } else {
                drop(operation);
            }
            assert_eq!(receives.join().unwrap().is_ok(), send);
        }
    });
}

#[test]
fn a_promised_receiver_that_times_out_leaves_the_value_to_the_next() {
    in_worlds_of_time(|crew| {
        let (tx, rx) = chan::bounded(0);
        let gives_up = crew.start({
            let rx = rx.clone();
            move |_| async move { rx.recv_timeout(Duration::from_millis(2)) }
        });
        let mut select = Select::new();
        select.send(&tx);
        // Where it came too late, there is no promise to break.
        let operation = select.wait_timeout(Duration::from_millis(1));
        assert_eq!(gives_up.join(), Err(RecvTimeoutError::Timeout));
        if let Some(operation) = operation {
            operation.send(&tx, 7).unwrap();
            assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Ok(7));
        }
    });
}

#[test]
fn a_shutdown_ends_a_receiver_that_is_promised_to_somebody_else() {
    in_time(|| {
        let drops = Drops::default();
        let (tx, rx) = chan::bounded(0);
        let runtime = runtime(1);
        let token = drops.token();
        runtime.spawn({
            let rx = rx.clone();
            move || {
                let _token = token;
                let _ = rx.recv();
            }
        });
        let mut select = Select::new();
        select.send(&tx);
        let operation = select.wait();
        runtime.shutdown();
        assert_eq!(drops.count(), 1, "it does not wait for us");
        operation.send(&tx, 5).unwrap();
        assert_eq!(rx.recv(), Ok(5));
    });
}

/// An offer brings no value before it is chosen, so who does not wait can't take one from it; who does, can.
#[test]
fn an_offer_meets_receivers_that_wait_and_no_others() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded(0);
        let offers = crew.start(move |ops| async move {
            let mut select = Select::new();
            select.send(&tx);
            wait(ops, &mut select).await.send(&tx, 7)
        });
        for _ in 0..50 {
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            rendez::yield_now();
        }
        assert_eq!(rx.recv(), Ok(7));
        assert_eq!(offers.join(), Ok(()));
    });
}

#[test]
fn an_operation_may_be_completed_late_and_by_another_thread() {
    in_every_world(|crew| {
        let ((tx, rx), (tx_back, rx_back)) = (chan::bounded(0), chan::bounded(1));
        let echo = crew.start(move |ops| async move {
            for _ in 0..20 {
                let value: u32 = ops.recv(&rx).await.unwrap();
                ops.send(&tx_back, value + 1).await.unwrap();
            }
        });
        for i in 0..20 {
            let mut select = Select::new();
            select.send(&tx);
            let operation = select.wait();
            thread::scope(|scope| {
                let tx = &tx;
                scope.spawn(move || operation.send(tx, i)).join().unwrap().unwrap();
            });
            let mut select = Select::new();
            select.recv(&rx_back);
            let operation = select.wait();
            rendez::yield_now();
            let value = thread::scope(|scope| {
                let rx = &rx_back;
                scope.spawn(move || operation.recv(rx)).join().unwrap()
            });
            assert_eq!(value, Ok(i + 1));
        }
        echo.join();
    });
}

/// Values of a type that must not leave its thread, in a `Select` that does: nobody there can reach them.
#[test]
fn values_that_are_not_send_stay_out_of_reach() {
    let (tx, rx) = chan::bounded(1);
    let value = std::rc::Rc::new(5);
    tx.send(value.clone()).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    thread::scope(|scope| scope.spawn(|| drop(select.wait())).join().unwrap());
    let operation = thread::scope(|scope| scope.spawn(|| select.wait()).join().unwrap());
    assert_eq!(operation.recv(&rx), Ok(value.clone()));
    assert_eq!(std::rc::Rc::strong_count(&value), 1);
}

/// What a role of the storm does with what it has selected.
async fn settle(
    ops: Ops,
    random: &mut fastrand::Rng,
    operation: rendez::SelectedOperation<'_>,
    (tx, rx): (&Sender<usize>, &Receiver<usize>),
    value: usize,
    tally: &mut (Vec<usize>, Vec<usize>),
) -> bool {
    for _ in 0..random.usize(..3) {
        ops.pause().await;
    }
    if random.usize(..4) == 0 {
        return true; // given up
    }
    if operation.index() == 0 {
        let sent = operation.send(tx, value).is_ok();
        tally.0.extend(sent.then_some(value));
        sent
    } else {
        let received = operation.recv(rx);
        tally.1.extend(received.ok());
        received.is_ok()
    }
}

/// Dynamic selects that offer to each other and to plain ends, hold what they have got for a while, give it up, complete it,
/// time out, while others time out on them: what was sent was received, once, or is left in the channel.
#[test]
fn operations_held_given_up_and_timed_out_lose_nothing() {
    in_every_world(|crew: &Crew| {
        for capacity in [0, 1] {
            let many = rounds(4_000);
            let (tx, rx) = chan::bounded(capacity);
            let role = |name: usize| {
                let (tx, rx) = (tx.clone(), rx.clone());
                crew.start(move |ops| async move {
                    let mut random = fastrand::Rng::with_seed(name as u64);
                    let mut tally = (Vec::new(), Vec::new());
                    let mut select = Select::new();
                    select.send(&tx);
                    select.recv(&rx);
                    for i in 0..many {
                        let value = name * many + i;
                        let limit = Duration::from_nanos(random.u64(..20_000));
                        let goes_on = match random.usize(..5) {
                            0 => match rx.recv_timeout(limit) {
                                Ok(value) => {
                                    tally.1.push(value);
                                    true
                                }
                                Err(error) => error == RecvTimeoutError::Timeout,
                            },
                            1 => match tx.send_timeout(value, limit) {
                                Ok(()) => {
                                    tally.0.push(value);
                                    true
                                }
                                Err(error) => matches!(error, chan::SendTimeoutError::Timeout(_)),
                            },
                            2 => match select.wait_timeout(limit) {
                                Some(operation) => {
                                    settle(ops, &mut random, operation, (&tx, &rx), value, &mut tally).await
                                }
                                None => true,
                            },
                            3 => match select.try_wait() {
                                Some(operation) => {
                                    settle(ops, &mut random, operation, (&tx, &rx), value, &mut tally).await
                                }
                                None => {
                                    ops.pause().await;
                                    true
                                }
                            },
                            _ => {
                                let operation = wait(ops, &mut select).await;
                                settle(ops, &mut random, operation, (&tx, &rx), value, &mut tally).await
                            }
                        };
                        if !goes_on {
                            break;
                        }
                    }
                    tx.close();
                    tally
                })
            };
            let roles: Vec<_> = (0..5).map(role).collect();
            let (mut sent, mut received) = (Vec::new(), Vec::new());
            for (its_sent, its_received) in roles.into_iter().map(Role::join) {
                sent.extend(its_sent);
                received.extend(its_received);
            }
            received.extend(rx.try_iter());
            sent.sort_unstable();
            received.sort_unstable();
            assert_eq!(sent, received);
        }
    });
}

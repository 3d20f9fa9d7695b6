//! Whose a value is: each is dropped once, wherever a select leaves it; large ones, those without a size, and those whose
//! drop panics.
#![cfg(not(loom))]

use crate::{
    setup::{Drops, Token, text},
    worlds::{Crew, Role, in_every_world, on_one_worker, until},
};
use rendez::{
    Event, Select,
    chan::{self, Receiver, RecvError, SendError, Sender},
    choose, select,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

fn everywhere(body: fn()) {
    in_every_world(|crew: &Crew| crew.start(move |_| async move { body() }).join());
}

const fn rounds(of: usize) -> usize {
    if cfg!(debug_assertions) { of / 20 } else { of }
}

#[test]
fn the_value_of_a_send_that_loses_is_dropped_once_and_never_delivered() {
    everywhere(|| {
        let drops = Drops::default();
        let (full, full_rx) = chan::bounded(1);
        full.send(drops.token()).unwrap();
        let (free, free_rx) = chan::bounded(1);
        // At once, after having parked, by default, by time-out.
        select! {
            send(full, drops.token()) -> _ => unreachable!("full"),
            send(free, drops.token()) -> sent => sent.unwrap(),
        }
        assert_eq!((drops.count(), full_rx.len(), free_rx.len()), (1, 1, 1));
        select! {
            send(full, drops.token()) -> _ => unreachable!("full"),
            send(free, drops.token()) -> _ => unreachable!("full"),
            default => {}
        }
        assert_eq!(drops.count(), 3);
        select! {
            send(full, drops.token()) -> _ => unreachable!("full"),
            recv(chan::never::<()>()) -> _ => unreachable!("nil"),
            default(Duration::from_micros(50)) => {}
        }
        assert_eq!(drops.count(), 4);
        let event = choose([full.send_event(drops.token()), free.send_event(drops.token())]);
        assert!(event.wait_timeout(Duration::from_micros(50)).is_none());
        assert_eq!(drops.count(), 6);
        drop(choose([full.send_event(drops.token()), free.send_event(drops.token())]));
        assert_eq!(
            drops.count(),
            8,
            "an event that nobody waits for keeps its values, and drops them with itself"
        );
        drop((full_rx, free_rx));
        assert_eq!(drops.count(), 10);
        // A closed channel gives the value back.
        let SendError(back) = select! {
            send(full, drops.token()) -> sent => sent.unwrap_err(),
            recv(chan::never::<()>()) -> _ => unreachable!("nil"),
        };
        assert_eq!(drops.count(), 10);
        drop(back);
        assert_eq!(drops.count(), 11);
    });
}

/// A send that parks and loses to a receive, to a close, and to nothing at all.
#[test]
fn the_value_of_a_send_that_parked_and_lost_is_dropped_once() {
    on_one_worker(|| {
        let drops = Drops::default();
        let (tx, rx) = chan::bounded::<Token>(0);
        let (go_on, wait) = chan::bounded::<()>(0);
        let parks = rendez::go({
            let (token, tx) = (drops.token(), tx.clone());
            move || {
                select! {
                    send(tx, token) -> _ => unreachable!("nobody receives"),
                    recv(wait) -> value => value.unwrap(),
                }
            }
        });
        go_on.send(()).unwrap();
        assert_eq!(parks.join().map_err(|_| ()), Ok(()));
        assert_eq!(drops.count(), 1);
        assert!(rx.try_recv().is_err());

        let parks = rendez::go({
            let (token, tx) = (drops.token(), tx.clone());
            move || {
                select! {
                    send(tx, token) -> sent => sent.unwrap_err().into_inner(),
                    recv(chan::never::<()>()) -> _ => unreachable!("nil"),
                }
            }
        });
        rendez::yield_now();
        until(|| tx.is_closed() || tx.close());
        let back = parks.join().unwrap();
        assert_eq!(drops.count(), 1, "the close gave it back");
        drop(back);
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn a_slot_keeps_its_value_unless_its_arm_is_chosen() {
    everywhere(|| {
        let drops = Drops::default();
        let (tx, rx) = chan::bounded(1);
        let (other_tx, other) = chan::bounded(8);
        tx.send(drops.token()).unwrap();
        let mut slot = Some(drops.token());
        for patience in 0..4 {
            other_tx.send(()).unwrap();
            match patience {
                0 => select! {
                    send(tx, take slot) -> _ => unreachable!("full"),
                    recv(other) -> value => value.unwrap(),
                },
                1 => select! {
                    send(tx, take slot) -> _ => unreachable!("full"),
                    default => {}
                },
                2 => select! {
                    send(tx, take slot) -> _ => unreachable!("full"),
                    recv(chan::never::<()>()) -> _ => unreachable!("nil"),
                    default => {}
                },
                _ => select! {
                    send(tx, take slot) -> _ => unreachable!("full"),
                    default(Duration::from_micros(20)) => {}
                },
            }
            assert!(slot.is_some());
        }
        assert_eq!(drops.count(), 0);
        drop(rx.recv());
        select! { send(tx, take slot) -> sent => sent.unwrap() }
        assert!(slot.is_none());
        assert_eq!((drops.count(), rx.len()), (1, 1));
        slot = Some(drops.token());
        drop(rx);
        assert_eq!(drops.count(), 2);
        let SendError(back) = select! { send(tx, take slot) -> sent => sent.unwrap_err() };
        assert!(slot.is_none());
        drop(back);
        assert_eq!(drops.count(), 3);
    });
}

/// A slot that parks, in every world, against receivers that may or may not come.
#[test]
fn slots_that_park_lose_nothing() {
    in_every_world(|crew| {
        let drops = Drops::default();
        let many = rounds(10_000);
        let (tx, rx) = chan::bounded(0);
        let (stop_tx, stop) = chan::bounded::<()>(0);
        let sender = crew.start({
            let drops = drops.clone();
            move |_| async move {
                let (mut sent, mut made, mut slot) = (0, 0, None);
                loop {
                    slot.get_or_insert_with(|| {
                        made += 1;
                        drops.token()
                    });
                    let limit = Duration::from_nanos(sent * 31 % 4001);
                    select! {
                        send(tx, take slot) -> result => match result {
                            Ok(()) => sent += 1,
                            Err(_) => break,
                        },
                        recv(stop) -> _ => break,
                        default(limit) => assert!(slot.is_some()),
                    }
                }
                (sent as usize, made)
            }
        });
        let mut received = 0;
        while received < many {
            match rx.recv_timeout(Duration::from_nanos(received as u64 * 17 % 3001)) {
                Ok(_token) => received += 1,
                Err(error) => assert_eq!(error, chan::RecvTimeoutError::Timeout),
            }
        }
        drop(stop_tx);
        let (sent, made) = sender.join();
        received += rx.try_iter().count();
        assert_eq!((sent, drops.count()), (received, made));
    });
}

/// Panics once, when it is dropped, if it is told to.
struct Panics {
    _token: Token,
    armed: Arc<AtomicBool>,
}

impl Drop for Panics {
    fn drop(&mut self) {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "on purpose");
    }
}

#[test]
fn the_drop_of_a_losing_value_may_panic() {
    everywhere(|| {
        let drops = Drops::default();
        let armed = Arc::new(AtomicBool::new(false));
        let value = || Panics { _token: drops.token(), armed: armed.clone() };
        let (full, full_rx) = chan::bounded(1);
        full.send(value()).unwrap();
        let (tx, rx) = chan::bounded(2);
        tx.send(drops.token()).unwrap();
        armed.store(true, Ordering::SeqCst);
        let mut bodies = 0;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            select! {
                recv(rx) -> _value => bodies += 1,
                send(full, value()) -> _ => unreachable!("full"),
                send(full, value()) -> _ => unreachable!("full"),
            }
        }));
        assert_eq!((text(panicked.unwrap_err()), bodies), ("on purpose".to_string(), 0));
        // Both losing values, and the one received: each once.
        assert_eq!((drops.count(), rx.len(), full_rx.len()), (3, 0, 1));

        armed.store(true, Ordering::SeqCst);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            choose([full.send_event(value()), full.send_event(value())]).wait_timeout(Duration::ZERO)
        }));
        assert_eq!(text(panicked.expect_err("it panics")), "on purpose");
        assert_eq!(drops.count(), 5);

        // What a choice has received goes back.
        let (tx, rx) = chan::bounded(1);
        tx.send(()).unwrap();
        armed.store(true, Ordering::SeqCst);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            choose([
                rx.recv_event().map(|_| ()).boxed(),
                full.send_event(value()).map(|_| ()).boxed(),
                full.send_event(value()).map(|_| ()).boxed(),
            ])
            .wait()
        }));
        assert_eq!(text(panicked.unwrap_err()), "on purpose");
        assert_eq!((drops.count(), rx.len()), (7, 1));

        // A received one, whose result has no name.
        armed.store(true, Ordering::SeqCst);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            select! {
                recv(full_rx) -> _ => {}
                recv(chan::never::<()>()) -> _ => {}
            }
        }));
        assert_eq!(text(panicked.unwrap_err()), "on purpose");
        assert_eq!((drops.count(), full_rx.len()), (8, 0));
    });
}

#[test]
fn the_function_of_a_mapped_event_may_panic_and_the_value_is_dropped_once() {
    everywhere(|| {
        let drops = Drops::default();
        let (tx, rx) = chan::bounded(2);
        tx.send(drops.token()).unwrap();
        tx.send(drops.token()).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            rx.recv_event().map(|_value| panic!("on purpose")).boxed_local().wait()
        }));
        assert_eq!(text(panicked.unwrap_err()), "on purpose");
        assert_eq!((drops.count(), rx.len()), (1, 1));
        let never_called = rx.recv_event().map(|_| panic!("it was not chosen"));
        let chosen = chan::never::<()>();
        drop(choose([never_called.boxed(), chosen.recv_event().map(|_| ()).boxed()]));
        assert_eq!((drops.count(), rx.len()), (1, 1));
    });
}

/// Counts in a static, as it has no room for anything else.
struct Nothing;

static NOTHINGS: AtomicUsize = AtomicUsize::new(0);

impl Drop for Nothing {
    fn drop(&mut self) {
        NOTHINGS.fetch_add(1, Ordering::SeqCst);
    }
}

/// Selects of all forms between two roles; each value is made by `make` and seen by `see`. (Each form is a function, so that
/// large values lie on the stack of one at a time.)
fn pass<T: Send + 'static>(
    crew: &Crew,
    capacity: usize,
    many: usize,
    make: fn(usize) -> T,
    see: fn(usize, &T),
) {
    let (tx, rx) = chan::bounded(capacity);
    let sender = crew.start(move |ops| async move {
        for i in 0..many {
            match i % 4 {
                0 => send_by_value(&tx, make(i)),
                1 => send_by_slot(&tx, make(i)),
                2 => assert!(Box::pin(ops.event(tx.send_event(make(i)))).await.is_ok()),
                _ => Box::pin(send_later(ops.awaits(), &tx, make(i))).await,
            }
        }
    });
    let receiver = crew.start(move |ops| async move {
        let mut received = 0;
        loop {
            let value = match received % 4 {
                0 => receive(&rx),
                1 => Box::pin(ops.event(choose([rx.recv_event(), rx.recv_event()]))).await.map(Box::new),
                2 => Box::pin(receive_later(ops.awaits(), &rx)).await,
                _ => {
                    let mut select = Select::new();
                    select.recv(&rx);
                    // Given up: it is the next one all the same.
                    drop(if ops.awaits() { select.wait_async().await } else { select.wait() });
                    receive(&rx)
                }
            };
            match value {
                Ok(value) => see(received, &value),
                Err(RecvError) => break received,
            }
            received += 1;
        }
    });
    sender.join();
    assert_eq!(receiver.join(), many);
}

fn send_by_value<T>(tx: &Sender<T>, value: T) {
    select! {
        send(tx, value) -> sent => assert!(sent.is_ok()),
        recv(chan::never::<()>()) -> _ => unreachable!("nil"),
    }
}

fn send_by_slot<T>(tx: &Sender<T>, value: T) {
    let mut slot = Some(value);
    while slot.is_some() {
        select! {
            send(tx, take slot) -> sent => assert!(sent.is_ok()),
            default(Duration::from_micros(5)) => {}
        }
    }
}

fn receive<T>(rx: &Receiver<T>) -> Result<Box<T>, RecvError> {
    select! {
        recv(rx) -> value => value.map(Box::new),
        recv(chan::never::<()>()) -> _ => unreachable!("nil"),
    }
}

async fn receive_later<T: Send>(awaits: bool, rx: &Receiver<T>) -> Result<Box<T>, RecvError> {
    let mut select = Select::new();
    select.recv(rx);
    let operation = if awaits { select.wait_async().await } else { select.wait() };
    operation.recv(rx).map(Box::new)
}

async fn send_later<T: Send>(awaits: bool, tx: &Sender<T>, value: T) {
    let mut select = Select::new();
    select.send(tx);
    let operation = if awaits { select.wait_async().await } else { select.wait() };
    assert!(operation.send(tx, value).is_ok());
}

#[test]
fn values_that_count_large_ones_and_those_without_a_size_pass_through_selects() {
    in_every_world(|crew| {
        for capacity in [0, 1, 3] {
            let many = rounds(2_000);
            pass(crew, capacity, many, |i| [i as u8; 4096], |i, value| assert_eq!(value, &[i as u8; 4096]));
            pass(crew, capacity, many, |i| i, |i, value| assert_eq!(value, &i));
            pass(crew, capacity, many, |i| vec![i; 3], |i, value| assert_eq!(value, &[i; 3]));
            let before = NOTHINGS.load(Ordering::SeqCst);
            pass(crew, capacity, many, |_| Nothing, |_, _| {});
            assert_eq!(NOTHINGS.load(Ordering::SeqCst) - before, many);
        }
    });
}

/// Many on each side, over two channels: each token is dropped once.
#[test]
fn every_value_is_dropped_once() {
    in_every_world(|crew| {
        let drops = Drops::default();
        let many = rounds(2_000);
        let ((tx_a, rx_a), (tx_b, rx_b)) = (chan::bounded(0), chan::bounded(2));
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let (tx_a, tx_b, drops) = (tx_a.clone(), tx_b.clone(), drops.clone());
                crew.start(move |_| async move {
                    for _ in 0..many {
                        select! {
                            send(tx_a, drops.token()) -> sent => assert!(sent.is_ok()),
                            send(tx_b, drops.token()) -> sent => assert!(sent.is_ok()),
                        }
                    }
                })
            })
            .collect();
        drop((tx_a, tx_b));
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let (mut rx_a, mut rx_b) = (Some(rx_a.clone()), Some(rx_b.clone()));
                crew.start(move |_| async move {
                    let mut received = 0;
                    while rx_a.is_some() || rx_b.is_some() {
                        select! {
                            recv(rx_a) -> token => match token {
                                Ok(_token) => received += 1,
                                Err(RecvError) => rx_a = None,
                            },
                            recv(rx_b) -> token => match token {
                                Ok(_token) => received += 1,
                                Err(RecvError) => rx_b = None,
                            },
                        }
                    }
                    received
                })
            })
            .collect();
        drop((rx_a, rx_b));
        senders.into_iter().for_each(Role::join);
        assert_eq!(receivers.into_iter().map(Role::join).sum::<usize>(), 4 * many);
        assert_eq!(drops.count(), 8 * many, "of each two, one was sent and one lost");
    });
}

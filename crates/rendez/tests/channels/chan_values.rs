//! Values of every kind: of no size, of 64 KiB, with destructors, with destructors that panic or use the channel.

use crate::worlds::{CAPACITIES, channel, in_every_world, poll_once};
use rendez::chan::{self, Receiver, Sender, TryRecvError};
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Counts its drops.
#[derive(Clone)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new() -> (Counted, Arc<AtomicUsize>) {
        let drops = Arc::new(AtomicUsize::new(0));
        (Counted(drops.clone()), drops)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn count(drops: &AtomicUsize) -> usize {
    drops.load(Ordering::SeqCst)
}

#[test]
fn values_without_a_size_are_counted_like_others() {
    in_every_world(|crew| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let sender = crew.start(move |ops| async move {
                for _ in 0..100 {
                    ops.send(&tx, ()).await.unwrap();
                }
            });
            assert_eq!(rx.iter().count(), 100);
            sender.join();
        }
    });
}

#[test]
fn a_value_without_a_size_but_with_a_destructor_is_dropped_once() {
    thread_local!(static DROPS: Cell<usize> = const { Cell::new(0) });
    struct Unit;
    impl Drop for Unit {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
        }
    }
    let (tx, rx) = chan::bounded(3);
    for _ in 0..3 {
        assert!(tx.send(Unit).is_ok());
    }
    assert!(tx.try_send(Unit).is_err());
    assert_eq!(DROPS.get(), 1);
    drop(rx.recv());
    assert_eq!(DROPS.get(), 2);
    drop(rx);
    assert_eq!(DROPS.get(), 4);
}

#[test]
fn values_of_64_kib_arrive_whole() {
    const SIZE: usize = 64 * 1024;
    fn large(i: usize) -> [u8; SIZE] {
        let mut bytes = [i as u8; SIZE];
        bytes[SIZE - 1] = !(i as u8);
        bytes
    }
    for capacity in CAPACITIES {
        let (tx, rx) = channel(capacity);
        // On threads, whose stacks have room for some copies in a debug build.
        let sender = std::thread::spawn(move || {
            for i in 0..20 {
                tx.send(large(i)).unwrap();
            }
        });
        for i in 0..20 {
            assert!(rx.recv().unwrap() == large(i));
        }
        sender.join().unwrap();
    }
}

#[test]
fn values_of_64_kib_go_through_futures() {
    // A debug build copies them from frame to frame.
    let roomy = std::thread::Builder::new().stack_size(16 << 20);
    let test = roomy.spawn(|| {
        let (tx, rx) = chan::bounded(0);
        let mut send = Box::pin(tx.send_async([7u8; 64 * 1024]));
        assert!(poll_once(send.as_mut()).is_none());
        assert!(rx.recv().unwrap().iter().all(|&byte| byte == 7));
        assert!(poll_once(send.as_mut()).is_some_and(|sent| sent.is_ok()));
        let mut receive = Box::pin(rx.recv_async());
        assert!(poll_once(receive.as_mut()).is_none());
        assert!(tx.send([9u8; 64 * 1024]).is_ok());
        assert!(poll_once(receive.as_mut()).is_some_and(|got| got.unwrap()[64 * 1024 - 1] == 9));
    });
    test.unwrap().join().unwrap();
}

#[test]
fn the_last_receiver_drops_what_is_buffered_exactly_once() {
    for capacity in [Some(3), None] {
        let (value, drops) = Counted::new();
        let (tx, rx) = channel(capacity);
        for _ in 0..3 {
            assert!(tx.send(value.clone()).is_ok());
        }
        let other = rx.clone();
        drop(rx);
        assert_eq!(count(&drops), 0);
        drop(other);
        assert_eq!(count(&drops), 3, "at once, though a sender is left");
        drop(tx);
        assert_eq!(count(&drops), 3);
    }
}

#[test]
fn a_closed_channels_buffer_goes_with_its_last_receiver_and_not_before() {
    let (value, drops) = Counted::new();
    let (tx, rx) = chan::bounded(2);
    assert!(tx.send(value.clone()).is_ok() && tx.send(value).is_ok());
    tx.close();
    drop(tx);
    assert_eq!(count(&drops), 0);
    drop(rx.recv());
    assert_eq!(count(&drops), 1);
    drop(rx);
    assert_eq!(count(&drops), 2);
}

#[test]
fn a_failed_send_neither_keeps_nor_drops_its_value() {
    let (value, drops) = Counted::new();
    let (tx, rx) = chan::bounded(0);
    let value = tx.try_send(value).unwrap_err().into_inner();
    drop(rx);
    let value = tx.send(value).unwrap_err().into_inner();
    let value = crate::worlds::drive(tx.send_async(value)).unwrap_err().into_inner();
    assert_eq!(count(&drops), 0);
    drop(value);
    assert_eq!(count(&drops), 1);
}

/// Panics when it is dropped.
struct Grenade(#[expect(dead_code, reason = "held")] Counted);

impl Drop for Grenade {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a destructor that panics");
        }
    }
}

#[test]
fn a_destructor_that_panics_leaves_the_other_values_dropped_and_the_channel_closed() {
    let (value, drops) = Counted::new();
    let (tx, rx) = chan::bounded(3);
    for _ in 0..3 {
        assert!(tx.send(Grenade(value.clone())).is_ok());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
    assert_eq!(count(&drops), 3);
    assert!(tx.is_closed() && tx.is_empty());
    let back = tx.send(Grenade(value)).unwrap_err().into_inner();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(back))).is_err());
}

#[test]
fn a_destructor_that_panics_in_a_dropped_future_leaves_the_channel_usable() {
    let (value, drops) = Counted::new();
    let (tx, rx) = chan::bounded(0);
    let mut send = Box::pin(tx.send_async(Grenade(value.clone())));
    assert!(poll_once(send.as_mut()).is_none());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(send))).is_err());
    assert_eq!(count(&drops), 1);
    assert_eq!(rx.try_recv().map(|_| ()), Err(TryRecvError::Empty));
    let mut receive = pin!(rx.recv_async());
    assert!(poll_once(receive.as_mut()).is_none());
    assert!(tx.try_send(Grenade(value)).is_ok());
    let got = poll_once(receive).expect("handed over").unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(got))).is_err());
}

/// On drop, sends its successor on the channel it came from.
struct Echo {
    left: usize,
    home: Sender<Echo>,
    drops: Arc<AtomicUsize>,
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
        if self.left > 0 {
            let next = Echo { left: self.left - 1, home: self.home.clone(), drops: self.drops.clone() };
            // Not accepted means dropped here, one level deeper.
            drop(self.home.try_send(next));
        }
    }
}

#[test]
fn a_value_whose_drop_sends_on_its_own_channel_finds_it_usable() {
    for capacity in [Some(1), Some(3), None] {
        let drops = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = channel(capacity);
        assert!(tx.send(Echo { left: 5, home: tx.clone(), drops: drops.clone() }).is_ok());
        for i in 1..=6 {
            drop(rx.recv().unwrap());
            assert_eq!(count(&drops), i);
        }
        assert!(rx.is_empty());
    }
}

#[test]
fn a_value_whose_drop_sends_on_its_own_channel_is_told_that_the_last_receiver_has_gone() {
    let drops = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = chan::unbounded();
    for _ in 0..3 {
        assert!(tx.send(Echo { left: 2, home: tx.clone(), drops: drops.clone() }).is_ok());
    }
    drop(tx);
    drop(rx);
    assert_eq!(count(&drops), 9);
}

#[test]
fn a_channel_of_channels_carries_requests_with_their_answers() {
    type Request = (u64, Sender<u64>);
    in_every_world(|crew| {
        let (requests, incoming): (Sender<Request>, Receiver<Request>) = chan::bounded(0);
        let server = crew.start(move |ops| async move {
            while let Ok((number, answer)) = ops.recv(&incoming).await {
                ops.send(&answer, number * number).await.unwrap();
            }
        });
        let clients: Vec<_> = (0..5)
            .map(|number| {
                let requests = requests.clone();
                crew.start(move |ops| async move {
                    let (answer, answers) = chan::bounded(0);
                    ops.send(&requests, (number, answer)).await.unwrap();
                    ops.recv(&answers).await.unwrap()
                })
            })
            .collect();
        drop(requests);
        for (number, client) in (0..).zip(clients) {
            assert_eq!(client.join(), number * number);
        }
        server.join();
    });
}

/// A channel that carries its own endpoints.
struct Knot(
    #[expect(dead_code, reason = "held")] Option<Sender<Knot>>,
    #[expect(dead_code, reason = "held")] Counted,
);

#[test]
fn a_channel_that_holds_its_own_sender_ends_with_its_receiver() {
    let (value, drops) = Counted::new();
    let (tx, rx) = chan::bounded(1);
    assert!(tx.send(Knot(Some(tx.clone()), value)).is_ok());
    drop(tx);
    assert!(!rx.is_closed(), "the sender in the buffer keeps it open");
    drop(rx);
    assert_eq!(count(&drops), 1);
}

#[test]
fn a_channel_that_holds_its_own_receiver_is_freed_by_receiving_from_it() {
    struct Knot(Receiver<Knot>, Counted);
    let (value, drops) = Counted::new();
    let (tx, rx) = chan::bounded(1);
    assert!(tx.send(Knot(rx.clone(), value)).is_ok());
    drop(tx);
    let Knot(own, counted) = rx.recv().unwrap();
    drop((own, counted));
    assert!(rx.recv().is_err());
    assert_eq!(count(&drops), 1);
}

#[test]
fn a_value_may_borrow_from_outside_the_channel() {
    let text = String::from("one two three");
    let (tx, rx) = chan::unbounded();
    rendez::scope(|scope| {
        let text = &text;
        scope.go(move || text.split(' ').for_each(|word| tx.send(word).unwrap()));
    });
    assert_eq!(rx.iter().collect::<Vec<&str>>(), ["one", "two", "three"]);
}

#[test]
fn dropping_a_long_buffer_needs_little_stack() {
    let (value, drops) = Counted::new();
    let (tx, rx) = chan::unbounded();
    for _ in 0..100_000 {
        tx.send(Box::new(value.clone())).map_err(drop).unwrap();
    }
    rendez::go(move || drop(rx)).join().unwrap();
    assert_eq!(count(&drops), 100_000);
}

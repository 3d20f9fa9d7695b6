//! `select!` as Go's `select`: who is chosen, what the others lose (nothing), and when the default is.
#![cfg(not(loom))]

use rendez::{
    Event, Runtime, Select,
    chan::{self, Receiver},
    choose, go, select,
    sync::WaitGroup,
    time,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// More rounds where they are cheap.
const fn rounds(release: usize) -> usize {
    if cfg!(debug_assertions) || cfg!(rendez_sanitize) { release / 50 } else { release }
}

fn closed() -> Receiver<()> {
    chan::bounded(0).1
}

const PICKS: usize = 10_000;

#[test]
fn of_two_ready_arms_each_is_chosen_half_of_the_time() {
    let (a, b) = (closed(), closed());
    let by_macro = (0..PICKS).filter(|_| select! { recv(a) -> _ => true, recv(b) -> _ => false }).count();
    let by_choice = (0..PICKS)
        .filter(|_| {
            choose([a.recv_event().map(|_| true).boxed(), b.recv_event().map(|_| false).boxed()]).wait()
        })
        .count();
    let mut select = Select::new();
    let first = select.recv(&a);
    select.recv(&b);
    let by_select = (0..PICKS).filter(|_| select.wait().index() == first).count();
    for count in [by_macro, by_choice, by_select] {
        assert!((4700..=5300).contains(&count), "{by_macro} {by_choice} {by_select}");
    }
}

#[test]
fn of_three_arms_the_ready_ones_are_chosen_equally_often() {
    let ready = [closed(), closed(), closed()];
    let silent = chan::never::<()>();
    let mut counts = [0; 3];
    for _ in 0..PICKS {
        counts[select! {
            recv(ready[0]) -> _ => 0,
            recv(ready[1]) -> _ => 1,
            recv(ready[2]) -> _ => 2,
        }] += 1;
    }
    assert!(counts.iter().all(|count| (3000..=3667).contains(count)), "{counts:?}");
    let mut counts = [0; 2];
    for _ in 0..PICKS {
        counts[select! {
            recv(ready[0]) -> _ => 0,
            recv(silent) -> _ => unreachable!(),
            recv(ready[2]) -> _ => 1,
        }] += 1;
    }
    assert!(counts.iter().all(|count| (4700..=5300).contains(count)), "{counts:?}");
}

#[test]
fn biased_takes_the_first_ready_arm_in_the_order_of_the_source() {
    let (silent, a, b) = (chan::never::<()>(), closed(), closed());
    for _ in 0..1000 {
        select! {
            biased;
            recv(silent) -> _ => unreachable!(),
            recv(a) -> _ => {}
            recv(b) -> _ => panic!("the first ready arm goes first"),
        }
    }
}

#[test]
fn the_same_channel_may_stand_in_several_arms_and_a_select_never_meets_itself() {
    let (tx, rx) = chan::bounded(0);
    for _ in 0..100 {
        select! {
            send(tx, 1) -> _ => panic!("nobody else receives"),
            recv(rx) -> _ => panic!("nobody else sends"),
            recv(rx) -> _ => panic!("nobody else sends"),
            default => {}
        }
        select! {
            send(tx, 1) -> _ => panic!("nobody else receives"),
            recv(rx) -> _ => panic!("nobody else sends"),
            default(Duration::from_micros(50)) => {}
        }
    }
    // Two that do the same meet each other.
    for _ in 0..rounds(5000) {
        let other = {
            let (tx, rx) = (tx.clone(), rx.clone());
            go(move || select! { send(tx, 2) -> sent => sent.is_ok(), recv(rx) -> got => got != Ok(1) })
        };
        let sent = select! { recv(rx) -> got => got != Ok(2), send(tx, 1) -> sent => sent.is_ok() };
        assert_ne!(sent, other.join().unwrap(), "one has sent and one has received");
    }
}

#[test]
fn arms_that_close_while_it_parks_end_it() {
    for workers in [1, 2] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            for _ in 0..rounds(5000) {
                let (tx, rx) = chan::bounded::<u32>(0);
                let (never, silent) = chan::bounded::<u32>(0);
                let other = go(
                    move || select! { recv(silent) -> got => got.is_err(), recv(rx) -> got => got.is_err() },
                );
                drop(tx);
                assert!(other.join().unwrap());
                drop(never);
            }
        });
    }
}

/// Counts itself; may panic when it goes.
struct Counted(Arc<AtomicUsize>, bool);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count.clone(), false)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        assert!(!self.1, "asked to panic");
    }
}

#[test]
fn a_losing_send_drops_its_value_once_and_delivers_nothing() {
    let count = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = chan::bounded::<Counted>(0);
    let ready = closed();
    for _ in 0..100 {
        select! {
            send(tx, Counted::new(&count)) -> _ => panic!("nobody receives"),
            recv(ready) -> _ => {}
        }
        assert_eq!(count.load(Ordering::SeqCst), 0);
        assert!(rx.try_recv().is_err());
    }
    // One whose drop panics, parked until a time-out.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let mut value = Counted::new(&count);
        value.1 = true;
        select! {
            send(tx, value) -> _ => panic!("nobody receives"),
            default(Duration::from_millis(1)) => panic!("the value goes first, and panics"),
        }
    }));
    assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "asked to panic");
    assert_eq!(count.load(Ordering::SeqCst), 0);
    tx.close();
    let back = select! { send(tx, Counted::new(&count)) -> sent => sent.unwrap_err().into_inner() };
    assert_eq!(count.load(Ordering::SeqCst), 1, "a closed channel gives it back");
    drop(back);
}

#[test]
fn take_sends_out_of_the_slot_only_if_it_is_chosen() {
    let count = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = chan::bounded::<Counted>(0);
    let mut slot = Some(Counted::new(&count));
    for _ in 0..10 {
        select! {
            send(tx, take slot) -> _ => panic!("nobody receives"),
            default(Duration::from_micros(100)) => {}
        }
        assert!(slot.is_some());
    }
    let receiver = go(move || drop(rx.recv().unwrap()));
    select! { send(tx, take slot) -> sent => assert!(sent.is_ok()) }
    receiver.join().unwrap();
    assert!(slot.is_none());
    assert_eq!(count.load(Ordering::SeqCst), 0);
    select! {
        send(tx, take slot) -> _ => panic!("an empty slot is never ready, not even on a closed channel"),
        default => {}
    }
    slot = Some(Counted::new(&count));
    select! { send(tx, take slot) -> sent => drop(sent.unwrap_err()) }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[test]
fn the_default_is_not_taken_while_a_token_moves_from_channel_to_channel() {
    let (tx_a, rx_a) = chan::bounded(2);
    let (tx_b, rx_b) = chan::bounded(2);
    tx_a.send(()).unwrap();
    let (stop, moves) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    // One of the channels holds a token at every instant but while the looker has it in hand, and then nobody looks.
    let mover = std::thread::spawn({
        let (stop, moves) = (stop.clone(), moves.clone());
        let (tx_a, rx_a, tx_b, rx_b) = (tx_a.clone(), rx_a.clone(), tx_b.clone(), rx_b.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                for (to, from) in [(&tx_b, &rx_a), (&tx_a, &rx_b)] {
                    to.send(()).unwrap();
                    // Ours, or the one that was there: if the looker has one, it puts it back where it was.
                    from.recv().unwrap();
                    moves.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    let mut round = 0;
    while round < rounds(2_000_000) || moves.load(Ordering::Relaxed) < 100 {
        round += 1;
        select! {
            recv(rx_a) -> _ => tx_a.send(()).unwrap(),
            recv(rx_b) -> _ => tx_b.send(()).unwrap(),
            default => panic!("round {round}: a token was in one of them all the time"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    mover.join().unwrap();
}

#[test]
fn a_goroutine_in_a_select_is_unwound_by_a_shutdown() {
    struct Ended(chan::Sender<()>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let (tx, ended) = chan::unbounded();
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let (parked, is_parked) = chan::bounded(0);
    for kind in 0..3 {
        let (ended, parked) = (Ended(tx.clone()), parked.clone());
        drop(runtime.spawn(move || {
            let _ended = ended;
            let (tx, rx) = chan::bounded::<i32>(0);
            parked.send(()).unwrap();
            match kind {
                0 => select! {},
                1 => select! { recv(rx) -> _ => {}, recv(chan::never::<()>()) -> _ => {} },
                _ => _ = choose([rx.recv_event(), rx.recv_event()]).wait(),
            }
            drop(tx);
        }));
    }
    (0..3).for_each(|_| is_parked.recv().unwrap());
    runtime.shutdown();
    assert_eq!(ended.try_iter().count(), 3);
}

#[test]
fn ends_of_goroutines_groups_and_moments_are_arms_too() {
    let body = || {
        let wg = WaitGroup::new();
        wg.add(1);
        let (tx, rx) = chan::bounded::<()>(0);
        let worker = go({
            let wg = wg.clone();
            move || {
                wg.done();
                let _ = rx.recv();
                7
            }
        });
        select! { wait(&wg) -> () => {}, wait(time::timer(Duration::from_secs(60))) -> _ => panic!("late") }
        select! { wait(&worker) -> () => panic!("it waits"), default => {} }
        drop(tx);
        select! { wait(&worker) -> () => {}, default(Duration::from_secs(60)) => panic!("late") }
        assert_eq!(worker.join().unwrap(), 7);
        let first = select! {
            wait(time::timer(Duration::from_secs(60))) -> _ => 60,
            wait(time::timer(Duration::from_millis(1))) -> _ => 1,
        };
        assert_eq!(first, 1);
    };
    body();
    go(body).join().unwrap();
}

#[test]
fn large_and_zero_sized_values_go_through() {
    let (tx, rx) = chan::bounded::<[u8; 4096]>(0);
    let (unit_tx, unit_rx) = chan::bounded::<()>(0);
    let sender = go(move || {
        for i in 0..100_u8 {
            select! { send(tx, [i; 4096]) -> sent => sent.unwrap() }
            select! { send(unit_tx, ()) -> sent => sent.unwrap() }
        }
    });
    for i in 0..100_u8 {
        let got = select! { recv(rx) -> got => got.unwrap(), recv(unit_rx) -> _ => panic!("not its turn") };
        assert!(got == [i; 4096]);
        select! { recv(unit_rx) -> got => got.unwrap() }
    }
    sender.join().unwrap();
}

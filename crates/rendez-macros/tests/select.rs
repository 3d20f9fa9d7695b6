//! `select!` as its users write it: when operands are evaluated, how long what they make lives, and what a body may do.
//!
//! What must not compile is in `crates/rendez/tests/compile_fail/select_*.rs`; what the operations mean at run time is
//! tested with the library.

// No lint may fire at what the macro makes.
#![deny(warnings, unused, clippy::all, clippy::pedantic, let_underscore_drop, unused_qualifications)]
#![allow(clippy::cast_lossless, reason = "`take as i8` is there to be read as an expression")]

use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::time::Duration;

use rendez::chan::{self, Receiver, RecvError, SendError, Sender};
use rendez::{Event, select};

/// Long past what any test takes.
const LONG: Duration = Duration::from_secs(100);

/// A channel with that in its buffer, and its sender.
fn filled<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = chan::bounded(1);
    assert!(tx.send(value).is_ok());
    (tx, rx)
}

#[test]
fn the_value_of_the_chosen_body_is_the_value_of_the_macro() {
    let (_tx, rx) = filled(20);
    let doubled = select! { recv(rx) -> n => n.map_or(0, |n| 2 * n) };
    assert_eq!(doubled, 40);
    let text = select! {
        recv(rx) -> _ => "received",
        default => "nothing there",
    };
    assert_eq!(text, "nothing there");
}

#[test]
fn operands_are_evaluated_once_from_top_to_bottom() {
    let order = RefCell::new(Vec::new());
    let seen = |what| order.borrow_mut().push(what);
    let never = chan::never::<i32>();
    let (tx, _full) = filled(1);
    let (_other, rx) = filled(2);
    let mut slot = [Some(3)];
    select! {
        recv({ seen("recv"); &never }) -> _ => unreachable!(),
        send({ seen("send"); &tx }, { seen("value"); 2 }) -> _ => unreachable!(),
        default({ seen("duration"); LONG }) => unreachable!(),
        send({ seen("take"); &tx }, take slot[{ seen("slot"); 0 }]) -> _ => unreachable!(),
        wait({ seen("wait"); rx.recv_event() }) -> got => assert_eq!(got, Ok(2)),
    }
    assert_eq!(*order.borrow(), ["recv", "send", "value", "duration", "take", "slot", "wait"]);
    assert_eq!(slot, [Some(3)]);
}

#[test]
fn a_body_may_assign_to_what_the_arms_looked_at() {
    let (tx, rx) = filled(1);
    let (_other_tx, other_rx) = filled(2);
    let (mut first, mut second) = (Some(rx), Some(&other_rx));
    let mut sum = 0;
    while first.is_some() || second.is_some() {
        select! {
            recv(first) -> n => {
                sum += n.unwrap();
                first = None;
            }
            recv(second) -> n => {
                sum += n.unwrap();
                second = None;
            }
        }
    }
    assert_eq!(sum, 3);
    assert_eq!(tx.send(3), Err(SendError(3)), "its receiver should be dropped");
}

#[test]
fn a_slot_can_be_filled_again_in_the_body() {
    let (tx, rx) = chan::bounded(2);
    let mut slot = Some(1);
    for _ in 0..2 {
        select! { send(tx, take slot) -> sent => {
            assert_eq!((sent, slot), (Ok(()), None));
            slot = Some(2);
        } }
    }
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
}

#[test]
fn a_slot_may_be_any_place() {
    struct Outbox<'a> {
        slots: Vec<Option<u8>>,
        borrowed: &'a mut Option<u8>,
    }
    let (tx, rx) = chan::bounded(4);
    let (mut last, mut boxed) = (Some(4), Box::new(Some(3)));
    let mut outbox = Outbox { slots: vec![None, Some(1)], borrowed: &mut Some(2) };
    select! { send(tx, take outbox.slots[1]) -> sent => sent.unwrap() }
    select! { send(tx, take *outbox.borrowed) -> sent => sent.unwrap() }
    select! { send(tx, take *boxed) -> sent => sent.unwrap() }
    select! { send(tx, take last) -> sent => sent.unwrap() }
    drop(tx);
    assert_eq!(rx.iter().collect::<Vec<u8>>(), [1, 2, 3, 4]);
}

#[test]
fn take_is_a_name_like_any_other_where_no_place_follows() {
    struct Shop {
        field: i8,
    }
    let (tx, rx) = chan::bounded(8);
    {
        let take = 1_i8;
        select! { send(tx, take) -> sent => sent.unwrap() }
        select! { send(tx, take + 1) -> sent => sent.unwrap() }
        select! { send(tx, (take * 3)) -> sent => sent.unwrap() }
    }
    {
        let take = true;
        select! { send(tx, take as i8) -> sent => sent.unwrap() }
    }
    {
        let take = |x: i8| x;
        select! { send(tx, take(4)) -> sent => sent.unwrap() }
    }
    {
        let take = Shop { field: 5 };
        select! { send(tx, take.field) -> sent => sent.unwrap() }
    }
    {
        let take = [6];
        select! { send(tx, take[0],) -> sent => sent.unwrap() }
    }
    {
        let mut take = Some(7);
        select! { send(tx, take take) -> sent => sent.unwrap() }
    }
    drop(tx);
    assert_eq!(rx.iter().collect::<Vec<i8>>(), [1, 2, 3, 1, 4, 5, 6, 7]);
}

#[test]
fn what_operands_borrow_is_given_back_before_the_body_runs() {
    let shared = Mutex::new(filled(1).1);
    let answer = select! {
        recv(&*shared.lock().unwrap()) -> got => (got, shared.try_lock().is_ok()),
        default(*Mutex::new(LONG).lock().unwrap()) => unreachable!(),
    };
    assert_eq!(answer, (Ok(1), true));
}

#[test]
fn temporaries_of_operands_live_through_the_wait() {
    struct Loud<'a>(&'a Cell<bool>, Receiver<u8>);
    impl Drop for Loud<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped = Cell::new(false);
    let loud = || Loud(&dropped, chan::never());
    select! {
        recv(loud().1) -> _ => unreachable!(),
        default(Duration::from_millis(1)) => assert!(dropped.get()),
    }
    dropped.set(false);
    select! {
        recv(loud().1) -> _ => unreachable!(),
        recv({ assert!(!dropped.get()); filled(1).1 }) -> _ => assert!(dropped.get()),
    }
}

#[test]
fn a_body_may_leave_the_loop_or_the_function() {
    fn drain(rx: &Receiver<i32>, stop: i32) -> Result<&'static str, RecvError> {
        let mut sum = 0;
        'all: loop {
            loop {
                select! {
                    recv(rx) -> n => match n? {
                        n if n == stop => return Ok("told to stop"),
                        0 => break 'all,
                        1 => continue,
                        2 => break,
                        n => sum += n,
                    },
                    recv(None::<&Receiver<u8>>) => continue 'all,
                }
                sum += 10;
            }
        }
        Ok(if sum == 13 { "summed up" } else { "wrong" })
    }
    let run = |values: &[i32]| {
        let (tx, rx) = chan::bounded(8);
        for value in values {
            tx.send(*value).unwrap();
        }
        drop(tx);
        drain(&rx, 9)
    };
    assert_eq!(run(&[9]), Ok("told to stop"));
    assert_eq!(run(&[1, 2, 3, 0]), Ok("summed up"));
    assert_eq!(run(&[3]), Err(RecvError));
}

#[test]
fn all_bodies_may_diverge() {
    fn first(a: &Receiver<u8>, b: &Receiver<u8>) -> Result<u8, RecvError> {
        loop {
            select! {
                recv(a) -> got => return got,
                recv(b) -> got => return got,
                recv(chan::never::<u8>()) -> _ => {}
            }
        }
    }
    #[expect(clippy::needless_return, reason = "that it is found shows that lints look into the bodies")]
    fn tail(a: &Receiver<u8>) -> u8 {
        select! {
            recv(a) -> got => return got.unwrap(),
            default => panic!("nothing there"),
        }
    }
    let (_tx, rx) = filled(3);
    assert_eq!(first(&chan::never(), &rx), Ok(3));
    assert_eq!(tail(&filled(4).1), 4);
}

#[test]
fn any_irrefutable_pattern_will_do() {
    let (_tx, rx) = filled((1, String::from("one")));
    select! { recv(rx) -> mut got => {
        got.as_mut().unwrap().0 += 1;
        assert_eq!(got, Ok((2, String::from("one"))));
    } }
    let (tx, rx) = chan::bounded::<()>(1);
    drop(rx);
    let (Ok(()) | Err(SendError(()))) = select! { send(tx, ()) -> result @ (Ok(()) | Err(_)) => result };
    select! { send(tx, ()) -> Ok(()) | Err(SendError(())) => {} }
    select! { send(tx, ()) -> | Ok(()) | Err(_) => {} }
}

/// Its destructor writes that down.
struct Noted<'a>(&'a RefCell<Vec<&'static str>>);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push("dropped");
    }
}

#[test]
fn a_result_without_a_pattern_is_dropped_before_the_body_and_with_one_after() {
    let order = RefCell::new(Vec::new());
    let (_tx, rx) = filled(Noted(&order));
    select! { recv(rx) => order.borrow_mut().push("body") }
    assert_eq!(order.take(), ["dropped", "body"]);
    let (_tx, rx) = filled(Noted(&order));
    select! { recv(rx) -> _ => order.borrow_mut().push("body") }
    assert_eq!(order.take(), ["body", "dropped"]);
}

#[test]
fn a_body_may_use_what_the_result_of_another_arm_borrows() {
    /// Borrows until its destructor has run.
    struct Holder<'a>(&'a mut Vec<u8>);
    impl Drop for Holder<'_> {
        fn drop(&mut self) {
            self.0.push(0);
        }
    }
    let mut log = Vec::new();
    let (_tx, rx) = filled(7);
    let never = chan::never::<u8>();
    for _ in 0..2 {
        select! {
            wait(never.recv_event().map(|_| Holder(&mut log))) -> holder => holder.0.push(1),
            recv(rx) -> got => log.push(got.unwrap()),
            default => log.push(2),
        }
    }
    assert_eq!(log, [7, 2]);
}

#[test]
fn names_of_the_macro_and_of_the_user_do_not_meet() {
    let (_tx, rx) = filled(1);
    let (arm0, chosen, value, duration) = (&rx, 10, 100, 1000);
    let sum = select! {
        recv(arm0) -> got => got.unwrap() + chosen + value + duration,
        default(LONG) => unreachable!("{arm0:?}"),
    };
    assert_eq!(sum, 1111);
}

#[test]
fn selects_nest_in_operands_and_in_bodies() {
    let (_tx, outer) = filled(1);
    let (_tx, inner) = filled(2);
    let pair = select! {
        recv(select! { default => &outer }) -> first => select! {
            recv(inner) -> second => (first, second, select! { default => 3 }),
            recv(outer) -> _ => unreachable!(),
        },
    };
    assert_eq!(pair, (Ok(1), Ok(2), 3));
}

#[test]
fn commas_are_as_in_match() {
    let (_tx, rx) = filled(1);
    let never = chan::never::<i32>();
    select! { recv(rx) -> _ => {} recv(never) -> _ => {}, recv(never) -> _ => if LONG.is_zero() {} recv(never) => {} }
    #[rustfmt::skip]
    let two = select! {
        recv(never) -> _ => 1,
        recv(never) -> _ => { 1 }.max(LONG.subsec_nanos()),
        recv(never) -> _ => { Some(1) }.map_or(1, |x| x),
        recv(chan::never::<u32>()) -> n => match n { Ok(n) => n + 1, Err(RecvError) => 1 }
        default => 2
    };
    assert_eq!(two, 2);
}

#[test]
fn default_may_stand_anywhere() {
    let (_tx, rx) = filled(1);
    let never = chan::never::<i32>();
    let next = |rx: &Receiver<i32>| {
        select! {
            default => None,
            recv(rx) -> n => n.ok(),
            recv(never) => None,
        }
    };
    assert_eq!((next(&rx), next(&rx)), (Some(1), None));
    let only = select! { default => 5 };
    let later = select! { biased; default(Duration::from_millis(1)) => only + 1 };
    assert_eq!(later, 6);
}

#[test]
fn a_select_without_arms_is_of_any_type() {
    fn stuck(really: bool) -> u32 {
        if really {
            select! {}
        } else {
            5
        }
    }
    fn biased(really: bool) -> u32 {
        if really {
            select! { biased; }
        } else {
            6
        }
    }
    assert_eq!((stuck(false), biased(false)), (5, 6));
}

#[test]
fn an_arm_may_depend_on_the_configuration() {
    let (_tx, rx) = filled(1);
    let ready = &rx;
    let got = select! {
        #[cfg(any())]
        recv(there_is_no_such_name) -> got => nor_this(got),
        #[cfg(all())]
        #[cfg(not(any()))]
        recv(ready) -> got => got.unwrap(),
        #[cfg(all())]
        #[cfg(any())]
        send(nor_such, nothing) => {}
        default => 0,
    };
    assert_eq!(got, 1);
    let none = select! {
        default => "nothing",
        #[cfg(any())]
        recv(ready) -> _ => "something",
    };
    assert_eq!(none, "nothing");
}

#[test]
fn macros_can_write_arms() {
    macro_rules! first {
        ($($rx:expr),*; $body:expr; $default:block; $slot:expr, $pattern:pat) => {
            select! {
                $(recv($rx) -> n => n.unwrap() + $body,)*
                send(None::<Sender<u8>>, take $slot) -> $pattern => unreachable!(),
                default => $default
            }
        };
    }
    let (_tx, rx) = filled(1);
    let never = chan::never::<i32>();
    let mut slot = Some(0);
    assert_eq!(first!(rx, &never; { 2 } * 2; { 9 }; slot, Ok(()) | Err(_)), 5);
    assert_eq!(first!(rx, &never; { 2 } * 2; { 9 }; (slot), _), 9);
}

#[test]
fn types_may_come_from_the_bodies() {
    let (tx, rx) = chan::bounded(1);
    select! { send(tx, Default::default()) -> sent => sent.unwrap() }
    let got = select! { recv(rx) -> got => got };
    assert_eq!(got, Ok(0_u64));
}

fn either<T: Clone, U>(ts: &Receiver<T>, us: &Sender<U>, u: U) -> Result<Vec<T>, U> {
    select! {
        biased;
        recv(ts) -> t => Ok(t.into_iter().collect()),
        send(us, u) -> sent => Err(sent.map_or_else(|back| back.0, |()| unreachable!())),
    }
}

#[test]
fn functions_with_type_parameters_may_select() {
    assert_eq!(either(&filled("t").1, &chan::bounded::<()>(0).0, ()), Ok(vec!["t"]));
}

#[test]
fn there_may_be_forty_arms() {
    let n = chan::never::<usize>();
    let (_tx, rx) = filled(40);
    macro_rules! select_last {
        ($($arm:literal)*) => {
            select! { $(recv(n) -> _ => $arm,)* recv(rx) -> n => n.unwrap() }
        };
    }
    let got = select_last!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
    );
    assert_eq!(got, 40);
}

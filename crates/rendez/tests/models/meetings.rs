//! Where several meet for one thing: a barrier, a call that is made once, a pool's objects, a flight that others share.

use super::Script;
use rendez::sync::{Barrier, Once, Pool, PoolGuard, SingleFlight};
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
};

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

fn poll<T>(future: &mut Pending<'_, T>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Plays the script at a barrier: those who come are let go together, the last of them with `true`, and who leaves has not come.
pub(crate) fn barrier(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let number = script.below(5);
    let barrier = Barrier::new(number);
    // Whether all have come.
    let mut waits: Vec<(bool, Pending<'_, bool>)> = Vec::new();
    while let Some(kind) = script.step(4) {
        match kind {
            0 | 1 => {
                let came = waits.iter().filter(|wait| !wait.0).count();
                let mut wait: Pending<'_, bool> = Box::pin(barrier.wait_async());
                if came + 1 >= number {
                    assert_eq!(poll(&mut wait), Poll::Ready(true));
                    waits.iter_mut().for_each(|wait| wait.0 = true);
                } else {
                    assert!(poll(&mut wait).is_pending());
                    waits.push((false, wait));
                }
            }
            2 if !waits.is_empty() => {
                let at = script.below(waits.len());
                let expected = if waits[at].0 { Poll::Ready(false) } else { Poll::Pending };
                assert_eq!(poll(&mut waits[at].1), expected);
                if waits[at].0 {
                    drop(waits.swap_remove(at));
                }
            }
            3 if !waits.is_empty() => drop(waits.swap_remove(script.below(waits.len()))),
            _ => {}
        }
    }
}

/// Plays the script at calls that are made once: the first is, whether it panics or not, and no other; whoever waits hears of its end.
pub(crate) fn once(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let onces = [Once::new(), Once::new(), Once::new()];
    let mut is_done = [false; 3];
    let mut waits: Vec<(usize, Pending<'_, ()>)> = Vec::new();
    while let Some(kind) = script.step(5) {
        let at = script.below(onces.len());
        match kind {
            0 | 1 => {
                let once = &onces[at];
                let mut wait: Pending<'_, ()> = Box::pin(async move { _ = once.wait_async().await });
                assert_eq!(poll(&mut wait).is_ready(), is_done[at]);
                if !is_done[at] {
                    waits.push((at, wait));
                }
            }
            2 if !waits.is_empty() => {
                let which = script.below(waits.len());
                let is_over = is_done[waits[which].0];
                assert_eq!(poll(&mut waits[which].1).is_ready(), is_over);
                if is_over {
                    drop(waits.swap_remove(which));
                }
            }
            3 if !waits.is_empty() => drop(waits.swap_remove(script.below(waits.len()))),
            4 => {
                let (was_done, panics, ran) = (is_done[at], script.below(2) == 0, Cell::new(false));
                let call = || {
                    onces[at].call_once(|| {
                        ran.set(true);
                        assert!(!onces[at].is_completed());
                        if panics {
                            // (Of which no hook is told.)
                            resume_unwind(Box::new("on purpose"));
                        }
                    });
                };
                let ended = catch_unwind(AssertUnwindSafe(call));
                assert_eq!(ran.get(), !was_done);
                assert_eq!(ended.is_err(), !was_done && panics);
                is_done[at] = true;
            }
            _ => {}
        }
        assert_eq!(onces[at].is_completed(), is_done[at]);
    }
}

/// Plays the script at a pool: an object is one user's at a time, one that is there is used before one is made, and none is lost.
pub(crate) fn pool(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let made = Arc::new(AtomicU32::new(0));
    let maker = made.clone();
    let pool = Pool::new(move || maker.fetch_add(1, Ordering::Relaxed));
    let (mut idle, mut next): (Vec<u32>, u32) = (Vec::new(), 1_000_000);
    let mut used: Vec<PoolGuard<'_, u32>> = Vec::new();
    while let Some(kind) = script.step(6) {
        match kind {
            0 | 1 => {
                let before = made.load(Ordering::Relaxed);
                let guard = pool.get();
                let is_new = made.load(Ordering::Relaxed) > before;
                assert_eq!(is_new, idle.is_empty());
                match idle.iter().position(|object| *object == *guard) {
                    Some(at) => drop(idle.swap_remove(at)),
                    None => assert!(is_new && *guard == before, "{} is somebody's", *guard),
                }
                used.push(guard);
            }
            2 if !used.is_empty() => {
                let guard = used.swap_remove(script.below(used.len()));
                idle.push(*guard);
                drop(guard);
            }
            3 if !used.is_empty() => {
                let guard = used.swap_remove(script.below(used.len()));
                let object = *guard;
                assert_eq!(guard.take(), object);
            }
            4 => {
                pool.put(next);
                idle.push(next);
                next += 1;
            }
            5 if script.below(4) == 0 => {
                pool.age();
                pool.age();
                idle.clear();
            }
            _ => {}
        }
        assert_eq!(pool.idle(), idle.len());
    }
}

/// What became of a flight.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flight {
    UnderWay,
    Landed(u32),
    Abandoned,
}

/// A call, whose own future has its value when `gate` is set.
struct Call<'a> {
    key: usize,
    flight: usize,
    leads: bool,
    gate: Rc<Cell<Option<u32>>>,
    future: Pending<'a, u32>,
}

/// Plays the script at shared flights: of the calls with one key the first leads, the others get its value, and one of them leads if it goes.
pub(crate) fn single_flight(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let shared: SingleFlight<usize, u32> = SingleFlight::new();
    let mut flights: Vec<Flight> = Vec::new();
    // By key, the flight that others would join.
    let mut under_way: [Option<usize>; 3] = [None; 3];
    let mut calls: Vec<Call<'_>> = Vec::new();
    let mut next = 0;
    // Which flight a call of this key has part in that comes now, and whether it leads.
    let enter =
        |key: usize, flights: &mut Vec<Flight>, under_way: &mut [Option<usize>; 3]| match under_way[key] {
            Some(flight) => (flight, false),
            None => {
                flights.push(Flight::UnderWay);
                under_way[key] = Some(flights.len() - 1);
                (flights.len() - 1, true)
            }
        };
    while let Some(kind) = script.step(6) {
        match kind {
            0 | 1 => {
                let (key, gate) = (script.below(3), Rc::new(Cell::new(None)));
                let theirs = gate.clone();
                let own = poll_fn(move |_| theirs.get().map_or(Poll::Pending, Poll::Ready));
                let mut future: Pending<'_, u32> = Box::pin(shared.run_async(key, own));
                assert!(poll(&mut future).is_pending());
                let (flight, leads) = enter(key, &mut flights, &mut under_way);
                calls.push(Call { key, flight, leads, gate, future });
            }
            2 if !calls.is_empty() => {
                let at = script.below(calls.len());
                next += 1;
                calls[at].gate.set(Some(next));
            }
            3 if !calls.is_empty() => {
                let at = script.below(calls.len());
                let call = &mut calls[at];
                if !call.leads && flights[call.flight] == Flight::Abandoned {
                    (call.flight, call.leads) = enter(call.key, &mut flights, &mut under_way);
                }
                let expected = match (call.leads, flights[call.flight]) {
                    (true, _) => call.gate.get(),
                    (false, Flight::Landed(value)) => Some(value),
                    (false, _) => None,
                };
                assert_eq!(poll(&mut call.future), expected.map_or(Poll::Pending, Poll::Ready));
                if let Some(value) = expected {
                    let call = calls.swap_remove(at);
                    if call.leads {
                        flights[call.flight] = Flight::Landed(value);
                        under_way[call.key].take_if(|flight| *flight == call.flight);
                    }
                }
            }
            4 if !calls.is_empty() => {
                let call = calls.swap_remove(script.below(calls.len()));
                drop(call.future);
                if call.leads {
                    flights[call.flight] = Flight::Abandoned;
                    under_way[call.key].take_if(|flight| *flight == call.flight);
                }
            }
            5 if script.below(3) == 0 => {
                let key = script.below(3);
                shared.forget(&key);
                under_way[key] = None;
            }
            _ => {}
        }
    }
}

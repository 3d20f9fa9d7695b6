//! Locks, permits, groups and conditions on one thread: futures that are started, polled and dropped at any time.
//!
//! A semaphore, a group and a condition do exactly what their models say. Of the locks, whose rules leave open who is next,
//! it is asked that nobody is inside with others that he must not be with, and that at last everybody gets in.

use super::Script;
use rendez::sync::{
    Cond, Mutex, MutexGuard, Permit, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, WaitGroup,
};
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

fn poll<T>(future: &mut Pending<'_, T>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Plays the script at a semaphore.
pub(crate) fn semaphore(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let total = script.below(5);
    let semaphore = Semaphore::new(total);
    let (mut free, mut held): (usize, Vec<Permit<'_>>) = (total, Vec::new());
    // Who waits, in order; who has been granted some and has not been told.
    let mut queue: VecDeque<(usize, usize)> = VecDeque::new();
    let mut granted: Vec<(usize, usize)> = Vec::new();
    let mut futures: Vec<(usize, Pending<'_, Permit<'_>>)> = Vec::new();
    let serve =
        |queue: &mut VecDeque<(usize, usize)>, granted: &mut Vec<(usize, usize)>, free: &mut usize| {
            while let Some(&(id, wanted)) = queue.front()
                && wanted <= *free
            {
                *free -= wanted;
                queue.pop_front();
                granted.push((id, wanted));
            }
        };
    let mut next = 0;
    while let Some(kind) = script.step(6) {
        let wanted = script.below(total + 1);
        match kind {
            0 => {
                let gets = queue.is_empty() && wanted <= free;
                let permit = semaphore.try_acquire(wanted);
                assert_eq!(permit.is_some(), gets);
                if let Some(permit) = permit {
                    free -= wanted;
                    held.push(permit);
                }
            }
            1 if !held.is_empty() => {
                let permit = held.swap_remove(script.below(held.len()));
                free += permit.permits();
                drop(permit);
                serve(&mut queue, &mut granted, &mut free);
            }
            2 | 3 => {
                let gets = queue.is_empty() && wanted <= free;
                let mut future: Pending<'_, Permit<'_>> = Box::pin(semaphore.acquire_async(wanted));
                match poll(&mut future) {
                    Poll::Ready(permit) => {
                        assert!(gets);
                        free -= wanted;
                        held.push(permit);
                    }
                    Poll::Pending => {
                        assert!(!gets);
                        queue.push_back((next, wanted));
                        futures.push((next, future));
                        next += 1;
                    }
                }
            }
            4 if !futures.is_empty() => {
                let at = script.below(futures.len());
                let id = futures[at].0;
                let is_granted = granted.iter().position(|&(other, _)| other == id);
                match poll(&mut futures[at].1) {
                    Poll::Ready(permit) => {
                        granted.swap_remove(is_granted.expect("it was not granted any"));
                        held.push(permit);
                        drop(futures.swap_remove(at));
                    }
                    Poll::Pending => assert!(is_granted.is_none()),
                }
            }
            5 if !futures.is_empty() => {
                let (id, future) = futures.swap_remove(script.below(futures.len()));
                drop(future);
                queue.retain(|&(other, _)| other != id);
                if let Some(at) = granted.iter().position(|&(other, _)| other == id) {
                    free += granted.swap_remove(at).1;
                }
                serve(&mut queue, &mut granted, &mut free);
            }
            _ => {}
        }
        assert_eq!(semaphore.available(), free);
    }
    drop((futures, held));
    assert_eq!(semaphore.available(), total);
}

enum Wish<'a> {
    Lock(Pending<'a, MutexGuard<'a, u32>>),
    Read(Pending<'a, RwLockReadGuard<'a, u32>>),
    Write(Pending<'a, RwLockWriteGuard<'a, u32>>),
}

#[allow(dead_code, reason = "guards are held")]
enum Held<'a> {
    Lock(MutexGuard<'a, u32>),
    Read(RwLockReadGuard<'a, u32>),
    Write(RwLockWriteGuard<'a, u32>),
}

impl<'a> Wish<'a> {
    fn poll(&mut self) -> Option<Held<'a>> {
        fn ready<T>(poll: Poll<T>) -> Option<T> {
            match poll {
                Poll::Ready(value) => Some(value),
                Poll::Pending => None,
            }
        }
        match self {
            Wish::Lock(future) => ready(poll(future)).map(Held::Lock),
            Wish::Read(future) => ready(poll(future)).map(Held::Read),
            Wish::Write(future) => ready(poll(future)).map(Held::Write),
        }
    }
}

/// Plays the script at a mutex and a lock for readers and writers.
pub(crate) fn locks(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (mutex, lock) = (Mutex::new(0), RwLock::new(0));
    let mut wishes: Vec<Wish<'_>> = Vec::new();
    let mut held: Vec<Held<'_>> = Vec::new();
    while let Some(kind) = script.step(9) {
        let got = match kind {
            0 => mutex.try_lock().map(Held::Lock),
            1 => lock.try_read().map(Held::Read),
            2 => lock.try_write().map(Held::Write),
            3..=5 => {
                let mut wish = match kind {
                    3 => Wish::Lock(Box::pin(mutex.lock_async())),
                    4 => Wish::Read(Box::pin(lock.read_async())),
                    _ => Wish::Write(Box::pin(lock.write_async())),
                };
                let got = wish.poll();
                if got.is_none() {
                    wishes.push(wish);
                }
                got
            }
            6 if !wishes.is_empty() => {
                let at = script.below(wishes.len());
                let got = wishes[at].poll();
                if got.is_some() {
                    drop(wishes.swap_remove(at));
                }
                got
            }
            7 if !wishes.is_empty() => {
                drop(wishes.swap_remove(script.below(wishes.len())));
                None
            }
            8 if !held.is_empty() => {
                drop(held.swap_remove(script.below(held.len())));
                None
            }
            _ => None,
        };
        held.extend(got);
        let count = |is: fn(&Held<'_>) -> bool| held.iter().filter(|guard| is(guard)).count();
        let lockers = count(|guard| matches!(guard, Held::Lock(_)));
        let readers = count(|guard| matches!(guard, Held::Read(_)));
        let writers = count(|guard| matches!(guard, Held::Write(_)));
        assert!(lockers <= 1 && writers <= 1 && (writers == 0 || readers == 0), "too many are inside");
    }
    drop(held);
    // Whoever gets in leaves at once. Nobody is forgotten.
    let most = wishes.len() + 1;
    for _ in 0..most {
        wishes.retain_mut(|wish| wish.poll().is_none());
    }
    assert!(wishes.is_empty(), "{} wait for locks that nobody holds", wishes.len());
    assert!(mutex.try_lock().is_some() && lock.try_write().is_some());
}

/// Plays the script at a group.
pub(crate) fn wait_group(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let group = WaitGroup::new();
    let mut counter = 0_i64;
    // Whether the counter was zero since it began.
    let mut waits: Vec<(bool, Pending<'_, ()>)> = Vec::new();
    while let Some(kind) = script.step(6) {
        match kind {
            // (To begin another round before all have heard of the last one is a misuse, which panics.)
            0 | 1 if counter > 0 || waits.is_empty() => {
                let more = 1 + script.below(3) as i64;
                group.add(more);
                counter += more;
            }
            2 if counter > 0 => {
                group.done();
                counter -= 1;
                if counter == 0 {
                    waits.iter_mut().for_each(|wait| wait.0 = true);
                }
            }
            3 => {
                let mut wait: Pending<'_, ()> = Box::pin(group.wait_async());
                assert_eq!(poll(&mut wait).is_ready(), counter == 0);
                if counter > 0 {
                    waits.push((false, wait));
                }
            }
            4 if !waits.is_empty() => {
                let at = script.below(waits.len());
                let is_over = waits[at].0;
                assert_eq!(poll(&mut waits[at].1).is_ready(), is_over);
                if is_over {
                    drop(waits.swap_remove(at));
                }
            }
            5 if !waits.is_empty() => drop(waits.swap_remove(script.below(waits.len()))),
            _ => {}
        }
    }
}

/// Plays the script at a condition whose mutex is free whenever somebody wants it.
pub(crate) fn condition(bytes: &[u8]) {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Told {
        Nothing,
        Alone,
        WithAll,
    }
    let mut script = Script::new(bytes);
    let (cond, mutex) = (Cond::new(), Mutex::new(()));
    // In the order in which they came.
    let mut waits: Vec<(Told, Pending<'_, MutexGuard<'_, ()>>)> = Vec::new();
    let signal = |waits: &mut Vec<(Told, Pending<'_, MutexGuard<'_, ()>>)>| {
        if let Some(first) = waits.iter_mut().find(|wait| wait.0 == Told::Nothing) {
            first.0 = Told::Alone;
        }
    };
    while let Some(kind) = script.step(6) {
        match kind {
            0 | 1 => {
                let guard = mutex.try_lock().expect("nobody has it");
                let mut wait: Pending<'_, MutexGuard<'_, ()>> = Box::pin(cond.wait_async(guard));
                assert!(poll(&mut wait).is_pending());
                waits.push((Told::Nothing, wait));
            }
            2 => {
                cond.signal();
                signal(&mut waits);
            }
            3 if script.below(3) == 0 => {
                cond.broadcast();
                waits
                    .iter_mut()
                    .filter(|wait| wait.0 == Told::Nothing)
                    .for_each(|wait| wait.0 = Told::WithAll);
            }
            4 if !waits.is_empty() => {
                let at = script.below(waits.len());
                let is_told = waits[at].0 != Told::Nothing;
                let polled = poll(&mut waits[at].1);
                assert_eq!(polled.is_ready(), is_told);
                drop(polled);
                if is_told {
                    drop(waits.remove(at));
                }
            }
            5 if !waits.is_empty() => {
                let (told, wait) = waits.remove(script.below(waits.len()));
                drop(wait);
                // A signal goes to the next; a broadcast has reached all whom it concerns.
                if told == Told::Alone {
                    signal(&mut waits);
                }
            }
            _ => {}
        }
    }
}

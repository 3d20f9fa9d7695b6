//! Tasks that found no stack, and how they get one.
//!
//! An unstarted task whose worker can get no stack *starves*: it waits, and the worker goes on with what has one. A task that
//! any worker may start waits in [`Starved`], where all can take it; one that must stay waits at its worker, which is *hungry*.
//!
//! While any task starves (`Starved::count`), nobody sits on a stack that is not used:
//! * Who ends a goroutine gives its stack to a starved task that he may start, else to the pool, and then wakes the hungry.
//! * The first to starve (and whoever starves at a surplus worker) makes a *request*, which all workers heed when they next look around, asleep or not: they give the
//!   stacks of their idle runners to the pool. A worker that goes to sleep looks for a request once more after it has said
//!   so, and who makes one wakes the sleepers afterwards, so none is missed.
//! * A worker asleep tries again by time too, less and less often: stacks may come from outside of the runtime.
//!
//! A runtime that has been idle for a while makes such a request too, to have the memory of idle runners back.
//!
//! # Shutdown
//! Every worker has one stack in reserve from its start, for the shutdown alone: there it drops closures that never ran. A
//! destructor that parks there keeps it until it is done; then others have to wait for that, or for a goroutine that is
//! unwound. Where nothing moves any more, what parks is left behind, stack and all, and what starves is dropped on the worker
//! loop's own stack, where a destructor that waits blocks the worker.

use super::{shared::Fresh, worker::Worker};
use crate::task::{Header, fiber::Fiber, header, heap};
use crossbeam_deque::{Injector, Steal};
use std::{
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

/// What a runtime's workers share of it.
#[derive(Debug)]
pub(super) struct Starved {
    /// How many tasks starve, here or at their workers.
    count: AtomicUsize,
    /// Those that any worker may start.
    tasks: Injector<Fresh>,
    /// How often idle runners have been asked for.
    requests: AtomicU32,
}

impl Starved {
    pub(super) fn new() -> Starved {
        Starved { count: AtomicUsize::new(0), tasks: Injector::new(), requests: AtomicU32::new(0) }
    }

    /// How many tasks starve.
    pub(super) fn len(&self) -> u64 {
        self.count.load(Ordering::Relaxed) as u64
    }

    #[inline(always)]
    fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }
}

/// Idle runners that a busy worker keeps whether it needs them or not.
const SPARED: usize = 64;
/// How many looks make a while: some milliseconds.
const LOOKS: u32 = 2048;
/// How many go to the pool at once, under one hold of its lock.
const SHED: usize = 256;
/// How many looks go by between two at the pool's surplus.
const SETTLE_EVERY: u32 = 64;

impl Worker {
    /// Has a task wait for a stack.
    ///
    /// # Safety
    /// The task is unstarted, in no queue, and this worker's to start.
    #[cold]
    pub(super) unsafe fn starve(&self, task: NonNull<Header>) {
        let starved = &self.runtime.starved;
        // Counted before anybody can take it.
        let first = starved.count.fetch_add(1, Ordering::SeqCst) == 0;
        // SAFETY: by contract; a task that need not stay here may be started by any worker.
        unsafe {
            if task.as_ref().must_stay() {
                self.starved.push(task.as_ptr());
                self.shared.published.hungry.store(true, Ordering::SeqCst);
            } else {
                starved.tasks.push(Fresh(task));
            }
        }
        // A surplus worker doesn't try again for what all may start, and the others may have looked just before it was there.
        if first || !self.may_start_shared() {
            self.request_runners();
        }
    }

    /// Takes a starved task that may be started here.
    fn take_starved(&self) -> Option<*mut Header> {
        let starved = &self.runtime.starved;
        let task = self.starved.pop().or_else(|| {
            while self.may_start_shared() {
                match starved.tasks.steal() {
                    Steal::Success(Fresh(task)) => return Some(task.as_ptr()),
                    Steal::Empty => return None,
                    Steal::Retry => {}
                }
            }
            None
        });
        if self.starved.is_empty() {
            self.shared.published.hungry.store(false, Ordering::Relaxed);
        }
        if task.is_some() {
            starved.count.fetch_sub(1, Ordering::SeqCst);
        }
        task
    }

    /// A goroutine has ended and `fiber` is idle: for a starved task, to keep, or for the pool.
    ///
    /// # Safety
    /// The fiber is idle, and this worker's.
    #[inline]
    pub(super) unsafe fn put_runner(&self, fiber: *mut Fiber, kept: usize) {
        let starving = self.runtime.starved.any();
        let next = if starving { self.take_starved() } else { None };
        // SAFETY: by contract; starved tasks are unstarted and in no queue any more.
        unsafe {
            if (*fiber).special || next.is_none() && starving {
                Fiber::dispose(fiber);
                if starving {
                    self.runtime.wake_hungry();
                }
            } else {
                let mut runners = self.runners.borrow_mut();
                runners.push(fiber);
                if runners.len() >= kept + SHED {
                    drop(runners);
                    self.shed_runners(SHED);
                }
            }
            if let Some(task) = next {
                self.queue.push(task);
            }
        }
    }

    /// Queues a starved task if there is a stack by now (and only then: a worker that can't start any sleeps).
    pub(super) fn retry_starved(&self) {
        self.heed_request();
        if self.is_starved()
            && let Some(runner) = self.runner()
        {
            // SAFETY: idle, and this worker's.
            unsafe { self.put_runner(runner, 1) };
        }
    }

    /// Whether some task starves that may be started here.
    pub(super) fn is_starved(&self) -> bool {
        let starved = &self.runtime.starved;
        starved.any() && (!self.starved.is_empty() || (self.may_start_shared() && !starved.tasks.is_empty()))
    }

    /// Whether this worker starts tasks that others may start: not if it is surplus.
    fn may_start_shared(&self) -> bool {
        !self.is_surplus() || self.runtime.is_stopping()
    }

    // ---- requests ----

    pub(super) fn request_runners(&self) {
        self.runtime.starved.requests.fetch_add(1, Ordering::SeqCst);
        self.runtime.wake_all();
    }

    pub(super) fn is_requested(&self) -> bool {
        self.runtime.starved.requests.load(Ordering::SeqCst) != self.heeded.get()
    }

    fn heed_request(&self) {
        // Who sees a request sees what it is for.
        let requests = self.runtime.starved.requests.load(Ordering::Acquire);
        if self.heeded.replace(requests) != requests {
            self.give_runners(if self.runtime.starved.any() { 0 } else { 1 });
        }
    }

    /// Gives half of the runners that a busy worker has not needed for a while to the pool, the coldest first: a burst
    /// must not leave it with a thousand stacks for good.
    #[inline]
    pub(super) fn note_idle_runners(&self) {
        let (looks, least) = self.idle_runners.get();
        let least = least.min(self.runners.borrow().len());
        self.idle_runners.set((looks + 1, least));
        if looks.is_multiple_of(SETTLE_EVERY) && self.runtime.stacks.may_settle() {
            self.runtime.stacks.settle();
        }
        if looks >= LOOKS {
            self.idle_runners.set((0, usize::MAX));
            if least > SPARED {
                self.shed_runners((least - SPARED).div_ceil(2));
            }
        }
    }

    #[cold]
    fn shed_runners(&self, count: usize) {
        let shed: Vec<*mut Fiber> = self.runners.borrow_mut().drain(..count).collect();
        self.end_runners(shed);
    }

    /// Gives the stacks of runners that have been taken out of the list to the pool.
    pub(super) fn end_runners(&self, runners: Vec<*mut Fiber>) {
        // SAFETY: idle, and this worker's.
        let stacks = runners.into_iter().map(|fiber| unsafe { Fiber::end(fiber) }).collect();
        self.runtime.stacks.give_back_all(stacks);
    }

    /// Gives the stacks of idle runners to the pool, except for so many.
    #[cold]
    pub(super) fn give_runners(&self, kept: usize) {
        let surplus = {
            let mut runners = self.runners.borrow_mut();
            let kept = runners.len().min(kept);
            runners.split_off(kept)
        };
        let any = !surplus.is_empty();
        self.end_runners(surplus);
        heap::flush();
        if any && self.runtime.starved.any() {
            self.runtime.wake_hungry();
        }
    }

    // ---- shutdown ----

    /// Sets a stack aside for the shutdown.
    pub(super) fn reserve_runner(&self) {
        self.reserve.set(self.new_runner());
    }

    /// Drops a starved task where the worker's loop runs. Returns whether there was one.
    pub(super) fn drop_starved_here(&self) -> bool {
        let Some(task) = self.take_starved() else { return false };
        // SAFETY: unstarted, and ours since it was taken out of the queue. What is cancelled ends.
        unsafe { header::run_task(task, true) };
        self.note_finished();
        true
    }
}

//! The inbox and the sleep word under loom, put together as `shared` and `idle` do: every interleaving of two or three
//! threads. A wake-up that is lost leaves the worker asleep for ever, which loom reports as a deadlock.
//!
//! The models can fail; each of these was tried:
//! * without the fence in `sleep`, or the waker's beside it, loom finds the sleeper that misses what a fence publishes;
//! * without the second look, or with that look before `ASLEEP` is stored, or notifying before pushing, it finds a worker
//!   that sleeps with a full inbox; so it does without the mutex in `notify`, or if the worker waits without a check;
//! * if a cancelled sleep stays `ASLEEP`, or a waker stores `NOTIFIED` where it should exchange, it finds notifications
//!   that nobody needs;
//! * a waker that takes `POLLING` for `AWAKE`, or does not ring, leaves a worker in its poller with a full inbox;
//! * somebody else who hears the bell and does not ring it again leaves the worker in its poller, too;
//! * if the word is loaded relaxed, or `is_empty` by less than a sequentially consistent load, it finds the lost wake-up;
//! * if a push does not release, or a take does not acquire, it finds the data race in the task; if either does not
//!   exchange the word in one step, lost tasks; and if a take does not reverse the chain, their wrong order;
//! * if a push of a chain links its newest and not its oldest to what it found, it finds lost tasks;
//! * a spare that does not ask, after it has said that it sleeps, whether it is still what it took itself for, and a
//!   monitor that issues no fence before it notifies, leave it asleep; one that wakes nobody when it finds itself retired
//!   leaves work that somebody relied on it for.

use super::{
    bell::Bell,
    queue::{Chain, Inbox, Linked},
    sleep::{Sleep, Slept},
};
use crate::primitives::{
    Arc, UnsafeCell,
    atomic::{AtomicBool, AtomicPtr, Ordering, fence},
    total_order::AtomicU32,
};
use loom::thread::{self, JoinHandle};
use std::{
    ops::Range,
    ptr,
    sync::atomic::{AtomicUsize as Uncounted, Ordering::Relaxed},
    time::Duration,
};

/// Runs `model` in every interleaving, and says how many those were.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let interleavings = std::sync::Arc::new(Uncounted::new(0));
    let counted = interleavings.clone();
    loom::model(move || {
        counted.fetch_add(1, Relaxed);
        model();
    });
    println!("{} interleavings", interleavings.load(Relaxed));
}

/// Counts in how many interleavings something came about, so that a test can say that it has seen it.
#[derive(Default)]
struct Seen(Uncounted);

impl Seen {
    const fn new() -> Seen {
        Seen(Uncounted::new(0))
    }

    fn note(&self, happened: bool) {
        self.0.fetch_add(usize::from(happened), Relaxed);
    }

    fn check(&self, what: &str) {
        let times = self.0.load(Relaxed);
        println!("{what}: {times}");
        assert!(times > 0, "no interleaving had this: {what}");
    }
}

/// Stands for a goroutine: what queues need of it, and something that only its holder may touch.
struct Task {
    link: AtomicPtr<Task>,
    content: UnsafeCell<(usize, usize)>,
}

impl Task {
    fn new(pusher: usize, number: usize) -> *mut Task {
        let link = AtomicPtr::new(ptr::null_mut());
        Box::into_raw(Box::new(Task { link, content: UnsafeCell::new((pusher, number)) }))
    }
}

impl Linked for Task {
    fn link(&self) -> &AtomicPtr<Task> {
        &self.link
    }
}

/// Under loom a limit may pass at any moment, whatever it says.
const LIMIT: Option<Duration> = Some(Duration::from_secs(1));

/// What other threads see of a worker.
struct Worker {
    inbox: Inbox<Task>,
    sleep: Sleep,
}

impl Worker {
    fn new() -> Arc<Worker> {
        Arc::new(Worker { inbox: Inbox::new(), sleep: Sleep::new() })
    }

    /// Puts a task into the inbox.
    fn push(&self, pusher: usize, number: usize) {
        // SAFETY: just made, and freed by the taker.
        unsafe { self.inbox.push(Task::new(pusher, number)) };
    }

    /// Puts tasks of these numbers into the inbox, all at once, and wakes the worker, as `WorkerShared::push_chain`.
    fn deliver_chain(&self, pusher: usize, numbers: Range<usize>) -> bool {
        let mut chain = Chain::new();
        // SAFETY: as in `push`; and there are some.
        unsafe {
            numbers.for_each(|number| chain.add(Task::new(pusher, number)));
            self.inbox.push_chain(chain);
        }
        self.sleep.notify().is_some()
    }

    /// As `WorkerShared::push`. Whether it was needed to wake the worker.
    fn deliver(&self, pusher: usize, number: usize) -> bool {
        self.push(pusher, number);
        self.sleep.notify().is_some()
    }

    fn take(&self, into: &mut Vec<(usize, usize)>) {
        self.inbox.take(|task| {
            // SAFETY: it came out of the inbox, so it is ours; loom checks that its pusher's write came before.
            unsafe {
                into.push((*task).content.with_mut(|content| *content));
                drop(Box::from_raw(task));
            }
        });
    }

    /// One round of a worker that has nothing to do, as in `idle`.
    fn idle(&self, limit: Option<Duration>) -> Slept {
        self.sleep.sleep(|| !self.inbox.is_empty(), || limit)
    }
}

impl Worker {
    /// As [`idle`](Self::idle), of a worker that has a poller.
    fn idle_polling(&self) -> Slept {
        let bell = self.sleep.hang(Bell::new());
        self.sleep.sleep_polling(|| !self.inbox.is_empty(), || None, |_| bell.hear())
    }
}

fn spawn<R: 'static>(worker: &Arc<Worker>, f: impl FnOnce(&Worker) -> R + 'static) -> JoinHandle<R> {
    let worker = worker.clone();
    thread::spawn(move || f(&worker))
}

/// Checks that there are `each` tasks of every pusher, in order.
fn check_all(got: &[(usize, usize)], pushers: usize, each: usize) {
    for pusher in 0..pushers {
        let of_this = got.iter().filter(|task| task.0 == pusher).map(|task| task.1);
        assert!(of_this.eq(0..each), "lost, doubled or out of order: {got:?}");
    }
    assert_eq!(got.len(), pushers * each);
}

#[test]
fn an_inbox_loses_nothing_and_keeps_the_order_of_each_pusher() {
    static IN_BETWEEN: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let pushers: Vec<_> = (0..2)
            .map(|pusher| {
                spawn(&worker, move |worker| {
                    worker.push(pusher, 0);
                    worker.push(pusher, 1);
                })
            })
            .collect();
        let mut got = Vec::new();
        worker.take(&mut got);
        IN_BETWEEN.note((1..4).contains(&got.len()));
        worker.take(&mut got);
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        worker.take(&mut got);
        assert!(worker.inbox.is_empty());
        check_all(&got, 2, 2);
    });
    IN_BETWEEN.check("the first take had some and left some");
}

#[test]
fn a_chain_comes_out_whole_in_order_and_after_what_its_pusher_pushed_before() {
    static TOGETHER: Seen = Seen::new();
    static BETWEEN: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let crowd = spawn(&worker, |worker| {
            worker.push(0, 0);
            worker.deliver_chain(0, 1..4);
        });
        let single = spawn(&worker, |worker| {
            worker.push(1, 0);
            worker.push(1, 1);
        });
        let mut got = Vec::new();
        for _ in 0..2 {
            worker.take(&mut got);
            let of_crowd = got.iter().filter(|task| task.0 == 0).count();
            assert!([0, 1, 4].contains(&of_crowd), "a part of a chain came alone: {got:?}");
            TOGETHER.note(got.len() == 6);
        }
        crowd.join().unwrap();
        single.join().unwrap();
        worker.take(&mut got);
        let chain = got.iter().position(|&task| task == (0, 1)).expect("the chain came");
        assert_eq!(got[chain..chain + 3], [(0, 1), (0, 2), (0, 3)], "somebody came in between");
        BETWEEN.note(chain > 1 && chain + 3 < got.len());
        let of_crowd = got.iter().filter(|task| task.0 == 0).map(|task| task.1);
        let of_single = got.iter().filter(|task| task.0 == 1).map(|task| task.1);
        assert!(of_crowd.eq(0..4) && of_single.eq(0..2), "lost, doubled or out of order: {got:?}");
    });
    TOGETHER.check("the chain and the others were taken at once");
    BETWEEN.check("the chain's exchange came between those of the other pusher");
}

#[test]
fn a_chain_wakes_a_worker_that_goes_to_sleep_once_and_for_all_of_it() {
    static NOTIFIED: Seen = Seen::new();
    static FOUND: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let waker = spawn(&worker, |worker| worker.deliver_chain(0, 0..3));
        let (mut got, mut rounds) = (Vec::new(), 0);
        while got.is_empty() {
            worker.take(&mut got);
            if got.is_empty() {
                NOTIFIED.note(worker.idle(None) == Slept::Notified);
                rounds += 1;
            }
        }
        check_all(&got, 1, 3);
        assert!(rounds < 2, "woken for nothing");
        FOUND.note(!waker.join().unwrap());
    });
    NOTIFIED.check("the worker slept and was woken");
    FOUND.check("the worker needed no waking");
}

#[test]
fn a_delivery_wakes_the_worker_in_whatever_state_it_is() {
    static AT_WORK: Seen = Seen::new();
    static FOUND: Seen = Seen::new();
    static NOTIFIED: Seen = Seen::new();
    static TOO_LATE: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let waker = spawn(&worker, |worker| worker.deliver(0, 0));
        let mut got = Vec::new();
        worker.take(&mut got);
        let slept = got.is_empty().then(|| worker.idle(None));
        worker.take(&mut got);
        let needed = waker.join().unwrap();
        check_all(&got, 1, 1);
        AT_WORK.note(slept.is_none() && !needed);
        FOUND.note(slept == Some(Slept::FoundWork) && !needed);
        NOTIFIED.note(slept == Some(Slept::Notified) && needed);
        TOO_LATE.note(slept == Some(Slept::FoundWork) && needed);
        assert!(slept != Some(Slept::TimedOut) && (slept != Some(Slept::Notified) || needed));
    });
    AT_WORK.check("the word was AWAKE");
    FOUND.check("the worker had found the work and cancelled before the waker looked");
    NOTIFIED.check("the word went from ASLEEP to NOTIFIED, and so the worker woke");
    TOO_LATE.check("the waker notified a worker that cancelled");
}

#[test]
fn of_two_wakers_one_notifies_and_both_are_served() {
    static SPARED: Seen = Seen::new();
    static TWICE: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let wakers = [0, 1].map(|pusher| spawn(&worker, move |worker| worker.deliver(pusher, 0)));
        let (mut got, mut rounds, mut woken) = (Vec::new(), 0, 0);
        while got.len() < 2 {
            worker.take(&mut got);
            if got.len() < 2 {
                rounds += 1;
                woken += usize::from(worker.idle(None) == Slept::Notified);
            }
        }
        let needed = wakers.map(|waker| usize::from(waker.join().unwrap())).iter().sum::<usize>();
        check_all(&got, 2, 1);
        assert!(woken <= needed && needed <= rounds, "{woken}, {needed}, {rounds}");
        SPARED.note(woken == 1 && needed == 1);
        TWICE.note(woken == 2);
    });
    SPARED.check("one notification was for both");
    TWICE.check("each had its own");
}

#[test]
fn two_notifications_wake_a_sleeper_once_and_do_no_harm_later() {
    static BOTH_IN_ONE: Seen = Seen::new();
    static STALE: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let waker = spawn(&worker, |worker| {
            let first = worker.deliver(0, 0);
            // Nothing new: as `wake_all` and `wake_one`.
            let second = worker.sleep.notify().is_some();
            worker.deliver(0, 1);
            (first, second)
        });
        let (mut got, mut in_vain) = (Vec::new(), 0);
        while got.len() < 2 {
            worker.take(&mut got);
            if got.len() < 2 {
                let slept = worker.idle(None);
                in_vain += usize::from(slept == Slept::Notified && worker.inbox.is_empty());
            }
        }
        let (first, second) = waker.join().unwrap();
        check_all(&got, 1, 2);
        BOTH_IN_ONE.note(first && !second);
        STALE.note(in_vain > 0);
        assert!(in_vain <= usize::from(first) + usize::from(second));
    });
    BOTH_IN_ONE.check("the second notification found the first");
    STALE.check("a notification came when its work had been done, and woke the worker for nothing");
}

#[test]
fn a_notification_that_meets_a_cancellation_leaves_the_next_sleep_sound() {
    static CROSSED: Seen = Seen::new();
    static NEXT_NOTIFIED: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let waker = spawn(&worker, |worker| {
            let first = worker.sleep.notify().is_some();
            worker.deliver(0, 0);
            first
        });
        // It finds work of its own: timers, the injector.
        assert_eq!(worker.sleep.sleep(|| true, || unreachable!()), Slept::FoundWork);
        let (mut got, mut slept) = (Vec::new(), None);
        while got.is_empty() {
            slept = Some(worker.idle(None));
            worker.take(&mut got);
        }
        check_all(&got, 1, 1);
        CROSSED.note(waker.join().unwrap());
        assert_eq!(worker.sleep.notify(), None, "the worker is awake, and notifying is still needed");
        NEXT_NOTIFIED.note(slept == Some(Slept::Notified));
    });
    CROSSED.check("the waker notified while the worker cancelled");
    NEXT_NOTIFIED.check("the sleep after the cancellation ended by a notification");
}

#[test]
fn a_worker_that_sleeps_now_in_its_poller_and_now_elsewhere_misses_nothing() {
    static RUNG: Seen = Seen::new();
    static STALE: Seen = Seen::new();
    static CHANGED: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let waker = spawn(&worker, |worker| {
            worker.deliver(0, 0);
            worker.deliver(0, 1)
        });
        let (mut got, mut slept) = (Vec::new(), Vec::new());
        while got.len() < 2 {
            worker.take(&mut got);
            if got.len() < 2 {
                slept.push(if slept.len() == 2 { worker.idle(None) } else { worker.idle_polling() });
            }
        }
        let second = waker.join().unwrap();
        check_all(&got, 1, 2);
        RUNG.note(slept.first() == Some(&Slept::Notified));
        STALE.note(slept.get(1) == Some(&Slept::TimedOut));
        CHANGED.note(slept.get(2) == Some(&Slept::Notified) && second);
    });
    RUNG.check("it was woken from its poller");
    STALE.check("a bell that rang late was heard in a later sleep");
    CHANGED.check("it was woken from the other bed");
}

#[test]
fn a_bell_that_somebody_else_hears_wakes_the_worker_all_the_same() {
    static OVERHEARD: Seen = Seen::new();
    static WOKEN: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        worker.sleep.hang(Bell::new());
        let waker = spawn(&worker, |worker| worker.deliver(0, 0));
        // As `look_for_worker`.
        let other = spawn(&worker, |worker| {
            let bell = worker.sleep.bell().unwrap();
            let heard = bell.overhear();
            if heard {
                bell.ring();
            }
            heard
        });
        let (mut got, mut woken) = (Vec::new(), false);
        while got.is_empty() {
            worker.take(&mut got);
            if got.is_empty() {
                woken |= worker.idle_polling() == Slept::Notified;
            }
        }
        waker.join().unwrap();
        OVERHEARD.note(other.join().unwrap() && woken);
        WOKEN.note(woken);
        check_all(&got, 1, 1);
    });
    OVERHEARD.check("it was woken although somebody else had heard the bell");
    WOKEN.check("it was woken");
}

#[test]
fn a_sleeper_whose_time_is_up_misses_nothing_either() {
    static TIMED_OUT: Seen = Seen::new();
    static IN_TIME: Seen = Seen::new();
    static LATE: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let waker = spawn(&worker, |worker| worker.deliver(0, 0));
        let first = worker.idle(LIMIT);
        let mut got = Vec::new();
        worker.take(&mut got);
        let mut later = None;
        while got.is_empty() {
            later = Some(worker.idle(None));
            worker.take(&mut got);
        }
        let needed = waker.join().unwrap();
        check_all(&got, 1, 1);
        TIMED_OUT.note(first == Slept::TimedOut && later == Some(Slept::Notified));
        IN_TIME.note(first == Slept::Notified && later.is_none());
        LATE.note(first == Slept::TimedOut && later.is_none() && !needed);
    });
    TIMED_OUT.check("it timed out and was notified in its next sleep");
    IN_TIME.check("it was notified in time");
    LATE.check("it timed out and found the work by itself");
}

/// As `inject` and `hand_to`: what is published is in a queue that promises nothing of its order with the sleep word, so
/// the waker issues a fence.
#[test]
fn work_that_is_published_by_a_fence_wakes_the_worker() {
    static NOTIFIED: Seen = Seen::new();
    explore(|| {
        let (worker, published) = (Worker::new(), Arc::new(AtomicBool::new(false)));
        let waker = spawn(&worker, {
            let published = published.clone();
            move |worker| {
                published.store(true, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                worker.sleep.notify();
            }
        });
        let slept = worker.sleep.sleep(|| published.load(Ordering::Relaxed), || None);
        assert!(published.load(Ordering::Relaxed), "{slept:?}, and there is nothing");
        NOTIFIED.note(slept == Slept::Notified);
        waker.join().unwrap();
    });
    NOTIFIED.check("it was notified");
}

/// As `inject` and `spin`: while somebody searches, nobody is woken; who has searched in vain looks again before it sleeps.
#[test]
fn work_that_woke_nobody_since_somebody_searched_is_found() {
    static RELIED_ON: Seen = Seen::new();
    explore(|| {
        let worker = Worker::new();
        let (published, searching) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let waker = spawn(&worker, {
            let (published, searching) = (published.clone(), searching.clone());
            move |worker| {
                published.store(true, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                let nobody_searches = searching.load(Ordering::SeqCst) == 0;
                if nobody_searches {
                    worker.sleep.notify();
                }
                !nobody_searches
            }
        });
        searching.fetch_add(1, Ordering::SeqCst);
        let found = published.load(Ordering::Relaxed);
        searching.fetch_sub(1, Ordering::SeqCst);
        let slept = (!found).then(|| worker.sleep.sleep(|| published.load(Ordering::Relaxed), || None));
        assert!(published.load(Ordering::Relaxed));
        RELIED_ON.note(waker.join().unwrap() && slept == Some(Slept::FoundWork));
    });
    RELIED_ON.check("nobody was woken, and the worker that had searched in vain found it");
}

/// As `call_spare` and `retire_spares`, and `sleep`: a worker that takes itself for what it is not looks around again.
#[test]
fn a_spare_that_is_called_as_it_goes_to_sleep_wakes() {
    static NOTIFIED: Seen = Seen::new();
    static FOUND: Seen = Seen::new();
    for called in [true, false] {
        explore(move || {
            let (worker, active) = (Worker::new(), Arc::new(AtomicBool::new(!called)));
            let monitor = spawn(&worker, {
                let active = active.clone();
                move |worker| {
                    active.store(called, Ordering::Relaxed);
                    fence(Ordering::SeqCst);
                    worker.sleep.notify();
                }
            });
            loop {
                // It looks around.
                let was_active = active.load(Ordering::Relaxed);
                if was_active == called {
                    break;
                }
                let slept = worker.sleep.sleep(|| active.load(Ordering::Relaxed) != was_active, || None);
                NOTIFIED.note(slept == Slept::Notified);
                FOUND.note(slept == Slept::FoundWork);
            }
            monitor.join().unwrap();
        });
    }
    NOTIFIED.check("it was asleep");
    FOUND.check("it was about to sleep");
}

/// As `inject`, `spin`, `retire_spares` and `maintain`: a spare has searched in vain, and somebody has relied on that; then
/// it is retired, and does not take what it finds when it looks again.
#[test]
fn work_that_woke_nobody_since_a_spare_searched_is_found_though_that_retires() {
    static RETIRED: Seen = Seen::new();
    static TAKEN: Seen = Seen::new();
    #[derive(Clone)]
    struct Runtime {
        spare: Arc<Worker>,
        published: Arc<AtomicBool>,
        is_active: Arc<AtomicBool>,
        searching: Arc<AtomicU32>,
        /// Another worker that sleeps has been woken, and has found it.
        is_served: Arc<AtomicBool>,
    }
    impl Runtime {
        fn has_work(&self) -> bool {
            self.published.load(Ordering::Relaxed)
        }

        fn is_active(&self) -> bool {
            self.is_active.load(Ordering::Relaxed)
        }

        /// Wakes the other worker. (What it sees as it looks, its waker sees.)
        fn wake_one(&self) {
            fence(Ordering::SeqCst);
            if self.has_work() {
                self.is_served.store(true, Ordering::Relaxed);
            }
        }
    }
    explore(|| {
        let runtime = Runtime {
            spare: Worker::new(),
            published: Arc::new(AtomicBool::new(false)),
            is_active: Arc::new(AtomicBool::new(true)),
            searching: Arc::new(AtomicU32::new(1)),
            is_served: Arc::new(AtomicBool::new(false)),
        };
        let (offers, retires) = (runtime.clone(), runtime.clone());
        let offers = thread::spawn(move || {
            offers.published.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let relies = offers.searching.load(Ordering::SeqCst) > 0;
            if !relies {
                offers.wake_one();
            }
            relies
        });
        let retires = thread::spawn(move || {
            retires.is_active.store(false, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            retires.spare.sleep.notify();
        });
        // The spare searches for the last time.
        let mut found = runtime.has_work();
        runtime.searching.fetch_sub(1, Ordering::SeqCst);
        while !found {
            runtime.spare.sleep.sleep(|| !runtime.is_active() || runtime.has_work(), || None);
            // It looks around.
            if !runtime.is_active() {
                runtime.wake_one();
                break;
            }
            found = runtime.has_work();
        }
        retires.join().unwrap();
        let relied = offers.join().unwrap();
        assert!(found || runtime.is_served.load(Ordering::Relaxed), "nobody takes it");
        RETIRED.note(relied && !found);
        TAKEN.note(found);
    });
    RETIRED.check("somebody relied on it, and it retired");
    TAKEN.check("it took the work");
}

//! Async goroutines among the others: who runs when, on which worker, and what a blocking call in a future does.
#![cfg(not(loom))]

use crate::worlds::{Watchdog, drive, on_one_worker, poll_once, until};
use futures_core::Stream;
use rendez::{Runtime, block_on, chan, go, go_async, yield_now};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// Wakes itself and lets others run.
async fn pause() {
    let mut paused = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Waits until somebody who has the waker lets it go.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);

impl Gate {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    }

    async fn pass(self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn has_waiter(&self) -> bool {
        self.0.lock().unwrap().1.is_some()
    }

    fn open(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

// ---- a blocking call in a future ----

#[test]
fn a_hundred_async_goroutines_that_block_on_one_worker_all_finish() {
    on_one_worker(|| {
        let (tx, rx) = chan::bounded(0);
        let started = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (rx, started) = (rx.clone(), started.clone());
                go_async(async move {
                    started.fetch_add(1, Ordering::Relaxed);
                    let mut sum = rx.recv().unwrap();
                    pause().await;
                    sum += rx.recv().unwrap();
                    sum + rx.recv_async().await.unwrap()
                })
            })
            .collect();
        until(|| started.load(Ordering::Relaxed) == 100);
        (0..300).for_each(|_| tx.send(1).unwrap());
        assert!(tasks.into_iter().all(|task| task.join().unwrap() == 3));
    });
}

#[test]
fn a_poll_that_blocks_stays_on_its_thread() {
    let _watchdog = Watchdog::new("four workers".to_string());
    let runtime = Runtime::builder().workers(4).build().unwrap();
    runtime.run(|| {
        let (tx, rx) = chan::bounded(0);
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let rx = rx.clone();
                go_async(async move {
                    for _ in 0..50 {
                        let before = thread::current().id();
                        rx.recv().unwrap();
                        assert_eq!(thread::current().id(), before);
                        pause().await;
                    }
                })
            })
            .collect();
        (0..1000).for_each(|_| tx.send(()).unwrap());
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

#[test]
fn a_task_woken_while_its_poll_blocks_is_polled_again() {
    on_one_worker(|| {
        let (tx, rx) = chan::bounded::<()>(0);
        let (gate, polls) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let task = {
            let (gate, polls) = (gate.clone(), polls.clone());
            go_async(poll_fn(move |cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                let passed = gate.poll(cx);
                if passed.is_pending() {
                    rx.recv().unwrap();
                }
                passed
            }))
        };
        until(|| gate.has_waiter());
        // It is blocked inside its first poll. Woken now, it must not be polled beside that.
        gate.open();
        (0..100).for_each(|_| yield_now());
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        tx.send(()).unwrap();
        task.join().unwrap();
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    });
}

// ---- fairness ----

#[test]
fn woken_tasks_run_in_the_order_in_which_they_were_woken() {
    on_one_worker(|| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let gates: Vec<Gate> = (0..100).map(|_| Gate::default()).collect();
        let tasks: Vec<_> = gates
            .iter()
            .enumerate()
            .map(|(i, gate)| {
                let (gate, order) = (gate.clone(), order.clone());
                go_async(async move {
                    gate.pass().await;
                    order.lock().unwrap().push(i);
                })
            })
            .collect();
        until(|| gates.iter().all(Gate::has_waiter));
        let turns: Vec<usize> = (0..100).map(|i| i * 37 % 100).collect();
        turns.iter().for_each(|&i| gates[i].open());
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(*order.lock().unwrap(), turns);
    });
}

#[test]
fn one_that_wakes_itself_for_ever_has_its_turn_and_no_more() {
    on_one_worker(|| {
        const TURNS: usize = 1000;
        let (stop, polls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let spinner = {
            let (stop, polls) = (stop.clone(), polls.clone());
            go_async(async move {
                while !stop.load(Ordering::Relaxed) {
                    polls.fetch_add(1, Ordering::Relaxed);
                    pause().await;
                }
            })
        };
        until(|| polls.load(Ordering::Relaxed) > 0);
        let before = polls.load(Ordering::Relaxed);
        let goroutines: Vec<_> = (0..3).map(|_| go(|| (0..TURNS).for_each(|_| yield_now()))).collect();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                go_async(async {
                    for _ in 0..TURNS {
                        pause().await;
                    }
                })
            })
            .collect();
        goroutines.into_iter().for_each(|goroutine| goroutine.join().unwrap());
        tasks.into_iter().for_each(|task| task.join().unwrap());
        let turns = polls.load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        spinner.join().unwrap();
        // All that are always ready have as many turns as each other, whatever they are.
        assert!((TURNS / 2..TURNS * 2).contains(&turns), "{turns} turns beside {TURNS}");
    });
}

#[test]
fn a_task_is_not_starved_by_goroutines_that_are_always_ready() {
    on_one_worker(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicUsize::new(0));
        let goroutines: Vec<_> = (0..10)
            .map(|_| {
                let (stop, turns) = (stop.clone(), turns.clone());
                go(move || {
                    while !stop.load(Ordering::Relaxed) {
                        turns.fetch_add(1, Ordering::Relaxed);
                        yield_now();
                    }
                })
            })
            .collect();
        until(|| turns.load(Ordering::Relaxed) > 100);
        let before = turns.load(Ordering::Relaxed);
        let task = go_async(async {
            for _ in 0..1000 {
                pause().await;
            }
        });
        task.join().unwrap();
        let each = (turns.load(Ordering::Relaxed) - before) / 10;
        stop.store(true, Ordering::Relaxed);
        goroutines.into_iter().for_each(|goroutine| goroutine.join().unwrap());
        assert!((500..2000).contains(&each), "{each} turns for each goroutine beside the task's 1000");
    });
}

#[test]
fn a_woken_task_behind_a_goroutine_that_computes_runs_on_another_worker() {
    let _watchdog = Watchdog::new("two workers".to_string());
    let runtime = Runtime::builder().workers(2).build().unwrap();
    for _ in 0..10 {
        runtime.run(|| {
            let (gate, ran) = (Gate::default(), Arc::new(AtomicBool::new(false)));
            let task = {
                let (gate, ran) = (gate.clone(), ran.clone());
                go_async(async move {
                    gate.pass().await;
                    ran.store(true, Ordering::Release);
                })
            };
            until(|| gate.has_waiter());
            // It lies in this worker's queue, and this worker has no time.
            gate.open();
            while !ran.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            task.join().unwrap();
        });
    }
}

// ---- the budget ----

/// How often a goroutine that always yields has had its turn beside `task`, on one worker.
fn turns_beside<Fut>(task: impl FnOnce() -> Fut + Send) -> usize
where
    Fut: Future<Output = ()> + Send + 'static,
{
    on_one_worker(|| {
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let other = {
            let (stop, turns) = (stop.clone(), turns.clone());
            go(move || {
                while !stop.load(Ordering::Relaxed) {
                    turns.fetch_add(1, Ordering::Relaxed);
                    yield_now();
                }
            })
        };
        until(|| turns.load(Ordering::Relaxed) > 0);
        let future = task();
        let before = turns.load(Ordering::Relaxed);
        go_async(future).join().unwrap();
        let turns = turns.load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        other.join().unwrap();
        turns
    })
}

/// So many operations that are ready take at least so many turns.
const READY: usize = 100_000;
const TURNS: usize = 100;

fn filled() -> chan::Receiver<usize> {
    let (tx, rx) = chan::unbounded();
    (0..READY).for_each(|i| tx.send(i).unwrap());
    rx
}

#[test]
fn a_task_whose_operations_are_always_ready_lets_others_run() {
    let receiving = turns_beside(|| {
        let rx = filled();
        async move {
            for i in 0..READY {
                assert_eq!(rx.recv_async().await, Ok(i));
            }
        }
    });
    assert!(receiving >= TURNS, "recv_async: {receiving}");
    let sending = turns_beside(|| async {
        let (tx, rx) = chan::unbounded();
        for i in 0..READY {
            tx.send_async(i).await.unwrap();
        }
        assert!(rx.try_iter().eq(0..READY));
    });
    assert!(sending >= TURNS, "send_async: {sending}");
    let streaming = turns_beside(|| {
        let rx = filled();
        async move {
            let mut stream = pin!(rx.stream());
            for i in 0..READY {
                assert_eq!(poll_fn(|cx| stream.as_mut().poll_next(cx)).await, Some(i));
            }
        }
    });
    assert!(streaming >= TURNS, "stream: {streaming}");
    let blocking = turns_beside(|| {
        let rx = filled();
        async move {
            for i in 0..READY {
                assert_eq!(block_on(rx.recv_async()), Ok(i));
            }
        }
    });
    assert!(blocking >= TURNS, "block_on in a task: {blocking}");
}

#[test]
fn an_executor_inside_a_task_comes_to_an_end_though_the_budget_does_too() {
    let turns = turns_beside(|| {
        let rx = filled();
        let all = async move {
            for i in 0..READY {
                assert_eq!(rx.recv_async().await, Ok(i));
            }
        };
        async { drive(all) }
    });
    assert!(turns < TURNS, "it keeps its worker, as a blocking executor does: {turns}");
}

#[test]
fn a_goroutine_in_block_on_whose_operations_are_always_ready_lets_others_run() {
    on_one_worker(|| {
        let rx = filled();
        let turns = Arc::new(AtomicUsize::new(0));
        let other = {
            let turns = turns.clone();
            go(move || {
                for _ in 0..TURNS {
                    turns.fetch_add(1, Ordering::Relaxed);
                    yield_now();
                }
            })
        };
        block_on(async move { while rx.recv_async().await != Ok(READY - 1) {} });
        assert_eq!(turns.load(Ordering::Relaxed), TURNS);
        other.join().unwrap();
    });
}

#[test]
fn an_operation_polled_by_an_executor_of_its_own_knows_no_budget() {
    let (tx, rx) = chan::bounded(1);
    for i in 0..5000 {
        assert_eq!(poll_once(pin!(tx.send_async(i))), Some(Ok(())));
        assert_eq!(poll_once(pin!(rx.recv_async())), Some(Ok(i)));
    }
}

// ---- what a task may be ----

#[test]
fn a_future_stays_where_it_was_put_whatever_its_size_and_alignment() {
    #[repr(align(256))]
    struct Aligned {
        place: Option<usize>,
        polls: usize,
        _large: [u64; 1000],
    }
    impl Future for Aligned {
        type Output = [usize; 100];
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<[usize; 100]> {
            let here = (&raw const *self).addr();
            assert_eq!(here % 256, 0);
            assert_eq!(*self.place.get_or_insert(here), here);
            self.polls += 1;
            if self.polls == 100 {
                return Poll::Ready([7; 100]);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
    let _watchdog = Watchdog::new("two workers".to_string());
    Runtime::builder().workers(2).build().unwrap().run(|| {
        let large = || go_async(Aligned { place: None, polls: 0, _large: [0; 1000] });
        let tasks: Vec<_> = (0..20).map(|_| large()).collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap() == [7; 100]));
        go_async(std::future::ready(())).join().unwrap();
    });
}

// ---- where they run ----

#[test]
fn one_that_is_woken_behind_a_poll_that_works_is_taken_by_an_idle_worker() {
    let _watchdog = Watchdog::new("two workers".to_string());
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        // Who has the turn takes a value, passes the turn on and works. So the other is woken right before the work, and
        // when it runs nobody lies behind it: the queue is as often empty as not.
        let (tx, rx) = chan::bounded(0);
        let source = go_async(async move { while tx.send_async(()).await.is_ok() {} });
        let turn = Arc::new(rendez::sync::Mutex::new(rx));
        let (at_work, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let (turn, at_work, together) = (turn.clone(), at_work.clone(), together.clone());
                go_async(async move {
                    let mut items = 0;
                    while together.load(Ordering::SeqCst) < 1000 {
                        turn.lock_async().await.recv_async().await.unwrap();
                        items += 1;
                        together.fetch_add(at_work.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                        let start = Instant::now();
                        while start.elapsed() < Duration::from_micros(20) {}
                        at_work.fetch_sub(1, Ordering::SeqCst);
                    }
                    items
                })
            })
            .collect();
        // (The kernel, too, may let the two be at work at once, by taking the processor away; but not often.)
        let items: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        drop(turn);
        source.join().unwrap();
        assert!(items < 50_000, "of {items} pieces of work, 1000 were done beside another");
    });
}

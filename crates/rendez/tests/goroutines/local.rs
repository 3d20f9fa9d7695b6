//! Values of a goroutine's own.

use rendez::{
    JoinHandle, block_on,
    chan::{self, Sender},
    go, go_async, goroutine_local, scope,
};
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    thread::{self, ThreadId},
};

goroutine_local! {
    /// Documented.
    static NAME: RefCell<String> = RefCell::new(String::from("nobody"));
    pub(crate) static COUNT: Cell<u32> = const { Cell::new(7) };
    static SHARED: Rc<Cell<u32>> = Rc::new(Cell::new(0))
}

#[test]
fn each_goroutine_has_its_own_also_across_waits() {
    let runtime = rendez::Runtime::builder().workers(2).build().unwrap();
    let told = runtime.run(|| {
        let (tx, rx) = chan::bounded::<()>(0);
        let handles: Vec<_> = (0..50)
            .map(|i| {
                let rx = rx.clone();
                go(move || {
                    NAME.with_borrow_mut(|name| *name = format!("goroutine {i}"));
                    COUNT.set(COUNT.get() + i);
                    rx.recv().unwrap_err();
                    (NAME.with_borrow(Clone::clone), COUNT.get())
                })
            })
            .collect();
        drop(tx);
        handles.into_iter().map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
    });
    for (i, (name, count)) in told.into_iter().enumerate() {
        assert_eq!((name, count), (format!("goroutine {i}"), 7 + i as u32));
    }
}

#[test]
fn threads_that_are_no_goroutines_have_their_own() {
    COUNT.set(1);
    std::thread::spawn(|| assert_eq!(COUNT.get(), 7)).join().unwrap();
    go(|| assert_eq!(COUNT.get(), 7)).join().unwrap();
    assert_eq!(COUNT.get(), 1);
}

#[test]
fn an_async_goroutine_takes_its_values_along() {
    let runtime = rendez::Runtime::builder().workers(4).build().unwrap();
    runtime.run(|| {
        let tasks: Vec<_> = (0..64)
            .map(|i| {
                go_async(async move {
                    NAME.with_borrow_mut(|name| *name = i.to_string());
                    for _ in 0..20 {
                        let mut first = true;
                        poll_fn(|cx| {
                            if std::mem::take(&mut first) {
                                cx.waker().wake_by_ref();
                                return Poll::Pending;
                            }
                            Poll::Ready(())
                        })
                        .await;
                    }
                    NAME.with_borrow(Clone::clone) == i.to_string()
                })
            })
            .collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap()));
    });
}

#[test]
fn what_is_not_send_is_refused_in_an_async_goroutine_and_nowhere_else() {
    go(|| SHARED.with(|shared| shared.set(1))).join().unwrap();
    SHARED.with(|shared| shared.set(2));
    block_on(async { SHARED.with(|shared| assert_eq!(shared.get(), 2)) });
    let error = go_async(async { SHARED.with(|shared| shared.set(3)) }).join().unwrap_err();
    let payload = error.into_panic();
    let text = payload.downcast_ref::<String>().unwrap();
    assert!(text.contains("SHARED is not Send"), "{text}");
}

/// Counts drops.
struct Told(&'static AtomicUsize);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn values_are_dropped_before_the_goroutine_can_be_joined_however_it_ends() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    goroutine_local! {
        static GUARD: Told = Told(&DROPS);
    }
    go(|| GUARD.with(|_| ())).join().unwrap();
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    go(|| GUARD.with(|_| panic!("with a value"))).join().unwrap_err();
    assert_eq!(DROPS.load(Ordering::SeqCst), 2);
    go_async(async { GUARD.with(|_| ()) }).join().unwrap();
    assert_eq!(DROPS.load(Ordering::SeqCst), 3);
    // A shutdown unwinds one that waits, and drops a task that does.
    rendez::run(|| {
        let (tx, made) = chan::bounded(2);
        let other = tx.clone();
        go(move || {
            GUARD.with(|_| tx.send(()).unwrap());
            chan::never::<()>().recv()
        });
        go_async(async move {
            GUARD.with(|_| other.send(()).unwrap());
            std::future::pending::<()>().await
        });
        made.iter().take(2).for_each(drop);
    });
    assert_eq!(DROPS.load(Ordering::SeqCst), 5);
}

/// Says on which thread it was dropped.
struct Traced(Rc<()>);

static DROPPED_ON: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());

impl Drop for Traced {
    fn drop(&mut self) {
        DROPPED_ON.lock().unwrap().push(thread::current().id());
    }
}

#[test]
fn what_is_made_while_a_goroutine_that_never_ran_is_dropped_is_dropped_there_and_not_with_its_handle() {
    goroutine_local! {
        static TRACED: Traced = Traced(Rc::new(()));
    }
    struct Uses(Sender<ThreadId>);
    impl Drop for Uses {
        fn drop(&mut self) {
            TRACED.with(|traced| assert_eq!(Rc::strong_count(&traced.0), 1));
            self.0.send(thread::current().id()).unwrap();
        }
    }
    let runtime = Arc::new(rendez::Runtime::builder().workers(1).build().unwrap());
    let theirs = runtime.clone();
    let (tx, used_on) = chan::unbounded();
    let handle = runtime.run(|| {
        let uses = Uses(tx);
        let handle = go(move || {
            let _uses = uses;
        });
        theirs.shutdown();
        handle
    });
    runtime.shutdown();
    let worker = used_on.recv().unwrap();
    assert_ne!(worker, thread::current().id());
    // An `Rc` made on the worker: it must not be this thread that drops it, by dropping the handle.
    assert_eq!(*DROPPED_ON.lock().unwrap(), [worker]);
    assert!(handle.join().unwrap_err().is_cancelled());
    assert_eq!(*DROPPED_ON.lock().unwrap(), [worker]);
}

/// A task that has ended with this result, but for its future, which panics as it is dropped.
fn ended_by_a_bomb<R: Send + 'static>(result: impl Fn() -> R + Send + 'static) -> JoinHandle<R> {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a destructor's panic, for the test");
        }
    }
    let bomb = Bomb;
    let task = go_async(poll_fn(move |_| {
        let _ = &bomb;
        Poll::Ready(result())
    }));
    // Seen while the handle, and with it the memory of the task, is still there.
    while !task.is_finished() {
        thread::yield_now();
    }
    task
}

#[test]
fn values_of_an_async_goroutine_are_dropped_before_it_can_be_joined_also_if_its_future_panics_as_it_is_dropped()
 {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    goroutine_local! {
        static GUARD: Told = Told(&DROPS);
    }
    let task = ended_by_a_bomb(|| GUARD.with(|_| ()));
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    assert!(task.join().unwrap_err().is_panic());
}

#[test]
fn values_are_dropped_in_the_reverse_order_and_can_not_be_used_meanwhile() {
    thread_local! {
        static ORDER: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }
    struct Last(&'static str);
    impl Drop for Last {
        fn drop(&mut self) {
            let other = FIRST.try_with(|_| ()).is_some();
            assert!(!other);
            ORDER.with_borrow_mut(|order| order.push(self.0));
        }
    }
    goroutine_local! {
        static FIRST: Last = Last("first");
        static SECOND: Last = Last("second");
    }
    rendez::run(|| {
        rendez::go_local(|| {
            FIRST.with(|_| ());
            SECOND.with(|_| ());
        })
        .join()
        .unwrap();
        assert_eq!(ORDER.take(), ["second", "first"]);
    });
}

#[test]
fn a_destructor_that_panics_is_the_goroutines_panic_and_the_others_run() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    goroutine_local! {
        static GUARD: Told = Told(&DROPS);
        static BOMB: Bomb = Bomb;
    }
    let error = go(|| {
        GUARD.with(|_| ());
        BOMB.with(|_| ());
    })
    .join()
    .unwrap_err();
    assert!(error.is_panic());
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
}

#[test]
fn an_initializer_may_use_others_and_one_that_panics_leaves_nothing() {
    goroutine_local! {
        static BASE: Cell<u32> = const { Cell::new(40) };
        static SUM: u32 = BASE.get() + 2;
        static ODD: u32 = if BASE.get() > 0 { panic!("no") } else { 1 };
    }
    scope(|s| {
        s.go(|| {
            SUM.with(|sum| assert_eq!(*sum, 42));
            assert!(catch_unwind(AssertUnwindSafe(|| ODD.with(|odd| *odd))).is_err());
            BASE.set(0);
            ODD.with(|odd| assert_eq!(*odd, 1));
        });
    });
}

/// Reads its siblings as it is dropped. Its string is freed by then if they are dropped in the order in which they were made.
struct LooksAround(String);

impl Drop for LooksAround {
    fn drop(&mut self) {
        for key in [&EARLIER, &LATER] {
            assert_eq!(key.try_with(|other| other.0.clone()), None);
        }
    }
}

goroutine_local! {
    static EARLIER: LooksAround = LooksAround("earlier".to_string());
    static LATER: LooksAround = LooksAround("later".to_string());
}

/// Tells whether there were values for its destructor to use.
struct UsesLocals(Sender<bool>);

impl Drop for UsesLocals {
    fn drop(&mut self) {
        let used = [&EARLIER, &LATER].map(|key| key.try_with(|value| value.0.len()).is_some());
        self.0.send(used.contains(&true)).unwrap();
    }
}

#[test]
fn a_result_that_nobody_takes_makes_no_values_as_it_is_dropped() {
    let (tx, rx) = chan::unbounded();
    let (go_on, wait) = chan::bounded::<()>(0);
    let (used, until) = (UsesLocals(tx.clone()), wait.clone());
    drop(go(move || {
        until.recv().unwrap_err();
        used
    }));
    let used = UsesLocals(tx);
    drop(go_async(async move {
        wait.recv_async().await.unwrap_err();
        used
    }));
    drop(go_on);
    assert_eq!(rx.iter().collect::<Vec<_>>(), [false, false]);
}

#[test]
fn a_waker_that_is_called_by_a_goroutine_that_has_ended_makes_no_values_there() {
    struct Wake(Sender<bool>);
    impl std::task::Wake for Wake {
        fn wake(self: Arc<Self>) {
            self.0.send(SHARED.try_with(|_| ()).is_some()).unwrap();
        }
    }
    let (tx, rx) = chan::unbounded();
    let (go_on, wait) = chan::bounded::<()>(0);
    let mut joined = Box::pin(go(move || wait.recv().unwrap_err()).into_future());
    let waker = Arc::new(Wake(tx)).into();
    let mut context = std::task::Context::from_waker(&waker);
    assert!(joined.as_mut().poll(&mut context).is_pending());
    drop(go_on);
    // It would not be `Send`, and go with the handle, on this thread.
    assert_eq!(rx.recv(), Ok(false));
}

#[test]
fn what_a_result_makes_as_it_is_dropped_since_its_future_panics_is_dropped_before_the_join() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    goroutine_local! {
        static GUARD: Told = Told(&DROPS);
    }
    #[derive(Debug)]
    struct Uses;
    impl Drop for Uses {
        fn drop(&mut self) {
            GUARD.with(|_| ());
        }
    }
    let task = ended_by_a_bomb(|| Uses);
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    assert!(task.join().unwrap_err().is_panic());
}

//! One test body, every world: a [`Crew`] starts the roles of a test (its senders, receivers, waiters) as goroutines, as
//! OS threads, as async goroutines, as async tasks on threads of their own, or as all of these by turns.
//!
//! A role is one `async` block over an [`Ops`], whose operations block in the worlds that block and are awaited in the
//! others, so that the same lines run everywhere.
//!
//! Tests of time run [`in_worlds_of_time`] or [`in_both_times`], and ask the [`Clock`] whether it is time.
#![allow(dead_code, reason = "each test file uses its own part of this")]

#[allow(
    clippy::duplicate_mod,
    reason = "a test that has both `setup` and `worlds` has two clocks, which never meet"
)]
#[path = "../clock/mod.rs"]
mod clock;

pub(crate) use clock::Clock;
use rendez::{
    Event, Runtime,
    chan::{
        self, Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
        TrySendError,
    },
    sync::{
        Barrier, Cond, Mutex as Lock, MutexGuard as LockGuard, Permit, RwLock, RwLockReadGuard,
        RwLockWriteGuard, Semaphore, WaitGroup,
    },
    time,
};
use std::{
    future::Future,
    io::{self, Write},
    pin::{Pin, pin},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

/// Where the roles of a test run; the number is that of the runtime's workers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum World {
    /// Goroutines, with blocking calls.
    Goroutines(usize),
    /// `go_async`, with awaited calls.
    AsyncGoroutines(usize),
    /// OS threads, with blocking calls.
    Threads,
    /// Each on an OS thread under an executor that knows nothing of rendez, with awaited calls.
    Tasks,
    /// The four kinds by turns.
    Mixed(usize),
    /// Goroutines, with blocking calls, in virtual time.
    #[cfg(feature = "testing")]
    VirtualGoroutines,
    /// `go_async`, with awaited calls, in virtual time.
    #[cfg(feature = "testing")]
    VirtualAsync,
    /// These two by turns. (Virtual time knows nothing of OS threads.)
    #[cfg(feature = "testing")]
    VirtualMixed,
}

pub(crate) const WORLDS: [World; 11] = [
    World::Goroutines(1),
    World::Goroutines(2),
    World::Goroutines(8),
    World::AsyncGoroutines(1),
    World::AsyncGoroutines(2),
    World::AsyncGoroutines(8),
    World::Threads,
    World::Tasks,
    World::Mixed(1),
    World::Mixed(2),
    World::Mixed(8),
];

/// Where time matters: virtual where it can be, and for what can not, OS threads, and real workers beside them, the
/// machine's. A role there must not spin until time has passed: see [`Ops::let_time_pass`].
const WORLDS_OF_TIME: &[World] = &[
    #[cfg(feature = "testing")]
    World::VirtualGoroutines,
    #[cfg(feature = "testing")]
    World::VirtualAsync,
    #[cfg(feature = "testing")]
    World::VirtualMixed,
    World::Threads,
    World::Tasks,
    World::Mixed(2),
];

/// What `bounded` or `unbounded` is called with.
pub(crate) const CAPACITIES: [Option<usize>; 4] = [Some(0), Some(1), Some(3), None];

pub(crate) fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    match capacity {
        Some(capacity) => chan::bounded(capacity),
        None => chan::unbounded(),
    }
}

/// Runs `body` once in each world, as a goroutine where there is a runtime, else on the test's own thread.
pub(crate) fn in_every_world(body: impl Fn(&Crew) + Send + Sync) {
    for world in WORLDS {
        in_world(world, &body);
    }
}

/// As [`in_every_world`], for what has to do with time.
pub(crate) fn in_worlds_of_time(body: impl Fn(&Crew) + Send + Sync) {
    for &world in WORLDS_OF_TIME {
        in_world(world, &body);
    }
}

/// Runs `body`, which starts no roles, in virtual time, and on the test's own thread by the machine's clock.
pub(crate) fn in_both_times(body: impl Fn(Clock) + Send + Sync) {
    #[cfg(feature = "testing")]
    in_world(World::VirtualGoroutines, |crew| body(crew.clock()));
    in_world(World::Threads, |crew| body(crew.clock()));
}

pub(crate) fn in_world(world: World, body: impl Fn(&Crew) + Send + Sync) {
    let _watchdog = Watchdog::new(format!("{world:?}"));
    let crew = Crew { world, started: AtomicUsize::new(0) };
    match world {
        #[cfg(feature = "testing")]
        World::VirtualGoroutines | World::VirtualAsync | World::VirtualMixed => {
            rendez::testing::virtual_time(|| body(&crew));
        }
        World::Goroutines(workers) | World::AsyncGoroutines(workers) | World::Mixed(workers) => {
            let runtime = Runtime::builder().workers(workers).build().expect("a runtime");
            runtime.run(|| body(&crew));
        }
        World::Threads | World::Tasks => body(&crew),
    }
}

/// Runs `body` as a goroutine of a runtime with one worker: there, whatever another goroutine does up to its next park
/// has been done, parking included, once `body` sees any of it.
pub(crate) fn on_one_worker<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    let _watchdog = Watchdog::new("one worker".to_string());
    Runtime::builder().workers(1).build().expect("a runtime").run(body)
}

/// Lets the others of this worker run until `condition` holds.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        rendez::yield_now();
    }
}

/// Starts roles.
pub(crate) struct Crew {
    world: World,
    started: AtomicUsize,
}

impl Crew {
    pub(crate) fn clock(&self) -> Clock {
        match self.world {
            #[cfg(feature = "testing")]
            World::VirtualGoroutines | World::VirtualAsync | World::VirtualMixed => Clock::Virtual,
            _ => Clock::Machine,
        }
    }

    /// Starts `role` as what this world has; `Mixed` takes turns.
    pub(crate) fn start<R, F, Fut>(&self, role: F) -> Role<R>
    where
        R: Send + 'static,
        F: FnOnce(Ops) -> Fut,
        Fut: Future<Output = R> + Send + 'static,
    {
        let turn = self.started.fetch_add(1, Ordering::Relaxed);
        let kind = match self.world {
            World::Goroutines(_) => Kind::Goroutine,
            World::AsyncGoroutines(_) => Kind::AsyncGoroutine,
            World::Threads => Kind::Thread,
            World::Tasks => Kind::Task,
            World::Mixed(_) => [Kind::Goroutine, Kind::Task, Kind::AsyncGoroutine, Kind::Thread][turn % 4],
            #[cfg(feature = "testing")]
            World::VirtualGoroutines => Kind::Goroutine,
            #[cfg(feature = "testing")]
            World::VirtualAsync => Kind::AsyncGoroutine,
            #[cfg(feature = "testing")]
            World::VirtualMixed => [Kind::Goroutine, Kind::AsyncGoroutine][turn % 2],
        };
        let (tx, result) = chan::bounded(1);
        let role =
            role(Ops { awaits: matches!(kind, Kind::AsyncGoroutine | Kind::Task), clock: self.clock() });
        let role = async move {
            let result = role.await;
            assert!(tx.try_send(result).is_ok() || tx.is_closed());
        };
        match kind {
            Kind::Goroutine => drop(rendez::go(move || run_blocking(role))),
            Kind::AsyncGoroutine => drop(rendez::go_async(role)),
            Kind::Thread => drop(thread::spawn(move || run_blocking(role))),
            Kind::Task => drop(thread::spawn(move || drive(role))),
        }
        Role { result }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Goroutine,
    AsyncGoroutine,
    Thread,
    Task,
}

/// A role that was started.
#[must_use = "join it, so that its panic fails the test"]
pub(crate) struct Role<R> {
    result: Receiver<R>,
}

impl<R> Role<R> {
    pub(crate) fn join(self) -> R {
        self.result.recv().expect("the role panicked")
    }
}

/// The operations of a role's world.
#[derive(Clone, Copy)]
pub(crate) struct Ops {
    awaits: bool,
    clock: Clock,
}

impl Ops {
    /// For a caller that is a goroutine or a thread, by the machine's clock.
    pub(crate) fn blocking() -> Ops {
        Ops { awaits: false, clock: Clock::Machine }
    }

    pub(crate) fn clock(self) -> Clock {
        self.clock
    }

    pub(crate) async fn send<T: Send>(self, tx: &Sender<T>, value: T) -> Result<(), SendError<T>> {
        if self.awaits { tx.send_async(value).await } else { tx.send(value) }
    }

    pub(crate) async fn recv<T: Send>(self, rx: &Receiver<T>) -> Result<T, RecvError> {
        if self.awaits { rx.recv_async().await } else { rx.recv() }
    }

    /// Whether its caller is a task, which is to await.
    pub(crate) fn awaits(self) -> bool {
        self.awaits
    }

    pub(crate) async fn event<E: Event>(self, event: E) -> E::Output {
        if self.awaits { event.wait_async().await } else { event.wait() }
    }

    pub(crate) async fn wait(self, group: &WaitGroup) {
        if self.awaits { group.wait_async().await } else { group.wait() }
    }

    pub(crate) async fn lock<T: Send>(self, mutex: &Lock<T>) -> LockGuard<'_, T> {
        if self.awaits { mutex.lock_async().await } else { mutex.lock() }
    }

    pub(crate) async fn read<T: Send + Sync>(self, lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
        if self.awaits { lock.read_async().await } else { lock.read() }
    }

    pub(crate) async fn write<T: Send + Sync>(self, lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
        if self.awaits { lock.write_async().await } else { lock.write() }
    }

    pub(crate) async fn acquire(self, semaphore: &Semaphore, permits: usize) -> Permit<'_> {
        if self.awaits { semaphore.acquire_async(permits).await } else { semaphore.acquire(permits) }
    }

    pub(crate) async fn wait_for_signal<'a, T: Send>(
        self,
        cond: &'a Cond,
        mut guard: LockGuard<'a, T>,
    ) -> LockGuard<'a, T> {
        if self.awaits {
            cond.wait_async(guard).await
        } else {
            cond.wait(&mut guard);
            guard
        }
    }

    pub(crate) async fn meet(self, barrier: &Barrier) -> bool {
        if self.awaits { barrier.wait_async().await } else { barrier.wait() }
    }

    /// Sends as `how` says (see [`Way`]) until the value is gone or the channel closed; a time-out or a full channel
    /// gives the value back, and it is tried again.
    pub(crate) async fn send_by<T: Send>(
        self,
        mut way: Way,
        tx: &Sender<T>,
        mut value: T,
    ) -> Result<(), SendError<T>> {
        loop {
            value = match way {
                Way::Wait => return self.send(tx, value).await,
                Way::Try => match tx.try_send(value) {
                    Ok(()) => return Ok(()),
                    Err(TrySendError::Closed(value)) => return Err(SendError(value)),
                    Err(TrySendError::Full(value)) => value,
                },
                Way::Timeout(limit) => match tx.send_timeout(value, limit) {
                    Ok(()) => return Ok(()),
                    Err(SendTimeoutError::Closed(value)) => return Err(SendError(value)),
                    Err(SendTimeoutError::Timeout(value)) => value,
                },
            };
            way = way.more_patient();
            self.pause().await;
        }
    }

    /// Receives as `way` says until there is a value or the channel is closed and drained.
    pub(crate) async fn recv_by<T: Send>(self, mut way: Way, rx: &Receiver<T>) -> Result<T, RecvError> {
        loop {
            match way {
                Way::Wait => return self.recv(rx).await,
                Way::Try => match rx.try_recv() {
                    Ok(value) => return Ok(value),
                    Err(TryRecvError::Closed) => return Err(RecvError),
                    Err(TryRecvError::Empty) => {}
                },
                Way::Timeout(limit) => match rx.recv_timeout(limit) {
                    Ok(value) => return Ok(value),
                    Err(RecvTimeoutError::Closed) => return Err(RecvError),
                    Err(RecvTimeoutError::Timeout) => {}
                },
            }
            way = way.more_patient();
            self.pause().await;
        }
    }

    pub(crate) async fn sleep(self, time: Duration) {
        if self.awaits { time::sleep_async(time).await } else { time::sleep(time) }
    }

    /// For who looks again and again until a moment has come: where time is virtual it would not pass for one who only
    /// lets others run.
    pub(crate) async fn let_time_pass(self) {
        match self.clock {
            Clock::Virtual => self.sleep(Duration::from_micros(1)).await,
            Clock::Machine => self.pause().await,
        }
    }

    /// Lets others run.
    pub(crate) async fn pause(self) {
        if self.awaits { Pause(false).await } else { rendez::yield_now() }
    }
}

/// How a role waits for its channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Wait,
    Try,
    Timeout(Duration),
}

impl Way {
    /// Two that both give up at once must not go on like that.
    fn more_patient(self) -> Way {
        match self {
            Way::Timeout(limit) => {
                Way::Timeout((limit * 2).clamp(Duration::from_micros(1), Duration::from_millis(1)))
            }
            way => way,
        }
    }
}

struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        // A task with a thread of its own has nobody else to let run.
        thread::yield_now();
        Poll::Pending
    }
}

/// Runs a role whose operations block, so that it is ready at its first poll.
pub(crate) fn run_blocking(role: impl Future<Output = ()>) {
    let Poll::Ready(()) = pin!(role).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a blocking role must not be pending");
    };
}

/// An executor that knows nothing of rendez: a flag and a condition variable of the standard library.
pub(crate) fn drive<Fut: Future>(future: Fut) -> Fut::Output {
    struct Signal(Mutex<bool>, Condvar);
    impl Wake for Signal {
        fn wake(self: Arc<Self>) {
            *self.0.lock().expect("no panic under it") = true;
            self.1.notify_one();
        }
    }
    let signal = Arc::new(Signal(Mutex::new(false), Condvar::new()));
    let waker = Waker::from(signal.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut woken = signal.0.lock().expect("no panic under it");
        while !std::mem::take(&mut *woken) {
            woken = signal.1.wait(woken).expect("no panic under it");
        }
    }
}

/// A waker that counts its calls.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (wakes.clone(), Waker::from(wakes))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once with a waker that does nothing; `None` is pending.
pub(crate) fn poll_once<Fut: Future>(future: Pin<&mut Fut>) -> Option<Fut::Output> {
    poll_with(future, Waker::noop())
}

pub(crate) fn poll_with<Fut: Future + ?Sized>(future: Pin<&mut Fut>, waker: &Waker) -> Option<Fut::Output> {
    match future.poll(&mut Context::from_waker(waker)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Ends the test process, with a word on where it hung, if it isn't dropped in time.
pub(crate) struct Watchdog {
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    const LIMIT: Duration = Duration::from_secs(120);

    pub(crate) fn new(what: String) -> Watchdog {
        let test = thread::current().name().unwrap_or("a test").to_string();
        let (alive, gone) = mpsc::channel();
        thread::spawn(move || {
            if gone.recv_timeout(Self::LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Not `eprintln`: what that says the test harness keeps, and loses in the abort.
                let _ = writeln!(io::stderr(), "{test} hangs in {what}");
                std::process::abort();
            }
        });
        Watchdog { _alive: alive }
    }
}

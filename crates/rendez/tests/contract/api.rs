//! The public contract of `sync`, `context` and `time`: every call that programs are promised is made here as a stranger would,
//! so that a signature that accepts less, or yields something else, does not compile.
#![cfg(not(loom))]

use rendez::{
    CancelFunc, Context, ContextError, Event, StopFunc, block_on,
    chan::Receiver,
    go,
    sync::{
        Barrier, Cond, Group, Mutex, MutexGuard, Once, OnceValue, Permit, Pool, PoolGuard, RwLock,
        RwLockReadGuard, RwLockWriteGuard, Semaphore, SingleFlight, WaitGroup,
    },
    time::{self, Instant, Ticker, Timer},
};
use std::{
    convert::Infallible,
    error::Error,
    fmt::{Debug, Display},
    future::Future,
    io,
    sync::Arc,
    time::Duration,
};

const MOMENT: Duration = Duration::from_millis(1);

fn sent<T: Send>(value: T) -> T {
    value
}

fn event<E: Event<Output = R>, R>(event: E) -> R {
    event.wait()
}

fn future<F: Future<Output = R> + Send, R>(future: F) -> R {
    block_on(future)
}

static MUTEX: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static LOCK: RwLock<Vec<u8>> = RwLock::new(Vec::new());
static QUEUE: (Mutex<Vec<u8>>, Cond) = (Mutex::new(Vec::new()), Cond::new());
static ONCE: Once = Once::new();

#[test]
fn a_wait_group_takes_and_gives_what_is_promised() {
    let group = WaitGroup::new();
    group.add(2_i64);
    group.done();
    group.add(-1);
    group.go(|| {});
    group.clone().wait();
    future(group.wait_async());
    event::<_, ()>(&group);
}

#[test]
fn a_mutex_takes_and_gives_what_is_promised() {
    let mut mutex = Mutex::new(Vec::<u8>::new());
    {
        let mut guard: MutexGuard<'_, Vec<u8>> = mutex.lock();
        guard.push(1);
        let none: Option<MutexGuard<'_, Vec<u8>>> = mutex.try_lock();
        assert!(none.is_none());
        let none: Option<MutexGuard<'_, Vec<u8>>> = mutex.lock_timeout(MOMENT);
        assert!(none.is_none());
        _ = sent(guard);
    }
    future::<_, MutexGuard<'_, Vec<u8>>>(mutex.lock_async()).push(2);
    event::<_, MutexGuard<'_, Vec<u8>>>(mutex.lock_event()).push(3);
    mutex.get_mut().push(4);
    assert_eq!(mutex.into_inner(), [1, 2, 3, 4]);
    assert!(MUTEX.lock().is_empty());
}

#[test]
fn a_lock_for_reading_and_writing_takes_and_gives_what_is_promised() {
    let mut lock = RwLock::new(1);
    {
        let one: RwLockReadGuard<'_, i32> = lock.read();
        let two: Option<RwLockReadGuard<'_, i32>> = lock.try_read();
        let none: Option<RwLockWriteGuard<'_, i32>> = lock.try_write();
        assert!(two.is_some_and(|two| *two == *one) && none.is_none());
    }
    *lock.write() += 1;
    *future::<_, RwLockWriteGuard<'_, i32>>(lock.write_async()) += 1;
    assert_eq!(*future::<_, RwLockReadGuard<'_, i32>>(lock.read_async()), 3);
    *event::<_, RwLockWriteGuard<'_, i32>>(lock.write_event()) += 1;
    assert_eq!(*event::<_, RwLockReadGuard<'_, i32>>(lock.read_event()), 4);
    *lock.get_mut() += 1;
    assert_eq!(lock.into_inner(), 5);
    assert!(LOCK.read().is_empty());
}

#[test]
fn a_condition_takes_and_gives_what_is_promised() {
    let mutex = Mutex::new(3);
    let told = go(|| {
        let mut guard = QUEUE.0.lock();
        QUEUE.1.wait_while(&mut guard, |value: &mut Vec<u8>| value.is_empty());
    });
    QUEUE.0.lock().push(1);
    QUEUE.1.signal();
    QUEUE.1.broadcast();
    told.join().unwrap();
    let mut guard = mutex.lock();
    let in_time: bool = Cond::new().wait_timeout(&mut guard, MOMENT);
    assert!(!in_time);
    let waits: fn(&Cond, &mut MutexGuard<'_, i32>) = |cond, guard| cond.wait(guard);
    let shared = Arc::new((Mutex::new(0), Cond::new()));
    let waiter = go({
        let shared = shared.clone();
        move || waits(&shared.1, &mut shared.0.lock())
    });
    while !waiter.is_finished() {
        shared.1.signal();
        rendez::yield_now();
    }
}

#[test]
fn once_and_its_value_take_and_give_what_is_promised() {
    let word = String::from("moved");
    ONCE.call_once(move || drop(word));
    assert!(ONCE.is_completed());
    let word = String::from("value");
    let value: OnceValue<String> = OnceValue::new(move || word);
    let got: &String = value.get();
    assert_eq!(got, "value");
}

#[test]
fn a_pool_takes_and_gives_what_is_promised() {
    let pool: Pool<Vec<u8>> = Pool::new(|| Vec::with_capacity(8));
    let mut object: PoolGuard<'_, Vec<u8>> = pool.get();
    object.push(1);
    let taken: Vec<u8> = PoolGuard::take(object);
    let other: Vec<u8> = pool.get().take();
    pool.put(taken);
    pool.put(other);
}

#[test]
fn a_semaphore_takes_and_gives_what_is_promised() {
    let semaphore = Semaphore::new(3_usize);
    let two: Permit<'_> = semaphore.acquire(2);
    let none: Option<Permit<'_>> = semaphore.try_acquire(2);
    assert!(none.is_none());
    drop(two);
    drop(future::<_, Permit<'_>>(semaphore.acquire_async(3)));
    drop(event::<_, Permit<'_>>(semaphore.acquire_event(3)));
}

#[test]
fn a_group_takes_and_gives_what_is_promised() {
    let (group, ctx): (Group<io::Error>, Context) = Group::with_context(&Context::background());
    group.limit(2);
    let word = String::from("moved");
    group.go(move || {
        drop(word);
        Err(io::Error::other("first"))
    });
    let result: Result<(), io::Error> = group.wait();
    assert_eq!(result.unwrap_err().to_string(), "first");
    assert!(ctx.err().is_some());
    // Of an error that may not be shared.
    let group: Group<std::cell::Cell<u8>> = Group::new();
    group.go(|| Ok(()));
    assert!(group.wait().is_ok());
}

#[test]
fn a_single_flight_and_a_barrier_take_and_give_what_is_promised() {
    let flights: SingleFlight<String, Vec<u8>> = SingleFlight::new();
    let local = [1, 2];
    let value: Vec<u8> = flights.run("key".to_string(), || local.to_vec());
    assert_eq!(value, [1, 2]);
    let barrier = Barrier::new(1_usize);
    let last: bool = barrier.wait();
    assert!(last);
}

#[test]
fn a_context_takes_and_gives_what_is_promised() {
    fn is_whole<T: Clone + Send + Sync + Debug + Display + 'static>(_: &T) {}
    let root: Context = rendez::context::Context::background();
    is_whole(&root);
    assert!(Context::todo().err().is_none());
    let (ctx, cancel): (Context, CancelFunc) = root.with_cancel();
    let (with_cause, cancel_cause): (Context, CancelFunc) = ctx.with_cancel_cause();
    let (limited, _cancel): (Context, CancelFunc) = ctx.with_timeout(Duration::from_secs(60));
    let (timed, detached): (Context, CancelFunc) = ctx.with_deadline(Instant::now() + MOMENT);
    let deadline: Option<Instant> = timed.deadline();
    assert!(deadline < limited.deadline());
    detached.detach();
    struct Key(String);
    let valued: Context = ctx.with_value(Key("value".to_string()));
    let value: Option<&Key> = valued.value::<Key>();
    assert_eq!(value.unwrap().0, "value");
    let apart: Context = valued.without_cancel();
    let word = String::from("moved");
    let stop: StopFunc = ctx.after_func(move || drop(word));
    let stopped: bool = stop.stop();
    assert!(stopped);
    let done: &Receiver<Infallible> = ctx.done();
    assert!(done.try_recv().is_err());
    // A text, an error of one's own, one in a box, and a context's.
    cancel_cause.cancel_with("gone");
    cancel_cause.cancel_with(String::from("gone"));
    cancel_cause.cancel_with(io::Error::other("gone"));
    cancel_cause.cancel_with(ContextError::DeadlineExceeded);
    cancel_cause.cancel_with(Box::<dyn Error + Send + Sync>::from("gone"));
    let cause: Option<Arc<dyn Error + Send + Sync>> = with_cause.cause();
    assert_eq!(cause.unwrap().to_string(), "gone");
    cancel.cancel();
    let err: Option<ContextError> = ctx.err();
    assert_eq!(err, Some(ContextError::Canceled));
    let copy = err.unwrap();
    let as_error: &dyn Error = &copy;
    assert_eq!(as_error.to_string(), copy.to_string());
    assert_eq!(event::<_, ContextError>(&ctx), ContextError::Canceled);
    assert!(apart.err().is_none());
    let sent = sent((cancel, cancel_cause, stop));
    std::thread::spawn(move || drop(sent)).join().unwrap();
}

#[test]
fn time_takes_and_gives_what_is_promised() {
    time::sleep(Duration::ZERO);
    rendez::sleep(Duration::ZERO);
    time::sleep_until(Instant::now());
    let moment: Instant = event(time::timer(MOMENT));
    let never: Option<Instant> = time::timeout(MOMENT, time::timer(Duration::from_secs(60)));
    assert!(moment <= Instant::now() && never.is_none());
    let timer = Timer::new(Duration::from_secs(60));
    let _: &Receiver<Instant> = timer.c();
    let set: (bool, bool, bool) = (timer.reset(Duration::from_secs(60)), timer.stop(), timer.stop());
    assert_eq!(set, (true, true, false));
    let word = String::from("kept");
    let timer: Timer = time::after_func(Duration::from_secs(60), move || assert_eq!(word, "kept"));
    assert!(timer.stop());
    let ticker = Ticker::new(MOMENT);
    let tick: Result<Instant, _> = ticker.c().recv();
    assert!(tick.is_ok());
    ticker.reset(MOMENT);
    ticker.stop();
}

#[test]
fn instants_have_the_standard_librarys_arithmetic() {
    let start = Instant::now();
    let mut later = start + MOMENT;
    assert_eq!(later - start, MOMENT);
    later += MOMENT;
    later -= MOMENT;
    assert_eq!(later - MOMENT, start);
    assert_eq!(later.duration_since(start), MOMENT);
    assert_eq!(start.saturating_duration_since(later), Duration::ZERO);
    assert_eq!(start.checked_duration_since(later), None);
    assert_eq!(start.checked_add(MOMENT), Some(later));
    assert_eq!(later.checked_sub(MOMENT), Some(start));
    assert!(start.checked_add(Duration::MAX).is_none() && start < later);
    let _: Duration = start.elapsed();
}

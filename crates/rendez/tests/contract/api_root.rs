//! The public contract of the root, of channels, select and testing, call by call: programs elsewhere are compiled against it, so
//! what stands here may grow and not change. Most of it is only to compile; what runs is what a line says in passing.

use rendez::{
    Builder, Event, JoinError, JoinHandle, LocalJoinHandle, PanicPolicy, Placement, Runtime, RuntimeBuilder,
    Scope, ScopedJoinHandle, Select, SelectedOperation,
    chan::{
        self, Iter, Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryIter,
        TryRecvError, TrySendError,
    },
    select,
    time::Instant,
};
use std::{any::Any, error::Error, fmt, future::Future, io, pin::Pin, time::Duration};

const MS: Duration = Duration::from_millis(1);

fn is_send<T: Send>(value: T) -> T {
    value
}

fn is_shared<T: Send + Sync>(value: T) -> T {
    value
}

fn is_error<E: Error + Clone + Eq + fmt::Debug + fmt::Display>(error: E) -> E {
    error
}

/// Neither `Debug` nor `Clone` nor `PartialEq`.
struct Opaque;

#[test]
fn handles() {
    let handle: JoinHandle<i32> = is_shared(rendez::go(|| 1));
    let _: u64 = handle.id();
    let _: () = (&handle).wait();
    let _: bool = handle.is_finished();
    let result: Result<i32, JoinError> = handle.join();
    assert_eq!(result.unwrap(), 1);
    let error: JoinError = is_send(rendez::go(|| panic!("told")).join().map(drop::<()>).unwrap_err());
    let _: (bool, bool) = (error.is_panic(), error.is_cancelled());
    let _: &dyn Error = &error;
    let _: Box<dyn Any + Send> = error.into_panic();
    let awaited: Result<i32, JoinError> = rendez::block_on(async { rendez::go_async(async { 2 }).await });
    assert_eq!(awaited.unwrap(), 2);
    let mut text = String::from("a");
    let two: usize = rendez::run(|| {
        text.push('b');
        let local: LocalJoinHandle<usize> = rendez::go_local(|| 2);
        let _: bool = local.is_finished();
        local.join().unwrap()
    });
    assert_eq!((two, text.as_str()), (2, "ab"));
}

#[test]
fn scopes() {
    let mut number = 1;
    let words = ["x"];
    let got: usize = rendez::scope(|s: &Scope<'_, '_>| {
        let child: ScopedJoinHandle<'_, usize> = s.go(|| words.len());
        s.go(|| number += 1);
        child.join().unwrap()
    });
    assert_eq!((got, number), (1, 2));
}

#[test]
fn builders_and_runtimes() {
    let built: io::Result<JoinHandle<()>> = Builder::new()
        .name("n")
        .name(String::from("m"))
        .stack_size(1 << 18)
        .placement(Placement::Near)
        .spawn(|| ());
    built.unwrap().join().unwrap();
    let _ = [Placement::Auto, Placement::Near, Placement::Spread];
    let builder: RuntimeBuilder = Runtime::builder();
    let builder = builder.workers(1).stack_size(1 << 18).seed(1).panic_policy(PanicPolicy::Print);
    let _ = PanicPolicy::Exit;
    let runtime: Runtime = builder.build().unwrap();
    let borrowed = String::from("b");
    assert_eq!(runtime.run(|| borrowed.len() + rendez::workers()), 2);
    let handle: JoinHandle<i32> = runtime.spawn(|| 3);
    assert_eq!(handle.join().unwrap(), 3);
    rendez::yield_now();
    rendez::sleep(MS);
    runtime.run(|| rendez::set_workers(2));
    runtime.shutdown();
    drop(runtime);
}

#[test]
fn senders_and_receivers() {
    let (tx, rx): (Sender<i32>, Receiver<i32>) = chan::bounded(1);
    let (tx, rx) = (is_shared(tx.clone()), is_shared(rx.clone()));
    let _: Result<(), SendError<i32>> = tx.send(1);
    let _: Result<(), TrySendError<i32>> = tx.try_send(1);
    let _: Result<(), SendTimeoutError<i32>> = tx.send_timeout(1, MS);
    let _: Result<(), SendTimeoutError<i32>> = tx.send_deadline(1, Instant::now() + MS);
    let (_, _, _): (bool, bool, bool) = (tx.is_closed(), tx.is_empty(), tx.is_full());
    let (_, _): (usize, Option<usize>) = (tx.len(), tx.capacity());
    let _: Result<i32, RecvError> = rx.recv();
    let _: Result<i32, TryRecvError> = rx.try_recv();
    let _: Result<i32, RecvTimeoutError> = rx.recv_timeout(MS);
    let _: Result<i32, RecvTimeoutError> = rx.recv_deadline(Instant::now() + MS);
    let sent: Result<(), SendError<i32>> = rendez::block_on(is_send(tx.send_async(4)));
    sent.unwrap();
    let received: Result<i32, RecvError> = rendez::block_on(is_send(rx.recv_async()));
    assert_eq!(received, Ok(4));
    let sent: Result<(), SendError<i32>> = tx.send_event(5).wait();
    sent.unwrap();
    let received: Result<i32, RecvError> = rx.recv_event().wait();
    assert_eq!(received, Ok(5));
    let (_, _, _): (bool, bool, bool) = (rx.is_closed(), rx.is_empty(), rx.is_full());
    let (_, _): (usize, Option<usize>) = (rx.len(), rx.capacity());
    let _: Iter<'_, i32> = rx.iter();
    let _: TryIter<'_, i32> = rx.try_iter();
    let _: Pin<Box<dyn futures_core::Stream<Item = i32> + '_>> = Box::pin(rx.stream());
    let (_, _): (bool, bool) = (tx.close(), rx.close());
    for _ in &rx {}
    for _ in rx {}
    let (_, _): (Sender<Opaque>, Receiver<Opaque>) = chan::unbounded();
    let _: Receiver<Opaque> = chan::never();
    let _: Receiver<Instant> = chan::after(MS);
    let _: Receiver<Instant> = chan::at(Instant::now());
    let _: Receiver<Instant> = chan::tick(MS);
}

#[test]
fn errors_of_channels() {
    let _: Opaque = SendError(Opaque).into_inner();
    let _ = format!("{:?} {}", SendError(Opaque), SendError(Opaque));
    let _: Opaque = TrySendError::Full(Opaque).into_inner();
    let _: Opaque = TrySendError::Closed(Opaque).into_inner();
    let _: Opaque = SendTimeoutError::Timeout(Opaque).into_inner();
    let _: Opaque = SendTimeoutError::Closed(Opaque).into_inner();
    let SendError(inner) = is_error(SendError(1));
    assert_eq!(inner, 1);
    is_error(TrySendError::Full(1));
    is_error(SendTimeoutError::Timeout(1));
    is_error(RecvError);
    let _ = [is_error(TryRecvError::Empty), TryRecvError::Closed];
    let _ = [is_error(RecvTimeoutError::Timeout), RecvTimeoutError::Closed];
}

#[test]
fn selects() {
    let (tx, rx) = chan::bounded::<i32>(1);
    let (none_tx, none_rx): (Option<Sender<i32>>, Option<&Receiver<i32>>) = (None, None);
    let (mut slot, handle) = (Some(7), rendez::go(|| ()));
    let chosen: i32 = select! {
        biased;
        recv(none_rx) -> value => value.unwrap(),
        send(none_tx, 1) -> sent => sent.map(|()| 1).unwrap(),
        send(&tx, take slot) -> sent => { sent.unwrap(); 2 }
        recv(&rx) -> value => value.unwrap(),
    };
    assert_eq!((chosen, slot), (2, None));
    let chosen: i32 = select! {
        recv(Some(&rx)) -> value => value.unwrap(),
        recv(chan::never::<i32>()) -> _ => 0,
        default(Duration::from_secs(60)) => 1,
    };
    assert_eq!(chosen, 7);
    select! {
        wait(&handle) -> () => {}
        send(tx, 9) -> sent => sent.unwrap(),
    }
    handle.join().unwrap();
    select! {
        recv(chan::never::<()>()) -> _ => unreachable!(),
        default => {}
    }
    let mut select: Select<'_> = Select::new();
    let (receives, sends): (usize, usize) = (select.recv(&rx), select.send(&tx));
    select.remove(sends);
    tx.try_send(1).ok();
    let done: SelectedOperation<'_> = select.wait();
    assert_eq!(done.index(), receives);
    let _: Result<i32, RecvError> = done.recv(&rx);
    let _: Option<SelectedOperation<'_>> = select.try_wait();
    let _: Option<SelectedOperation<'_>> = select.wait_timeout(MS);
    let mut select = Select::new();
    select.send(&tx);
    let done = rendez::block_on(select.wait_async());
    let _: Result<(), SendError<i32>> = done.send(&tx, 3);
}

/// What a caller may write over any event.
fn uses<E: Event<Output = Result<i32, RecvError>>>(event: E) -> impl Event<Output = i32> {
    event.map(|received| received.unwrap_or(0))
}

#[test]
fn events() {
    let (tx, rx) = chan::bounded(3);
    for i in 1..=3 {
        tx.send(i).unwrap();
    }
    assert_eq!(uses(rx.recv_event()).wait(), 1);
    assert_eq!(uses(rx.recv_event()).wait_timeout(MS), Some(2));
    let future: Pin<Box<dyn Future<Output = i32> + '_>> = Box::pin(uses(rx.recv_event()).wait_async());
    assert_eq!(rendez::block_on(future), 3);
    tx.send(4).unwrap();
    let chosen: Result<i32, RecvError> = rendez::choose([rx.recv_event(), rx.recv_event()]).wait();
    assert_eq!(chosen, Ok(4));
}

#[cfg(feature = "testing")]
#[test]
fn tests_of_programs() {
    use rendez::testing::{self, Config, Strategy};
    assert_eq!(testing::virtual_time(|| 1), 1);
    let config = Config { seed: Some(1), iterations: Some(2), ..Config::default() };
    let _: Strategy = config.strategy.clone();
    testing::explore(Config { strategy: Strategy::default(), ..config }, || {
        rendez::go(|| ()).join().unwrap();
        testing::check_leaks();
    });
}

rendez::goroutine_local! {
    static OWN: std::cell::Cell<i32> = const { std::cell::Cell::new(1) };
    pub(crate) static OTHER: std::cell::RefCell<Vec<i32>> = std::cell::RefCell::new(vec![])
}

#[test]
fn locals() {
    OWN.with(|own: &std::cell::Cell<i32>| own.set(2));
    OTHER.with(|other| other.borrow_mut().push(1));
}

//! Programs in which nothing can ever run again are told so, and others are not.
//!
//! Each is a process of its own, and its main thread is the program's: the usual harness runs tests on other threads and waits for them
//! in its own way, and such a thread might wake somebody, for all that rendez knows. So this file has a harness of its own: it
//! starts itself again with the name of the program.

use libtest_mimic::{Arguments, Failed, Trial};
use rendez::{
    Builder, Context, Event, JoinHandle, Runtime, blocking, chan, diag, go, go_async,
    net::UnixStream,
    select, signal, stdin,
    sync::{Barrier, Cond, Mutex, Once, RwLock, Semaphore, WaitGroup},
    time,
};
use std::{
    env, fs,
    io::{Read, Write},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{self, thread::JoinHandleExt},
    },
    path::PathBuf,
    pin::pin,
    process::{self, Command, ExitCode, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{self, Wake, Waker},
    thread,
    time::Duration,
};

const CHILD: &str = "RENDEZ_DEADLOCK_PROGRAM";
/// Longer than it takes to find a deadlock.
const LONG: Duration = Duration::from_millis(900);

/// What a program has to come to.
enum End {
    /// The report, with these lines.
    Dead(&'static [&'static str]),
    Alive,
}
use End::{Alive, Dead};

/// The name, the program, and its end.
type Program = (&'static str, fn(), End);

macro_rules! programs {
    ($($name:ident => $end:expr,)*) => {
        const PROGRAMS: &[Program] = &[$((stringify!($name), $name, $end)),*];
    };
}

programs! {
    a_receive_that_nobody_will_serve_is_a_deadlock => Dead(&["[join]:\n\t", "\"printer\" [chan receive]:\n\t", "tests/deadlock.rs:", "\n\tcreated by deadlock::a_receive_that_nobody_will_serve_is_a_deadlock::{{closure}} at crates/rendez/tests/deadlock.rs"]),
    every_kind_of_wait_is_told_by_its_name => Dead(&["[sync.Mutex.Lock]", "[sync.RWMutex.RLock]", "[sync.RWMutex.Lock]", "[semacquire]", "[sync.Cond.Wait]", "[sync.Once.Do]", "[select]", "[await]", "[sync.WaitGroup.Wait]"]),
    two_that_lock_in_two_orders_are_told_in_a_circle => Dead(&["[join]:\n\t", "waits for mutex \"right\" of i32, ", "\nthey wait for each other in a circle:\n\tgoroutine ", " \"a\" waits for mutex \"right\", held by goroutine ", " \"b\" waits for mutex \"left\", held by goroutine "]),
    who_joins_himself_is_told_so => Dead(&["\" waits for the end of itself.\n"]),
    a_deadlock_of_a_hundred_thousand_is_told_in_time => Dead(&["they wait for each other in a circle:\n\tgoroutine ", OTHERS_OF_MANY]),
    a_deadlock_of_a_crowd_is_told_in_groups => Dead(&["(and 19999 more like it)"]),
    a_deadlock_that_comes_after_work_and_timers_is_found => Dead(&["[chan receive]"]),
    a_thread_that_ends_without_a_word_leaves_a_deadlock => Dead(&["[chan receive]"]),
    a_main_thread_that_waits_for_a_goroutine_is_no_way_out => Dead(&["[chan receive]"]),
    a_main_thread_that_kept_its_sender_is_told_when_all_goroutines_have_ended => Dead(&["thread \"main\" [chan receive]:\n\twaits for channel \"results\" of u32, made at crates/rendez/tests/deadlock.rs:", "; it has 1 sender and 1 receiver"]),
    a_main_thread_that_waits_alone_is_told => Dead(&["thread \"main\" [chan receive]:\n\twaits for channel of i32, made at"]),
    threads_that_wait_for_each_other_are_told_without_a_goroutine => Dead(&["thread \"main\" [sync.WaitGroup.Wait]", "thread \"left\" [sync.Mutex.Lock]:\n\twaits for mutex of i32, ", "thread \"right\" [sync.Mutex.Lock]"]),
    a_main_thread_that_waits_after_its_runtime_has_ended_is_told => Dead(&["thread \"main\" [sync.WaitGroup.Wait]"]),
    a_main_thread_that_waits_alone_for_another_thread_is_served => Alive,
    a_runtime_that_gives_up_on_a_destructor_is_waited_for => Alive,
    a_main_thread_that_waits_long_after_all_goroutines_have_ended_is_told => Dead(&["thread \"main\" [chan receive]"]),
    threads_and_timers_that_may_still_wake_somebody_are_waited_for => Alive,
    a_deadlock_after_there_were_spares_is_told => Dead(&["[chan receive]:\n\t", "[join]:\n\t"]),
    a_deadlock_after_there_were_spares_of_two_is_told => Dead(&["[chan receive]:\n\t", "[join]:\n\t"]),
    a_deadlock_after_there_were_spares_of_eight_is_told => Dead(&["[chan receive]:\n\t", "[join]:\n\t"]),
    a_main_thread_that_works_is_waited_for => Alive,
    goroutines_that_are_left_when_main_returns_are_no_deadlock => Alive,
    a_socket_that_is_waited_for_is_waited_for => Alive,
    a_socket_whose_runtime_has_ended_is_waited_for => Alive,
    a_blocking_call_is_waited_for => Alive,
    a_child_and_its_pipe_are_waited_for => Alive,
    a_signal_is_waited_for => Alive,
    a_thread_that_was_woken_and_has_not_run_yet_is_waited_for => Alive,
    a_waker_that_an_alarm_calls_is_waited_for => Alive,
    standard_input_is_waited_for => Alive,
    after_sockets_calls_and_children_a_deadlock_is_still_found => Dead(&["[chan receive]"]),
    with_a_monitor_dumps_on_request_and_past_signals_a_deadlock_is_still_found => Dead(&["[chan receive]"]),
}

fn main() -> ExitCode {
    if let Ok(name) = env::var(CHILD) {
        let (_, program, _) =
            PROGRAMS.iter().find(|(other, ..)| *other == name).expect("a program of this name");
        program();
        return ExitCode::SUCCESS;
    }
    let trial = |(name, _, end): &'static Program| Trial::test(*name, move || check(name, end));
    libtest_mimic::run(&Arguments::from_args(), PROGRAMS.iter().map(trial).collect()).exit_code()
}

fn check(name: &str, end: &End) -> Result<(), Failed> {
    // One that is not ended by its deadlock is ended by this.
    let mut command = Command::new("timeout");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.args(["30"]).arg(env::current_exe()?).env(CHILD, name).env("RENDEZ_WORKERS", "2");
    // What a program that ends so has not freed is no leak.
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().expect("it is piped");
    // For the one that waits for it, and longer than it takes to find a deadlock.
    let writer = thread::spawn(move || {
        thread::sleep(LONG);
        // Others have ended by then.
        let _ = stdin.write_all(b"x");
    });
    let Output { status, stderr, .. } = child.wait_with_output()?;
    writer.join().expect("it does not panic");
    let err = String::from_utf8_lossy(&stderr);
    match end {
        Alive if status.success() => Ok(()),
        Alive => Err(format!("{status}: {err}").into()),
        Dead(lines) => {
            let head = ["\n\ngoroutine ", "\n\nthread "]
                .map(|who| format!("fatal error: all goroutines are asleep - deadlock!{who}"));
            let is_told = head.iter().any(|head| err.contains(head));
            let missing =
                if is_told { lines.iter().find(|line| !err.contains(**line)) } else { Some(&"head") };
            match missing {
                _ if status.code() != Some(2) => Err(format!("{status}, not 2: {err}").into()),
                Some(line) => Err(format!("no {line:?} in: {err}").into()),
                None => Ok(()),
            }
        }
    }
}

fn a_receive_that_nobody_will_serve_is_a_deadlock() {
    rendez::run(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        let printer = Builder::new().name("printer").spawn(move || rx.recv()).unwrap();
        printer.join().unwrap().unwrap();
        drop(tx);
    });
}

type All = (Mutex<()>, RwLock<()>, Cond, Semaphore, Once);

fn every_kind_of_wait_is_told_by_its_name() {
    rendez::run(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        let mutex = Arc::new((Mutex::new(()), RwLock::new(()), Cond::new(), Semaphore::new(1), Once::new()));
        let group = WaitGroup::new();
        group.add(1);
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.detach();
        let started = WaitGroup::new();
        let start = |f: fn(&All)| {
            let (all, started) = (mutex.clone(), started.clone());
            started.add(1);
            go(move || {
                started.done();
                f(&all);
            });
        };
        let (_guard, _writer, _permit) = (mutex.0.lock(), mutex.1.write(), mutex.3.acquire(1));
        start(|all| drop(all.0.lock()));
        start(|all| drop(all.1.read()));
        start(|all| drop(all.1.write()));
        start(|all| drop(all.3.acquire(1)));
        start(|all| {
            let own = Mutex::new(());
            all.2.wait(&mut own.lock());
        });
        start(|all| all.4.wait()); // nobody calls it
        go(move || select! { recv(rx) -> _ => {}, wait(&ctx) -> _ => {} });
        go_async(std::future::pending::<()>());
        started.wait();
        group.wait();
        drop(tx);
    });
}

/// Two goroutines that take two mutexes in two orders.
fn cross(left: &Arc<Mutex<i32>>, right: &Arc<Mutex<i32>>) -> [JoinHandle<()>; 2] {
    left.set_name("left");
    right.set_name("right");
    let both = Arc::new(Barrier::new(2));
    [("a", left, right), ("b", right, left)].map(|(name, first, second)| {
        let (first, second, both) = (first.clone(), second.clone(), both.clone());
        let cross = move || {
            let _first = first.lock();
            both.wait();
            let _second = second.lock();
        };
        Builder::new().name(name).spawn(cross).unwrap()
    })
}

fn two_that_lock_in_two_orders_are_told_in_a_circle() {
    rendez::run(|| {
        let [a, b] = cross(&Arc::new(Mutex::new(1)), &Arc::new(Mutex::new(2)));
        a.join().unwrap();
        b.join().unwrap();
    });
}

/// From when all are there until the process ends it may take so long; without a limit in a debug build.
const IN_TIME: Duration = Duration::from_secs(5);
/// AddressSanitizer takes too long for a hundred thousand.
const MANY: usize = if cfg!(rendez_sanitize) { 5000 } else { 100_000 };
const OTHERS_OF_MANY: &str =
    if cfg!(rendez_sanitize) { "(and 4999 more like it)" } else { "(and 99999 more like it)" };

fn who_joins_himself_is_told_so() {
    rendez::run(|| {
        let (tx, rx) = chan::bounded::<JoinHandle<()>>(1);
        let joins = move || rx.recv().unwrap().join().unwrap();
        tx.send(Builder::new().name("joins").spawn(joins).unwrap()).unwrap();
        chan::never::<()>().recv().ok();
    });
}

fn a_deadlock_of_a_hundred_thousand_is_told_in_time() {
    rendez::run(|| {
        let (left, right) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)));
        let [a, _b] = cross(&left, &right);
        while diag::deadlocked().is_empty() {
            rendez::yield_now();
        }
        let parked = WaitGroup::new();
        for _ in 0..MANY {
            let (left, done) = (left.clone(), parked.clone());
            parked.add(1);
            go(move || {
                done.done();
                drop(left.lock());
            });
        }
        parked.wait();
        // Nobody of ours is left that could look at the clock: the system does.
        if !cfg!(debug_assertions) {
            // SAFETY: sets the clock of this process, whose signal ends it.
            unsafe { libc::alarm(IN_TIME.as_secs() as u32) };
        }
        a.join().unwrap();
    });
}

fn a_deadlock_of_a_crowd_is_told_in_groups() {
    rendez::run(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        for _ in 0..20_000 {
            let rx = rx.clone();
            go(move || rx.recv());
        }
        rx.recv().unwrap();
        drop(tx);
    });
}

fn a_deadlock_that_comes_after_work_and_timers_is_found() {
    rendez::run(|| {
        for _ in 0..3 {
            time::sleep(Duration::from_millis(5));
            go(|| 1).join().unwrap();
        }
        chan::never::<()>().recv().unwrap();
    });
}

fn a_thread_that_ends_without_a_word_leaves_a_deadlock() {
    let (tx, rx) = chan::bounded::<i32>(0);
    let thread = thread::spawn(move || {
        let _kept = tx.clone();
        thread::sleep(Duration::from_millis(500));
        std::mem::forget(tx);
    });
    rendez::run(move || {
        let _thread = thread;
        let _ = rx.recv();
        // The thread dropped its sender, so this is the wait that nobody ends.
        chan::never::<()>().recv().unwrap();
    });
}

/// What waits in a destructor is left behind, after two seconds in which nothing runs.
fn a_runtime_that_gives_up_on_a_destructor_is_waited_for() {
    struct Waits(chan::Receiver<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }
    let (tx, rx) = chan::bounded(0);
    let other = go(move || rx.recv());
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (started, has_started) = chan::bounded(1);
    let (_kept, waits) = chan::bounded(0);
    drop(runtime.spawn(move || {
        let _waits = Waits(waits);
        started.send(()).unwrap();
        chan::never::<()>().recv()
    }));
    has_started.recv().unwrap();
    runtime.shutdown();
    tx.send(5).unwrap();
    assert_eq!(other.join().unwrap(), Ok(5));
}

fn a_main_thread_that_waits_long_after_all_goroutines_have_ended_is_told() {
    go(|| ()).join().unwrap();
    // The workers have asked by then, and found nobody who waits.
    thread::sleep(LONG);
    let (_tx, rx) = chan::bounded::<u32>(0);
    let _ = rx.recv();
}

fn threads_and_timers_that_may_still_wake_somebody_are_waited_for() {
    let (tx, rx) = chan::bounded(0);
    let thread = thread::spawn(move || {
        thread::sleep(LONG);
        tx.send(1).unwrap();
    });
    assert_eq!(rendez::run(|| rx.recv()), Ok(1));
    thread.join().unwrap();
    rendez::run(|| time::sleep(LONG));
    rendez::run(|| rendez::block_on(time::sleep_async(LONG)));
    let woken = rendez::run(|| chan::never::<()>().recv_timeout(LONG));
    assert!(woken.is_err());
}

fn a_main_thread_that_works_is_waited_for() {
    let (tx, rx) = chan::bounded(0);
    let handle = go(move || rx.recv());
    thread::sleep(LONG);
    tx.send(5).unwrap();
    assert_eq!(handle.join().unwrap(), Ok(5));
}

fn goroutines_that_are_left_when_main_returns_are_no_deadlock() {
    rendez::run(|| {
        go(|| chan::never::<()>().recv());
        time::sleep(Duration::from_millis(1));
    });
    let runtime = rendez::Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| drop(go(|| chan::never::<()>().recv())));
    // Nobody waits for what is parked there.
    thread::sleep(Duration::from_millis(600));
}

fn a_main_thread_that_waits_for_a_goroutine_is_no_way_out() {
    let (tx, rx) = chan::bounded::<i32>(0);
    let handle = go(move || rx.recv());
    // Not in a runtime's main: the thread itself waits.
    let _ = handle.join();
    drop(tx);
}

fn a_main_thread_that_kept_its_sender_is_told_when_all_goroutines_have_ended() {
    let (tx, rx) = chan::bounded::<u32>(0);
    rx.set_name("results");
    for n in 0..3 {
        let tx = tx.clone();
        go(move || tx.send(n).unwrap());
    }
    // It ends when the last sender is dropped, which is here.
    assert_eq!(rx.iter().count(), 3);
    drop(tx);
}

fn a_main_thread_that_waits_alone_is_told() {
    let (_tx, rx) = chan::bounded::<i32>(0);
    let _ = rx.recv();
}

fn threads_that_wait_for_each_other_are_told_without_a_goroutine() {
    let (left, right) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)));
    let both = Arc::new(std::sync::Barrier::new(2));
    let group = WaitGroup::new();
    for (name, first, second) in [("left", &left, &right), ("right", &right, &left)] {
        let (first, second, both, group) = (first.clone(), second.clone(), both.clone(), group.clone());
        group.add(1);
        let cross = move || {
            let _first = first.lock();
            both.wait();
            drop(second.lock());
            group.done();
        };
        thread::Builder::new().name(name.into()).spawn(cross).unwrap();
    }
    group.wait();
}

fn a_main_thread_that_waits_after_its_runtime_has_ended_is_told() {
    let group = WaitGroup::new();
    group.add(2);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let done = group.clone();
    runtime.run(move || done.done());
    drop(runtime);
    group.wait();
}

fn a_main_thread_that_waits_alone_for_another_thread_is_served() {
    let (tx, rx) = chan::bounded(0);
    let thread = thread::spawn(move || {
        thread::sleep(2 * LONG);
        tx.send(1).unwrap();
    });
    assert_eq!(rx.recv(), Ok(1));
    thread.join().unwrap();
    // By time alone, and by an alarm's thread alone.
    let (_tx, rx) = chan::bounded::<i32>(0);
    assert!(rx.recv_timeout(LONG).is_err());
    assert!(chan::after(LONG).recv().is_ok());
    rendez::block_on(time::sleep_async(LONG));
    let (ctx, _cancel) = Context::background().with_timeout(LONG);
    assert!(ctx.done().recv().is_err());
}

/// A socket at whose other end another process writes something after a while, and that process.
fn socket() -> (UnixStream, process::Child) {
    let (ours, theirs) = unix::net::UnixStream::pair().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "sleep 0.9; echo x"]).stdin(Stdio::null()).stdout(OwnedFd::from(theirs));
    (UnixStream::from(ours), shell.spawn().unwrap())
}

fn a_socket_that_is_waited_for_is_waited_for() {
    let (mut ours, mut shell) = socket();
    rendez::run(move || go(move || ours.read_exact(&mut [0])).join().unwrap()).unwrap();
    shell.wait().unwrap();
    // By an event, and from a thread that is no worker, while a goroutine waits for that thread.
    let (ours, mut shell) = socket();
    let (tx, rx) = chan::bounded(0);
    go(move || tx.send(ours.read_event(&mut [0]).wait().unwrap()));
    assert_eq!(rx.recv(), Ok(1));
    shell.wait().unwrap();
    let (mut ours, mut shell) = socket();
    let (tx, rx) = chan::bounded(0);
    let other = go(move || rx.recv());
    tx.send(ours.read(&mut [0]).unwrap()).unwrap();
    assert_eq!(other.join().unwrap(), Ok(1));
    shell.wait().unwrap();
}

fn a_socket_whose_runtime_has_ended_is_waited_for() {
    let (ours, mut shell) = socket();
    let ours = Arc::new(ours);
    let [runtime, others] = [1, 3].map(|workers| Runtime::builder().workers(workers).build().unwrap());
    let reader = ours.clone();
    runtime.run(move || {
        // So it is registered here.
        assert!(reader.read_event(&mut [0]).wait_timeout(Duration::from_millis(1)).is_none());
    });
    let mut future = Box::pin(async move { ours.read_async(&mut [0]).await });
    // A wait that is left to the poller of the worker which ends.
    runtime.run(|| {
        let waker = futures_util::task::noop_waker();
        assert!(future.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    });
    drop(runtime);
    // What is left of these is used again first.
    drop(others);
    assert_eq!(rendez::run(move || rendez::block_on(future)).unwrap(), 1);
    shell.wait().unwrap();
}

fn a_blocking_call_is_waited_for() {
    rendez::run(|| blocking(|| thread::sleep(LONG)));
    // By a goroutine that waits for the one that waits.
    rendez::run(|| go(|| blocking(|| thread::sleep(LONG))).join().unwrap());
}

fn a_child_and_its_pipe_are_waited_for() {
    use rendez::process::{Command, Stdio};

    rendez::run(|| {
        assert!(Command::new("sleep").arg("0.9").status().unwrap().success());
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", "sleep 0.9; echo x"]).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(shell.wait_with_output().unwrap().stdout, b"x\n");
    });
}

fn a_signal_is_waited_for() {
    let signals = signal::notify([signal::Signal::USER1]).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("sleep 0.9; kill -USR1 {}", process::id())]);
    let mut shell = shell.spawn().unwrap();
    assert_eq!(rendez::run(|| signals.recv()), Ok(signal::Signal::USER1));
    shell.wait().unwrap();
}

fn a_thread_that_was_woken_and_has_not_run_yet_is_waited_for() {
    static IS_KEPT: AtomicBool = AtomicBool::new(false);
    /// Keeps the thread from running on, as a machine does that has no processor for it.
    extern "C" fn keep(_: libc::c_int) {
        IS_KEPT.store(true, Ordering::SeqCst);
        thread::sleep(LONG);
    }
    let (tx, rx) = chan::bounded(0);
    let (answers, answer) = chan::bounded(0);
    let body = move || answers.send(rx.recv().unwrap() + 1).unwrap();
    let thread = thread::Builder::new().name("answers".into()).spawn(body).unwrap();
    let sleeps = |task: PathBuf| {
        let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
        stat.contains("(answers) S")
    };
    while !fs::read_dir("/proc/self/task").unwrap().any(|task| sleeps(task.unwrap().path())) {
        thread::yield_now();
    }
    // SAFETY: the handler does what handlers may: it stores, and sleeps. The thread has not been joined.
    unsafe {
        libc::signal(libc::SIGUSR1, keep as *const () as usize);
        libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR1);
    }
    while !IS_KEPT.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let answer = rendez::run(|| {
        tx.send(1).unwrap();
        answer.recv()
    });
    assert_eq!(answer, Ok(2));
    thread.join().unwrap();
}

fn a_waker_that_an_alarm_calls_is_waited_for() {
    /// It takes its time.
    struct Sends(chan::Sender<()>);
    impl Wake for Sends {
        fn wake(self: Arc<Self>) {
            thread::sleep(LONG);
            self.0.send(()).unwrap();
        }
    }
    let (tx, rx) = chan::bounded(1);
    let waker = Waker::from(Arc::new(Sends(tx)));
    let timer = time::Timer::new(Duration::from_millis(10));
    let mut receive = pin!(timer.c().recv_async());
    // On a thread that is no worker: so the alarm is set at the service.
    assert!(receive.as_mut().poll(&mut task::Context::from_waker(&waker)).is_pending());
    assert_eq!(rendez::run(|| rx.recv()), Ok(()));
}

fn standard_input_is_waited_for() {
    rendez::run(|| stdin().read_exact(&mut [0]).unwrap());
}

fn with_a_monitor_dumps_on_request_and_past_signals_a_deadlock_is_still_found() {
    diag::dump_on_quit(diag::AfterDump::GoOn).unwrap();
    diag::on_stuck(|stuck| panic!("nobody is: {stuck}"));
    drop(signal::notify([signal::Signal::USER1]).unwrap());
    let runtime = Runtime::builder().stuck_after(Duration::from_secs(60)).build().unwrap();
    runtime
        .run(|| {
            let (_tx, rx) = chan::bounded::<()>(0);
            rx.recv()
        })
        .unwrap();
}

fn after_sockets_calls_and_children_a_deadlock_is_still_found() {
    rendez::run(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let reader = go(move || (&ours).read(&mut [0]).unwrap());
        rendez::yield_now();
        theirs.shutdown(Shutdown::Write).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
        assert_eq!(blocking(|| 1), 1);
        assert!(rendez::process::Command::new("true").status().unwrap().success());
    });
    // From a thread as well: then there is a service.
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let writer = go(move || drop(theirs));
    assert_eq!(ours.read(&mut [0]).unwrap(), 0);
    writer.join().unwrap();
    drop(ours);
    rendez::run(|| chan::never::<()>().recv().unwrap());
}

fn a_deadlock_after_there_were_spares_is_told() {
    deadlocks_after_spares(1);
}

fn a_deadlock_after_there_were_spares_of_two_is_told() {
    deadlocks_after_spares(2);
}

fn a_deadlock_after_there_were_spares_of_eight_is_told() {
    deadlocks_after_spares(8);
}

/// While all workers are in calls that block, a goroutine starts, and stays on the spare that has started it.
fn deadlocks_after_spares(workers: usize) {
    let runtime = Runtime::builder().workers(workers).spares(workers).build().unwrap();
    let (tx, rx) = chan::bounded::<()>(0);
    let (started, has_started) = std::sync::mpsc::channel();
    let inside = Arc::new(std::sync::Barrier::new(workers + 1));
    let kept: Vec<_> = (0..workers)
        .map(|_| {
            let inside = inside.clone();
            runtime.spawn(move || {
                inside.wait();
                inside.wait();
            })
        })
        .collect();
    inside.wait();
    let parked = runtime.spawn(move || {
        started.send(()).unwrap();
        rx.recv().is_ok()
    });
    has_started.recv().unwrap();
    assert!(diag::stats().counts.spares > 0);
    inside.wait();
    kept.into_iter().for_each(|handle| handle.join().unwrap());
    // It holds what the other one waits for.
    runtime.run(move || {
        let _tx = tx;
        parked.join().unwrap()
    });
}

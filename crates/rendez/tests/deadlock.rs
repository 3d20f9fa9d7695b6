//! Programs in which nothing can ever run again are told so, and others are not.
//!
//! Each is a process of its own, and its main thread is the program's: the usual harness runs tests on other threads and waits for them
//! in its own way, and such a thread might wake somebody, for all that rendez knows. So this file has a harness of its own: it
//! starts itself again with the name of the program.

use libtest_mimic::{Arguments, Failed, Trial};
use rendez::{
    Builder, Context, chan, go, go_async, select,
    sync::{Cond, Mutex, Once, RwLock, Semaphore, WaitGroup},
    time,
};
use std::{
    env,
    process::{Command, ExitCode, Output},
    sync::Arc,
    thread,
    time::Duration,
};

const CHILD: &str = "RENDEZ_DEADLOCK_PROGRAM";

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
    a_receive_that_nobody_will_serve_is_a_deadlock => Dead(&["[join]:\n\tcreated at ", "\"printer\" [chan receive]:\n\tcreated at "]),
    every_kind_of_wait_is_told_by_its_name => Dead(&["[sync.Mutex.Lock]", "[sync.RWMutex.RLock]", "[sync.RWMutex.Lock]", "[semacquire]", "[sync.Cond.Wait]", "[sync.Once.Do]", "[select]", "[await]", "[sync.WaitGroup.Wait]"]),
    a_deadlock_of_a_crowd_is_told_in_groups => Dead(&["(and 19999 more like it)"]),
    a_deadlock_that_comes_after_work_and_timers_is_found => Dead(&["[chan receive]"]),
    a_thread_that_ends_without_a_word_leaves_a_deadlock => Dead(&["[chan receive]"]),
    a_main_thread_that_waits_for_a_goroutine_is_no_way_out => Dead(&["[chan receive]"]),
    threads_and_timers_that_may_still_wake_somebody_are_waited_for => Alive,
    a_main_thread_that_works_is_waited_for => Alive,
    goroutines_that_are_left_when_main_returns_are_no_deadlock => Alive,
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
    command.args(["30"]).arg(env::current_exe()?).env(CHILD, name).env("RENDEZ_WORKERS", "2");
    // What a program that ends so has not freed is no leak.
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    let Output { status, stderr, .. } = command.output()?;
    let err = String::from_utf8_lossy(&stderr);
    match end {
        Alive if status.success() => Ok(()),
        Alive => Err(format!("{status}: {err}").into()),
        Dead(lines) => {
            let head = "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine ";
            let missing = lines.iter().chain(std::iter::once(&head)).find(|line| !err.contains(**line));
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

fn threads_and_timers_that_may_still_wake_somebody_are_waited_for() {
    let (tx, rx) = chan::bounded(0);
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(900));
        tx.send(1).unwrap();
    });
    assert_eq!(rendez::run(|| rx.recv()), Ok(1));
    thread.join().unwrap();
    rendez::run(|| time::sleep(Duration::from_millis(900)));
    rendez::run(|| rendez::block_on(time::sleep_async(Duration::from_millis(900))));
    let woken = rendez::run(|| chan::never::<()>().recv_timeout(Duration::from_millis(900)));
    assert!(woken.is_err());
}

fn a_main_thread_that_works_is_waited_for() {
    let (tx, rx) = chan::bounded(0);
    let handle = go(move || rx.recv());
    thread::sleep(Duration::from_millis(900));
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

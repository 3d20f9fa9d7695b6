//! A goroutine in which the process is aborted is named.
#![cfg(target_os = "linux")]

mod child;

use child::{Ended, in_a_child};
use rendez::{Builder, Runtime, chan};
use std::{os::unix::process::ExitStatusExt, panic, process, thread, time::Duration};

fn assert_aborted(ended: &Ended) {
    assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{ended:?}");
}

/// How often it says that a goroutine was that.
fn named(ended: &Ended) -> usize {
    ended.err.matches("the process was aborted in goroutine ").count()
}

struct PanicsAsItGoes;

impl Drop for PanicsAsItGoes {
    fn drop(&mut self) {
        panic!("the second");
    }
}

#[test]
fn a_panic_in_a_destructor_that_a_panic_runs_is_told_with_number_name_and_spawn_site() {
    let ended = in_a_child(|| {
        rendez::run(|| {
            let client = Builder::new().name("client").spawn(|| {
                rendez::yield_now();
                let _panics = PanicsAsItGoes;
                panic!("the first");
            });
            let _ = client.unwrap().join();
        });
    });
    let Some(ended) = ended else { return };
    assert_aborted(&ended);
    let at = |text: &str| ended.err.find(text).unwrap_or_else(|| panic!("no {text:?}: {ended:?}"));
    assert!(at("the first") < at("the second"));
    assert!(at("the second") < at("rendez: the process was aborted in goroutine "));
    at(" \"client\"; created at crates/rendez/tests/aborts.rs:");
    assert_eq!(named(&ended), 1, "{ended:?}");
}

#[test]
fn code_that_aborts_is_told_whose_it_was_and_a_thread_is_no_goroutine() {
    let ended = in_a_child(|| rendez::run(|| rendez::go_async(async { process::abort() }).join().unwrap()));
    if let Some(ended) = ended {
        assert_aborted(&ended);
        assert_eq!(named(&ended), 1, "{ended:?}");
    }
}

#[test]
fn an_abort_outside_of_goroutines_is_not_told_of() {
    let ended = in_a_child(|| {
        rendez::run(|| {
            let thread = thread::spawn(|| process::abort());
            rendez::blocking(|| thread.join().unwrap());
        });
    });
    if let Some(ended) = ended {
        assert_aborted(&ended);
        assert_eq!(named(&ended), 0, "{ended:?}");
    }
}

#[test]
fn whoever_handled_aborts_before_is_called_after_that() {
    extern "C" fn report(_: libc::c_int) {
        let text = "the program's own report\n";
        // SAFETY: the bytes are there, and a handler may write.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    }
    let ended = in_a_child(|| {
        // SAFETY: the handler does what handlers may.
        unsafe { libc::signal(libc::SIGABRT, report as *const () as usize) };
        rendez::run(|| process::abort());
    });
    if let Some(ended) = ended {
        assert_aborted(&ended);
        let (ours, theirs) =
            (ended.err.find("aborted in goroutine "), ended.err.find("the program's own report"));
        assert!(ours.is_some() && ours < theirs, "{ended:?}");
    }
}

/// Has a runtime, is sent the signal as by another process, and ends well if that is ignored.
fn be_sent_an_abort(patience: Duration) {
    rendez::run(|| {
        // SAFETY: it is sent to this process.
        unsafe { libc::kill(process::id().cast_signed(), libc::SIGABRT) };
        // Another thread may get it, a moment later.
        rendez::blocking(|| thread::sleep(patience));
    });
}

#[test]
fn the_signal_ends_the_process_also_if_it_comes_from_outside() {
    if let Some(ended) = in_a_child(|| be_sent_an_abort(Duration::from_secs(20))) {
        assert_aborted(&ended);
        assert_eq!(named(&ended), 0, "{ended:?}");
    }
}

#[test]
fn the_signal_ends_the_process_also_if_it_is_raised() {
    // SAFETY: it ends the process.
    let ended = in_a_child(|| rendez::run(|| _ = unsafe { libc::raise(libc::SIGABRT) }));
    if let Some(ended) = ended {
        assert_aborted(&ended);
        assert_eq!(named(&ended), 1, "{ended:?}");
    }
}

#[test]
fn a_signal_that_the_program_ignores_is_ignored() {
    let ended = in_a_child(|| {
        // SAFETY: nothing is called.
        unsafe { libc::signal(libc::SIGABRT, libc::SIG_IGN) };
        be_sent_an_abort(Duration::from_millis(100));
    });
    if let Some(ended) = ended {
        assert!(ended.status.success(), "{ended:?}");
    }
}

/// Two goroutines of one worker panic, the second while the hook of the first has let it run, if it does.
fn panic_twice(hook: impl Fn() + Send + Sync + 'static) {
    panic::set_hook(Box::new(move |_| hook()));
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let handles = [0, 1].map(|_| runtime.spawn(|| panic!("for the test")));
    assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_panic()));
}

#[test]
fn a_panic_beside_a_panic_hook_that_waits_aborts_and_one_that_does_not_wait_harms_nobody() {
    let (tx, rx) = chan::unbounded();
    panic_twice(move || tx.send("a panic").unwrap());
    drop(panic::take_hook());
    assert_eq!(rx.iter().count(), 2);
    let ended = in_a_child(|| panic_twice(|| rendez::sleep(Duration::from_millis(10))));
    if let Some(ended) = ended {
        assert_aborted(&ended);
        assert_eq!(named(&ended), 1, "{ended:?}");
    }
}

//! `SIGQUIT` asks for a dump.
#![cfg(not(loom))]

mod child;

use child::in_a_child;
use rendez::{
    Builder, chan,
    diag::{self, AfterDump},
    signal::{self, Signal},
};
use std::process;

/// The dump is printed before whoever asked for the signal as well has got the next one.
fn quit() {
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::kill(process::id() as i32, libc::SIGQUIT) }, 0);
}

fn with_a_parked_goroutine(f: impl FnOnce() + Send) {
    rendez::run(|| {
        let (tx, rx) = chan::bounded::<()>(0);
        let printer = Builder::new().name("printer").spawn(move || rx.recv()).unwrap();
        while !diag::dump().to_string().contains("\"printer\" [chan receive]") {
            rendez::yield_now();
        }
        f();
        drop(tx);
        let _ = printer.join();
    });
}

#[test]
fn a_dump_is_printed_and_the_program_goes_on_and_others_get_the_signal_too() {
    let ended = in_a_child(|| {
        diag::dump_on_quit(AfterDump::GoOn).unwrap();
        let told = signal::notify([Signal::QUIT, Signal::USER1]).unwrap();
        with_a_parked_goroutine(|| {
            quit();
            assert_eq!(told.recv(), Ok(Signal::QUIT));
            // Signals are passed on one after the other.
            // SAFETY: no memory is passed.
            assert_eq!(unsafe { libc::kill(process::id() as i32, libc::SIGUSR1) }, 0);
            assert_eq!(told.recv(), Ok(Signal::USER1));
        });
    });
    let Some(ended) = ended else { return };
    assert!(ended.status.success(), "{ended:?}");
    for line in ["SIGQUIT: dump of all goroutines", "\"printer\" [chan receive]:", "wake to run"] {
        assert!(ended.err.contains(line), "no {line:?}: {ended:?}");
    }
}

#[test]
#[cfg_attr(rendez_sanitize, ignore = "it exits in the midst of things, which LeakSanitizer takes for leaks")]
fn the_program_exits_as_go_s_does_if_it_is_to() {
    let ended = in_a_child(|| {
        diag::dump_on_quit(AfterDump::GoOn).unwrap();
        diag::dump_on_quit(AfterDump::Exit).unwrap();
        with_a_parked_goroutine(|| {
            quit();
            loop {
                std::thread::park();
            }
        });
    });
    let Some(ended) = ended else { return };
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.err.contains("SIGQUIT: dump of all goroutines"), "{ended:?}");
}

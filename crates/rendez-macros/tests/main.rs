//! `#[rendez::main]` as its users write it: each module here is a program, and the tests run its `main`.
//!
//! What must not compile is in `crates/rendez/tests/compile_fail/main_*.rs`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

mod plain {
    #[rendez::main]
    pub(super) fn main() {
        // Only goroutines can start local ones.
        assert_eq!(rendez::go_local(|| 1).join().unwrap(), 1);
    }
}

mod with_error {
    use std::error::Error;

    /// The error is not `Send`.
    #[rendez::main]
    pub(super) fn main() -> Result<(), Box<dyn Error>> {
        let number: i32 = "4x".parse()?;
        unreachable!("{number} is no number");
    }
}

mod with_exit_code {
    use std::process::ExitCode;

    #[rendez::main]
    pub(super) fn main() -> ExitCode {
        ExitCode::from(3)
    }
}

mod with_options {
    const WORKERS: usize = 3;

    #[rendez::main(workers = WORKERS, stack_size = 64 * 1024, seed = 7,)]
    pub(super) fn main() {
        assert_eq!(rendez::workers(), WORKERS);
    }
}

mod in_async {
    use std::rc::Rc;

    #[rendez::main]
    pub(super) async fn main() -> Result<(), rendez::chan::RecvError> {
        // The future is not `Send`: it stays in this goroutine.
        let here = Rc::new(41);
        let (tx, rx) = rendez::chan::bounded(0);
        rendez::go_async(async move { tx.send_async(1).await });
        let there = rx.recv_async().await?;
        assert_eq!(*here + there, 42);
        Ok(())
    }
}

mod in_async_with_options {
    #[rendez::main(workers = 2)]
    pub(super) async fn main() {
        assert_eq!(rendez::workers(), 2);
    }
}

mod never_returning {
    use super::GIVEN_UP;
    use std::sync::atomic::Ordering;

    /// Compiles without a warning; ends by a panic, since it has to end somehow.
    #[rendez::main]
    pub(super) fn main() -> ! {
        loop {
            if GIVEN_UP.swap(true, Ordering::Relaxed) {
                panic!("given up");
            }
        }
    }
}

mod leaving_one_behind {
    use super::UNWOUND;
    use std::sync::atomic::Ordering;

    struct Tells;

    impl Drop for Tells {
        fn drop(&mut self) {
            UNWOUND.store(true, Ordering::Relaxed);
        }
    }

    #[rendez::main(workers = 1)]
    pub(super) fn main() {
        let waiting = rendez::sync::WaitGroup::new();
        waiting.add(1);
        let nothing = rendez::chan::never::<()>();
        let started = waiting.clone();
        rendez::go(move || {
            let _tells = Tells;
            started.done();
            nothing.recv()
        });
        waiting.wait();
    }
}

static GIVEN_UP: AtomicBool = AtomicBool::new(false);
static UNWOUND: AtomicBool = AtomicBool::new(false);

#[test]
fn main_is_a_goroutine() {
    assert_eq!(plain::main(), ExitCode::SUCCESS);
}

#[test]
fn an_error_becomes_the_status_though_it_is_not_send() {
    assert_eq!(with_error::main(), ExitCode::FAILURE);
}

#[test]
fn an_exit_code_is_passed_on() {
    assert_eq!(with_exit_code::main(), ExitCode::from(3));
}

#[test]
fn options_set_up_the_runtime() {
    assert_eq!(with_options::main(), ExitCode::SUCCESS);
}

#[test]
fn an_async_main_may_hold_what_is_not_send() {
    assert_eq!(in_async::main(), ExitCode::SUCCESS);
    assert_eq!(in_async_with_options::main(), ExitCode::SUCCESS);
}

#[test]
#[should_panic(expected = "given up")]
fn a_panic_of_main_goes_on_in_the_caller() {
    never_returning::main();
}

#[test]
fn a_runtime_with_options_is_shut_down_when_main_returns() {
    assert_eq!(leaving_one_behind::main(), ExitCode::SUCCESS);
    assert!(UNWOUND.load(Ordering::Relaxed), "what was parked should have been unwound");
}

//! A goroutine that runs over the end of its stack is named.

// AddressSanitizer handles such faults itself, and its frames are of other sizes.
#![cfg(not(rendez_sanitize))]

mod child;

use child::{Ended, in_a_child};
use rendez::Builder;
use std::hint::black_box;

#[allow(unconditional_recursion, reason = "that is what is tested")]
#[inline(never)]
fn without_end(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    black_box(without_end(depth + 1)) + frame[3]
}

fn assert_told(ended: Option<Ended>, lines: &[&str]) {
    let Some(ended) = ended else { return };
    assert!(!ended.status.success(), "{ended:?}");
    for line in lines {
        assert!(ended.err.contains(line), "no {line:?}: {ended:?}");
    }
}

#[test]
fn an_overflow_names_the_goroutine_its_stack_and_the_function() {
    let ended = in_a_child(|| {
        rendez::run(|| {
            let handle = Builder::new().name("deep").stack_size(64 * 1024).spawn(|| without_end(0)).unwrap();
            handle.join().unwrap();
        });
    });
    let told = [
        "fatal error: stack overflow",
        "\"deep\" has used up its stack of 64 KiB;\n\tcreated at ",
        "Builder::stack_size",
        "without_end",
        "... and more",
    ];
    // Once: that it aborts is no news.
    let is_silent = |ended: &Ended| !ended.err.contains("the process was aborted in");
    assert!(ended.as_ref().is_none_or(is_silent), "{ended:?}");
    assert_told(ended, &told);
}

#[test]
fn an_overflow_after_a_park_and_in_a_task_is_told_too() {
    let ended = in_a_child(|| {
        rendez::run(|| {
            rendez::go(|| {
                rendez::sleep(std::time::Duration::from_millis(1));
                without_end(0)
            })
            .join()
            .unwrap()
        });
    });
    assert_told(ended, &["has used up its stack of 256 KiB", "without_end"]);
}

#[test]
fn an_overflow_in_an_async_goroutine_is_told() {
    let ended = in_a_child(|| {
        rendez::run(|| rendez::go_async(async { without_end(0) }).join().unwrap());
    });
    let is_apt = |ended: &Ended| !ended.err.contains("rendez::Builder::stack_size");
    assert!(ended.as_ref().is_none_or(is_apt), "{ended:?}");
    assert_told(
        ended,
        &["has used up its stack of 256 KiB", "without_end", "larger ones", "RuntimeBuilder::stack_size"],
    );
}

#[test]
fn a_thread_that_overflows_is_left_to_the_standard_library() {
    let ended = in_a_child(|| {
        rendez::run(|| ());
        std::thread::Builder::new().name("plain".into()).spawn(|| without_end(0)).unwrap().join().unwrap();
    });
    assert_told(ended, &["thread 'plain'", "has overflowed its stack"]);
}

#[test]
fn another_fault_is_no_overflow() {
    let Some(ended) = in_a_child(|| {
        rendez::run(|| {
            // SAFETY: it faults, which is what is tested: nothing is mapped at the beginning of the address space.
            unsafe { black_box(std::ptr::without_provenance::<u8>(8)).read_volatile() }
        });
    }) else {
        return;
    };
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(ended.status.signal(), Some(libc::SIGSEGV), "{ended:?}");
    assert!(!ended.err.contains("stack overflow"), "{ended:?}");
}

#[test]
fn the_signal_ends_the_process_if_it_is_sent_as_well() {
    let Some(ended) = in_a_child(|| {
        rendez::run(|| {
            // SAFETY: it is sent to this process, which it ends.
            unsafe { libc::kill(std::process::id().cast_signed(), libc::SIGSEGV) };
            // Another thread may get it, a moment later.
            rendez::blocking(|| std::thread::sleep(std::time::Duration::from_secs(20)));
        });
    }) else {
        return;
    };
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(ended.status.signal(), Some(libc::SIGSEGV), "{ended:?}");
}

#[test]
fn a_signal_that_the_program_ignores_is_ignored_whenever_it_is_sent() {
    let ended = in_a_child(|| {
        // SAFETY: nothing is called.
        unsafe { libc::signal(libc::SIGSEGV, libc::SIG_IGN) };
        rendez::run(|| {
            for _ in 0..3 {
                // SAFETY: it is raised on this thread, and ignored.
                unsafe { libc::raise(libc::SIGSEGV) };
            }
        });
    });
    if let Some(ended) = ended {
        assert!(ended.status.success(), "{ended:?}");
    }
}

/// Sets a handler of the program's, as a crash reporter does, that says what it was told, and ends the process with this status.
const HANDLED: i32 = 7;

fn set_handler() {
    extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: what the system passes; then two calls that handlers may make.
        unsafe {
            let is_right = signal == libc::SIGSEGV && (*info).si_addr().addr() == 8 && !context.is_null();
            let text: &[u8] =
                if is_right { b"the handler before: all is right" } else { b"the handler before" };
            libc::write(2, text.as_ptr().cast(), text.len());
            libc::_exit(HANDLED);
        }
    }
    // SAFETY: a set of this frame's, and a handler that does what handlers may.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()), 0);
    }
}

#[test]
fn another_fault_reaches_whoever_handled_faults_before_with_what_the_system_says_of_it() {
    let Some(ended) = in_a_child(|| {
        set_handler();
        rendez::run(|| {
            rendez::yield_now();
            // SAFETY: it faults, which is what is tested.
            unsafe { black_box(std::ptr::without_provenance::<u8>(8)).read_volatile() }
        });
    }) else {
        return;
    };
    assert_eq!(ended.status.code(), Some(HANDLED), "{ended:?}");
    assert!(ended.err.contains("the handler before: all is right"), "{ended:?}");
    assert!(!ended.err.contains("stack overflow"), "{ended:?}");
}

#[test]
fn an_overflow_is_told_although_somebody_handled_faults_before() {
    let ended = in_a_child(|| {
        set_handler();
        rendez::run(|| without_end(0));
    });
    assert!(ended.as_ref().is_none_or(|ended| !ended.err.contains("the handler before")), "{ended:?}");
    assert_told(ended, &["fatal error: stack overflow", "has used up its stack of 256 KiB", "without_end"]);
}

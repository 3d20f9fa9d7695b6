//! 13. Closing a channel as a signal.
//!
//! **The notes:** a closed channel can be read any number of times, so closing one releases all who wait on it at once,
//! however many they are; that is cheaper than a send to each.
//!
//! **In Rust** the same, and the type can say that nothing will ever be sent: with [`Infallible`] as the channel's item,
//! `Err` is the only result there is, and no arm for `Ok` has to be written.

use std::convert::Infallible;

use rendez::chan::{self, RecvError};
use rendez::go;
use rendez::sync::WaitGroup;

use crate::output::{Check, Output, ensure};

pub(crate) fn run(out: &Output) -> Check {
    let (begin, begun) = chan::bounded::<Infallible>(0);
    let at_the_start = WaitGroup::new();
    at_the_start.add(5);

    let mut goroutines = Vec::new();
    for n in 0..5 {
        let (begun, at_the_start, out) = (begun.clone(), at_the_start.clone(), out.clone());
        goroutines.push(go(move || {
            at_the_start.done();
            // Waits until the channel is closed.
            let Err(RecvError) = begun.recv();
            out.say(format_args!("goroutine {n} begins"));
        }));
    }

    at_the_start.wait();
    ensure(out.lines().is_empty(), "a goroutine began before the signal")?;
    begin.close();

    for goroutine in goroutines {
        goroutine.join()?;
    }
    out.expect_in_any_order((0..5).map(|n| format!("goroutine {n} begins")))
}

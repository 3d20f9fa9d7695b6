//! 7. Cond: broadcast.
//!
//! **The notes:** a button has a `Cond` that is broadcast when it is clicked, and each handler waits for that on a goroutine of its own.
//! A broadcast reaches all who wait, again and again, which closing a channel does only once.
//!
//! **In Rust** the handlers wait for the number of clicks to change, so that a click is not missed that comes before a handler waits;
//! the notes' listing has to see to that with a second wait group.

use std::sync::Arc;

use rendez::go;
use rendez::sync::{Cond, Mutex, WaitGroup};

use crate::output::{Check, Output};

const CLICKS: u32 = 2;

#[derive(Default)]
struct Button {
    clicks: Mutex<u32>,
    clicked: Cond,
}

impl Button {
    fn click(&self) {
        *self.clicks.lock() += 1;
        self.clicked.broadcast();
    }

    /// Calls `handler` for each of the clicks to come.
    fn subscribe(self: &Arc<Self>, handler: impl Fn() + Send + 'static) {
        let button = self.clone();
        go(move || {
            for seen in 0..CLICKS {
                let mut clicks = button.clicks.lock();
                button.clicked.wait_while(&mut clicks, |clicks| *clicks == seen);
                drop(clicks);
                handler();
            }
        });
    }
}

pub(crate) fn run(out: &Output) -> Check {
    const HANDLERS: [&str; 3] = ["Maximizing window.", "Displaying annoying dialog box!", "Mouse clicked."];
    let button = Arc::new(Button::default());
    let handled = WaitGroup::new();
    for text in HANDLERS {
        let (out, handled) = (out.clone(), handled.clone());
        button.subscribe(move || {
            out.say(text);
            handled.done();
        });
    }
    for _ in 0..CLICKS {
        handled.add(HANDLERS.len() as i64);
        button.click();
        handled.wait();
    }
    out.expect_in_any_order(HANDLERS.into_iter().chain(HANDLERS))
}

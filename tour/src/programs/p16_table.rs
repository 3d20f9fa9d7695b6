//! 16. The table: operation by state of the channel.
//!
//! **The notes** have a table of what `read`, `write` and `close` do on a channel that is nil, open and not empty, open
//! and empty, or closed, and which end of a channel can do them at all. Three of its cells are panics.
//!
//! **In Rust** the table is made by running every cell. No cell panics: what was not sent comes back in the error, and
//! the second of two closes says that it was not the first. "Read only" and "write only" are types, [`Sender`] and
//! [`Receiver`], and the cells that the notes call compilation errors are that here too.
//!
//! [`Sender`]: rendez::chan::Sender

use std::time::Duration;

use rendez::chan::{self, Receiver, RecvTimeoutError, SendTimeoutError, Sender};
use rendez::select;

use crate::output::{Check, Output};

/// A channel in some state. (A sender of a nil channel is no endpoint at all.)
type Ends = (Option<Sender<i32>>, Receiver<i32>);

type Make = fn() -> Ends;

const STATES: [(&str, Make); 5] = [
    ("nil", || (None, chan::never())),
    ("not empty", || with(2, 1, false)),
    ("empty", || with(2, 0, false)),
    ("full", || with(1, 1, false)),
    ("closed", || with(2, 1, true)),
];

fn with(capacity: usize, values: i32, closed: bool) -> Ends {
    let (tx, rx) = chan::bounded(capacity);
    (1..=values).for_each(|value| tx.send(value).expect("there is room"));
    if closed {
        tx.close();
    }
    (Some(tx), rx)
}

/// Longer than this, and it is said to block.
const PATIENCE: Duration = Duration::from_millis(5);

fn read((_tx, rx): Ends) -> String {
    // The second read finds a closed channel drained.
    let mut results = Vec::new();
    for _ in 0..2 {
        results.push(match rx.recv_timeout(PATIENCE) {
            Ok(value) => format!("value {value}"),
            Err(RecvTimeoutError::Timeout) => "block".to_string(),
            Err(RecvTimeoutError::Closed) => "(default value), false".to_string(),
        });
    }
    results.dedup();
    results.join(", then ")
}

fn write((tx, _rx): Ends) -> String {
    let Some(tx) = tx else {
        return select! {
            send(tx, 9) -> _ => "write",
            default(PATIENCE) => "block",
        }
        .to_string();
    };
    match tx.send_timeout(9, PATIENCE) {
        Ok(()) => "write".to_string(),
        Err(SendTimeoutError::Timeout(_)) => "block".to_string(),
        Err(SendTimeoutError::Closed(value)) => format!("error, {value} comes back (Go: panic)"),
    }
}

fn close((_tx, rx): Ends) -> String {
    if !rx.close() {
        return "false (Go: panic)".to_string();
    }
    match rx.recv() {
        Ok(_) => "closed; reads succeed until it is drained".to_string(),
        Err(_) => "closed; reads produce the default value".to_string(),
    }
}

pub(crate) fn run(out: &Output) -> Check {
    for (operation, act) in [("read", read as fn(Ends) -> String), ("write", write), ("close", close)] {
        for (state, make) in STATES {
            out.say(format_args!("{operation:<6}{state:<10}{}", act(make())));
        }
    }
    out.expect([
        "read  nil       block",
        "read  not empty value 1, then block",
        "read  empty     block",
        "read  full      value 1, then block",
        "read  closed    value 1, then (default value), false",
        "write nil       block",
        "write not empty write",
        "write empty     write",
        "write full      block",
        "write closed    error, 9 comes back (Go: panic)",
        "close nil       false (Go: panic)",
        "close not empty closed; reads succeed until it is drained",
        "close empty     closed; reads produce the default value",
        "close full      closed; reads succeed until it is drained",
        "close closed    false (Go: panic)",
    ])
}

//! A session that a timer closes when nothing has come for a second. Who uses it sets the timer anew first, and does not look
//! at what that says: if it has just run out, the session is being closed. Mended, whoever comes too late is told so.

use crate::Planted;
use rendez::{
    go,
    sync::Mutex,
    testing::Strategy,
    time::{self, Timer},
};
use std::{sync::Arc, time::Duration};

pub(crate) const BUG: Planted = Planted {
    name: "timer reset race",
    broken: || {
        program(|timer| {
            timer.reset(SECOND);
            true
        })
    },
    mended: || program(|timer| timer.reset(SECOND)),
    strategy: Strategy::Random,
    within: 50,
    shows: |failure| failure.is_panic(),
    says: "used after it was closed",
};

const SECOND: Duration = Duration::from_secs(1);

struct Session {
    closed: Mutex<bool>,
    expiry: Timer,
}

fn program(refresh: fn(&Timer) -> bool) {
    let session = Arc::new_cyclic(|session: &std::sync::Weak<Session>| {
        let session = session.clone();
        let expiry = time::after_func(SECOND, move || {
            if let Some(session) = session.upgrade() {
                *session.closed.lock() = true;
            }
        });
        Session { closed: Mutex::new(false), expiry }
    });
    let client = go({
        let session = session.clone();
        move || {
            for _ in 0..2 {
                // As long as the session lasts: it comes at the last moment.
                time::sleep(SECOND);
                if !refresh(&session.expiry) {
                    return;
                }
                assert!(!*session.closed.lock(), "used after it was closed");
            }
        }
    });
    client.join().unwrap();
    session.expiry.stop();
}

//! A connection that whoever ends it first is to release: its reader, at the end of what comes, or its owner. Each asks if it
//! has been closed, and if not closes it and releases it: both may ask before either closes. Mended, it counts who closed it, which
//! `close` says.

use crate::Planted;
use rendez::{
    chan::{self, Sender},
    scope,
    sync::Mutex,
    testing::Strategy,
};

pub(crate) const BUG: Planted = Planted {
    name: "double close race",
    broken: || {
        program(|quit| {
            let first = !quit.is_closed();
            if first {
                quit.close();
            }
            first
        });
    },
    mended: || program(Sender::close),
    strategy: Strategy::Random,
    within: 300,
    shows: |failure| failure.is_panic(),
    says: "released twice",
};

fn program(close: fn(&Sender<()>) -> bool) {
    let (quit, is_over) = chan::bounded::<()>(0);
    let descriptor = Mutex::new(Some(3));
    let end = || {
        if close(&quit) {
            assert!(descriptor.lock().take().is_some(), "released twice");
        }
    };
    let (frames, incoming) = chan::bounded(1);
    scope(|s| {
        s.go(|| {
            // Until the peer has nothing more to say.
            for frame in incoming {
                assert!(frame < 2);
            }
            end();
        });
        s.go(move || {
            for frame in 0..2 {
                frames.send(frame).expect("the reader reads to the end");
            }
        });
        s.go(end);
        assert!(is_over.recv().is_err());
    });
    assert!(descriptor.lock().is_none(), "never released");
}

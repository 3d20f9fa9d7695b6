//! How a channel ends: by `close`, or when the last endpoint of a side goes.

use crate::worlds::{CAPACITIES, channel, in_every_world};
use rendez::chan::{
    self, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use std::{
    collections::{BTreeSet, HashSet},
    error::Error,
    time::Duration,
};

#[test]
fn close_says_whether_it_was_this_call_that_closed() {
    let (tx, rx) = chan::bounded::<i32>(1);
    assert!(tx.close());
    assert!(!tx.close());
    assert!(!rx.close());
    let (tx, rx) = chan::bounded::<i32>(1);
    assert!(rx.close());
    assert!(!tx.clone().close());
}

#[test]
fn of_many_that_close_at_once_one_is_told_that_it_did() {
    in_every_world(|crew| {
        let (tx, _rx) = chan::bounded::<i32>(1);
        let closers: Vec<_> = (0..6)
            .map(|_| {
                let tx = tx.clone();
                crew.start(move |_| async move { tx.close() })
            })
            .collect();
        assert_eq!(closers.into_iter().map(|closer| closer.join()).filter(|&did| did).count(), 1);
    });
}

#[test]
fn a_closed_channel_is_drained_before_it_ends() {
    in_every_world(|crew| {
        for capacity in [Some(3), None] {
            let (tx, rx) = channel(capacity);
            for i in 0..3 {
                tx.send(i).unwrap();
            }
            tx.close();
            let receiver = crew.start(move |ops| async move {
                let mut results = Vec::new();
                for _ in 0..5 {
                    results.push(ops.recv(&rx).await);
                }
                results
            });
            assert_eq!(receiver.join(), [Ok(0), Ok(1), Ok(2), Err(RecvError), Err(RecvError)]);
        }
    });
}

#[test]
fn close_wakes_every_waiting_receiver() {
    in_every_world(|crew| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel::<i32>(capacity);
            let receivers: Vec<_> = (0..40)
                .map(|_| {
                    let rx = rx.clone();
                    crew.start(move |ops| async move { ops.recv(&rx).await })
                })
                .collect();
            assert!(tx.close());
            for receiver in receivers {
                assert_eq!(receiver.join(), Err(RecvError));
            }
        }
    });
}

#[test]
fn close_gives_every_waiting_sender_its_value_back() {
    in_every_world(|crew| {
        for capacity in [0, 1, 3] {
            let (tx, rx) = chan::bounded(capacity);
            for i in 0..capacity {
                tx.send(1000 + i).unwrap();
            }
            let senders: Vec<_> = (0..40)
                .map(|i| {
                    let tx = tx.clone();
                    crew.start(move |ops| async move { ops.send(&tx, i).await })
                })
                .collect();
            assert!(rx.close());
            for (i, sender) in senders.into_iter().enumerate() {
                assert_eq!(sender.join(), Err(SendError(i)));
            }
            assert_eq!(rx.iter().collect::<Vec<_>>(), (1000..1000 + capacity).collect::<Vec<_>>());
        }
    });
}

#[test]
fn close_in_the_midst_of_traffic_splits_the_values_into_received_and_returned() {
    const EACH: usize = 50;
    in_every_world(|crew| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let senders: Vec<_> = (0..3)
                .map(|id| {
                    let tx = tx.clone();
                    crew.start(move |ops| async move {
                        let mut returned = Vec::new();
                        for i in 0..EACH {
                            if let Err(SendError(value)) = ops.send(&tx, id * EACH + i).await {
                                returned.push(value);
                            }
                        }
                        returned
                    })
                })
                .collect();
            let receivers: Vec<_> = (0..2)
                .map(|id| {
                    let rx = rx.clone();
                    crew.start(move |ops| async move {
                        let mut received = Vec::new();
                        while let Ok(value) = ops.recv(&rx).await {
                            received.push(value);
                            if id == 0 && received.len() == EACH / 2 {
                                rx.close();
                            }
                        }
                        received
                    })
                })
                .collect();
            // Nobody has to reach the number at which the first receiver closes.
            drop((tx, rx));
            let mut all = Vec::new();
            senders.into_iter().for_each(|sender| all.extend(sender.join()));
            receivers.into_iter().for_each(|receiver| all.extend(receiver.join()));
            assert_eq!(all.len(), 3 * EACH);
            assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 3 * EACH);
        }
    });
}

#[test]
fn a_channel_lives_as_long_as_one_endpoint_of_each_side() {
    let (tx, rx) = chan::bounded(3);
    let (tx2, rx2) = (tx.clone(), rx.clone());
    drop(tx);
    assert!(!rx.is_closed());
    tx2.send(1).unwrap();
    drop(rx);
    assert!(!tx2.is_closed());
    tx2.send(2).unwrap();
    drop(tx2);
    assert!(rx2.is_closed());
    assert_eq!(rx2.iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn when_the_last_sender_goes_waiting_receivers_see_the_end() {
    in_every_world(|crew| {
        let (tx, rx) = chan::bounded::<i32>(0);
        let receivers: Vec<_> = (0..5)
            .map(|_| {
                let rx = rx.clone();
                crew.start(move |ops| async move { ops.recv(&rx).await })
            })
            .collect();
        let droppers: Vec<_> = (0..3)
            .map(|_| {
                let tx = tx.clone();
                crew.start(move |ops| async move {
                    ops.pause().await;
                    drop(tx);
                })
            })
            .collect();
        drop(tx);
        droppers.into_iter().for_each(|dropper| dropper.join());
        for receiver in receivers {
            assert_eq!(receiver.join(), Err(RecvError));
        }
    });
}

#[test]
fn when_the_last_receiver_goes_waiting_senders_get_their_values_back() {
    in_every_world(|crew| {
        for capacity in [0, 2] {
            let (tx, rx) = chan::bounded(capacity);
            for _ in 0..capacity {
                tx.send(100).unwrap();
            }
            let senders: Vec<_> = (0..5)
                .map(|i| {
                    let tx = tx.clone();
                    crew.start(move |ops| async move { ops.send(&tx, i).await })
                })
                .collect();
            let dropper = crew.start(move |ops| async move {
                ops.pause().await;
                drop(rx);
            });
            for (i, sender) in senders.into_iter().enumerate() {
                assert_eq!(sender.join(), Err(SendError(i)));
            }
            dropper.join();
            assert!(tx.is_closed());
            assert!(tx.is_empty(), "what was buffered has no reader any more");
        }
    });
}

#[test]
fn every_error_of_a_send_gives_the_value_back() {
    let (tx, rx) = chan::bounded(0);
    assert_eq!(tx.try_send("a").unwrap_err().into_inner(), "a");
    assert_eq!(tx.send_timeout("b", Duration::ZERO).unwrap_err().into_inner(), "b");
    drop(rx);
    assert_eq!(tx.send("c").unwrap_err().into_inner(), "c");
    assert_eq!(tx.try_send("d").unwrap_err().into_inner(), "d");
    assert_eq!(tx.send_timeout("e", Duration::ZERO).unwrap_err().into_inner(), "e");
    assert_eq!(crate::worlds::drive(tx.send_async("f")).unwrap_err().into_inner(), "f");
}

#[test]
fn errors_speak_and_compare_without_a_word_from_the_value() {
    /// Neither `Debug` nor `Display`.
    #[derive(Clone, PartialEq, Eq)]
    struct Mute;

    fn texts(error: impl Error) -> (String, String) {
        (format!("{error:?}"), error.to_string())
    }
    fn text(debug: &str, display: &str) -> (String, String) {
        (debug.to_string(), display.to_string())
    }
    const SEND_CLOSED: &str = "send on closed channel";
    assert_eq!(texts(SendError(Mute)), text("SendError(..)", SEND_CLOSED));
    assert_eq!(texts(TrySendError::Full(Mute)), text("Full(..)", "send on full channel"));
    assert_eq!(texts(TrySendError::Closed(Mute)), text("Closed(..)", SEND_CLOSED));
    assert_eq!(texts(SendTimeoutError::Timeout(Mute)), text("Timeout(..)", "timed out waiting to send"));
    assert_eq!(texts(SendTimeoutError::Closed(Mute)), text("Closed(..)", SEND_CLOSED));
    const DRAINED: &str = "receive on closed and drained channel";
    assert_eq!(texts(RecvError), text("RecvError", DRAINED));
    assert_eq!(texts(TryRecvError::Empty), text("Empty", "receive on empty channel"));
    assert_eq!(texts(TryRecvError::Closed), text("Closed", DRAINED));
    assert_eq!(texts(RecvTimeoutError::Timeout), text("Timeout", "timed out waiting to receive"));
    assert_eq!(texts(RecvTimeoutError::Closed), text("Closed", DRAINED));

    assert!(SendError(Mute) == SendError(Mute).clone());
    assert!(TrySendError::Full(1) != TrySendError::Closed(1));
    assert!(TrySendError::Full(1) != TrySendError::Full(2));
    assert!(TrySendError::from(SendError(Mute)).is_closed() && TrySendError::Full(Mute).is_full());
    assert!(
        SendTimeoutError::from(SendError(Mute)).is_closed() && SendTimeoutError::Timeout(Mute).is_timeout()
    );
    assert_eq!(TryRecvError::from(RecvError), TryRecvError::Closed);
    assert_eq!(RecvTimeoutError::from(RecvError), RecvTimeoutError::Closed);
    let boxed: Box<dyn Error + Send + Sync> = SendError(1).into();
    assert!(boxed.source().is_none());
    let distinct: HashSet<String> =
        [texts(TryRecvError::Empty).1, texts(TryRecvError::Closed).1, texts(RecvTimeoutError::Timeout).1]
            .into();
    assert_eq!(distinct.len(), 3);
}

//! Senders as `futures` sinks.

use futures_util::{FutureExt, Sink, SinkExt, StreamExt, future::poll_fn, stream};
use rendez::{
    block_on,
    chan::{SendError, bounded},
    go, go_async,
};
use std::{pin::Pin, rc::Rc};

#[test]
fn a_stream_is_forwarded_into_a_sink_in_order() {
    for capacity in [0, 1, 7] {
        let (tx, rx) = bounded(capacity);
        let sender = go_async(async move {
            let mut numbers = stream::iter(0..1000).map(Ok);
            tx.sink().send_all(&mut numbers).await
        });
        let received = go(move || rx.iter().collect::<Vec<_>>());
        assert!(received.join().unwrap().into_iter().eq(0..1000), "capacity {capacity}");
        assert_eq!(sender.join().unwrap(), Ok(()));
    }
}

#[test]
fn a_sink_is_not_ready_until_what_it_was_given_has_been_sent() {
    let (tx, rx) = bounded(1);
    let mut sink = tx.sink();
    block_on(async {
        sink.feed(1).await.unwrap();
        assert!(rx.is_empty());
        sink.feed(2).await.unwrap();
        assert_eq!(rx.len(), 1);
        assert!(poll_fn(|cx| Pin::new(&mut sink).poll_ready(cx)).now_or_never().is_none());
        assert_eq!(rx.recv(), Ok(1));
        sink.flush().await.unwrap();
        assert_eq!(rx.recv(), Ok(2));
        sink.close().await.unwrap();
        assert!(!tx.is_closed());
    });
}

#[test]
fn the_sink_of_a_closed_channel_gives_the_value_back() {
    let (tx, rx) = bounded(0);
    drop(rx);
    assert_eq!(block_on(tx.sink().send(7)), Err(SendError(7)));
}

#[test]
fn a_value_that_a_sink_holds_is_dropped_once_with_it() {
    let value = Rc::new(());
    let (tx, rx) = bounded(0);
    let mut sink = tx.sink();
    assert!(sink.send(value.clone()).now_or_never().is_none());
    assert_eq!(Rc::strong_count(&value), 2);
    drop(sink);
    assert_eq!(Rc::strong_count(&value), 1);
    assert!(rx.try_recv().is_err());
}

#[test]
#[should_panic(expected = "before `poll_ready` said that it was ready")]
fn a_sink_that_is_not_ready_refuses_a_value() {
    let (tx, _rx) = bounded(0);
    let mut sink = tx.sink();
    let _ = Pin::new(&mut sink).start_send(1);
    let _ = Pin::new(&mut sink).start_send(2);
}

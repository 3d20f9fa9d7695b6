//! A sender as a `futures` sink.
#![forbid(unsafe_code)]

use super::{SendError, SendFuture, Sender};
use futures_sink::Sink;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

impl<T> Sender<T> {
    /// This side of the channel as a sink for async code.
    ///
    /// The sink is ready when what was last given to it has been sent, so it holds one value beside what the channel
    /// buffers, and sends it when it is flushed or asked to be ready again. Closing the sink flushes it and leaves the
    /// channel open: that ends with the last sender, or by [`close`](Sender::close).
    ///
    /// It allocates once, whatever is sent. (Feature `sink`.)
    ///
    /// # Errors
    /// [`SendError`], with the value, when the channel is closed.
    ///
    /// # Panics
    /// Giving it a value before it is ready panics, as the trait's contract allows.
    ///
    /// # Cancellation
    /// A value that was given to the sink and not flushed is dropped with it.
    ///
    /// # Examples
    /// ```
    /// use futures_util::{SinkExt, StreamExt, stream};
    /// use rendez::{block_on, chan, go_async};
    ///
    /// let (tx, rx) = chan::bounded(2);
    /// go_async(async move {
    ///     let mut numbers = stream::iter(1..=5).map(Ok);
    ///     tx.sink().send_all(&mut numbers).await.unwrap();
    /// });
    /// let sum = block_on(rx.stream().fold(0, |sum, n| async move { sum + n }));
    /// assert_eq!(sum, 15);
    /// ```
    pub fn sink(&self) -> SendSink<'_, T> {
        SendSink { sender: self, sending: Box::pin(None) }
    }
}

/// The sink of [`Sender::sink`].
#[must_use = "sinks do nothing unless polled"]
pub struct SendSink<'a, T> {
    sender: &'a Sender<T>,
    /// What was given to it last, until it has been sent.
    sending: Pin<Box<Option<SendFuture<'a, T>>>>,
}

impl<T> SendSink<'_, T> {
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let Some(sending) = self.sending.as_mut().as_pin_mut() else { return Poll::Ready(Ok(())) };
        let sent = std::task::ready!(sending.poll(cx));
        self.sending.set(None);
        Poll::Ready(sent)
    }
}

impl<T> Sink<T> for SendSink<'_, T> {
    type Error = SendError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.get_mut().poll_sent(cx)
    }

    fn start_send(self: Pin<&mut Self>, value: T) -> Result<(), SendError<T>> {
        let this = self.get_mut();
        assert!(
            this.sending.is_none(),
            "a sink was given a value before `poll_ready` said that it was ready"
        );
        let future = this.sender.send_async(value);
        this.sending.set(Some(future));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.get_mut().poll_sent(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.get_mut().poll_sent(cx)
    }
}

impl<T> fmt::Debug for SendSink<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSink")
            .field("sender", self.sender)
            .field("sending", &self.sending.is_some())
            .finish()
    }
}

//! A limit to how long the other side may take no byte of what is written to it.

use hyper::rt::{Read, ReadBufCursor, Write};
use rendez::time::{self, SleepFuture};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// An IO whose writes fail when nothing has been taken for as long as `limit`. A write that succeeds at once costs nothing more.
pub(super) struct Paced<I> {
    io: I,
    limit: Option<Duration>,
    /// While a write waits.
    alarm: Option<Pin<Box<SleepFuture>>>,
}

impl<I> Paced<I> {
    pub(super) fn new(io: I, limit: Option<Duration>) -> Paced<I> {
        Paced { io, limit, alarm: None }
    }

    /// What becomes of a write: `result`, unless it has waited for too long.
    fn paced<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.alarm = None;
            return result;
        }
        let Some(limit) = self.limit else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(time::sleep_async(limit)));
        alarm.as_mut().poll(cx).map(|()| {
            let what = format!("the other side has taken nothing for {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, what))
        })
    }
}

impl<I: Read + Unpin> Read for Paced<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: Write + Unpin> Write for Paced<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        self.paced(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        self.paced(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_shutdown(cx);
        self.paced(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.paced(cx, result)
    }
}

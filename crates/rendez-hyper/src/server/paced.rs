//! A limit to how long the other side may take no byte of what is written to it; and an end that does not take the last answer away.
//!
//! A socket that is closed while something that was sent to it has not been read resets its connection, and the other side may
//! lose an answer that it has not read yet: to a body that was refused, say. So what still comes after the end of our direction is read and thrown
//! away, for a while (RFC 9112, section 9.6).

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use rendez::time::{self, SleepFuture};
use std::{
    future::Future,
    io::{self, IoSlice},
    mem::{self, MaybeUninit},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

/// For how long is read what nobody wants.
const LINGER: Duration = Duration::from_secs(5);
/// How long it may take until the first of it comes, where it is likely: as in Go's `net/http`.
const EXPECT: Duration = Duration::from_millis(500);
/// As much is read of it at once.
const PIECE: usize = 16 * 1024;

/// A limit is looked at in so many parts. The system does not tell of every byte that is taken, so a write is polled after each part whether
/// there is room: who takes nothing is given up after one part more than the limit at the latest.
const PARTS: u32 = 4;

/// An IO whose writes fail when nothing has been taken for as long as `limit`. A write that succeeds at once costs nothing more.
pub(super) struct Paced<I> {
    io: I,
    limit: Option<Duration>,
    /// While a write waits.
    alarm: Option<Alarm>,
    end: End,
    /// Whether more may come although the connection ends: the last request had a body.
    expects: Arc<AtomicBool>,
}

struct Alarm {
    part: Pin<Box<SleepFuture>>,
    /// How many parts are over.
    over: u32,
}

/// How far our side has come in ending the connection.
enum End {
    None,
    /// Our direction has ended.
    Told,
    /// The other side sends all the same, or may do so.
    Lingers {
        piece: Box<[MaybeUninit<u8>]>,
        until: Pin<Box<SleepFuture>>,
        has_come: bool,
    },
}

impl<I> Paced<I> {
    pub(super) fn new(io: I, limit: Option<Duration>, expects: Arc<AtomicBool>) -> Paced<I> {
        Paced { io, limit, alarm: None, end: End::None, expects }
    }

    /// What becomes of a write: `result`, unless it has waited for too long.
    fn paced<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.alarm = None;
            return result;
        }
        let Some(limit) = self.limit else { return Poll::Pending };
        let part = || time::sleep_async(limit / PARTS);
        let alarm = self.alarm.get_or_insert_with(|| Alarm { part: Box::pin(part()), over: 0 });
        while alarm.part.as_mut().poll(cx).is_ready() {
            alarm.over += 1;
            if alarm.over == PARTS {
                let what = format!("the other side has taken nothing for {limit:?}");
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)));
            }
            alarm.part.set(part());
        }
        Poll::Pending
    }
}

impl<I: Read + Unpin> Paced<I> {
    /// Reads what has been sent and nobody wants, until the other side ends, too.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let End::Told = self.end {
            // Mostly there is nothing.
            let mut first = [MaybeUninit::uninit(); 64];
            let mut first = ReadBuf::uninit(&mut first);
            let has_come = match Pin::new(&mut self.io).poll_read(cx, first.unfilled()) {
                Poll::Ready(Ok(())) if !first.filled().is_empty() => true,
                Poll::Pending if self.expects.load(Ordering::Relaxed) => false,
                _ => return Poll::Ready(()),
            };
            let piece = vec![MaybeUninit::uninit(); PIECE].into_boxed_slice();
            let until = Box::pin(time::sleep_async(if has_come { LINGER } else { EXPECT }));
            self.end = End::Lingers { piece, until, has_come };
        }
        let End::Lingers { piece, until, has_come } = &mut self.end else { return Poll::Ready(()) };
        while until.as_mut().poll(cx).is_pending() {
            let mut piece = ReadBuf::uninit(piece);
            match ready!(Pin::new(&mut self.io).poll_read(cx, piece.unfilled())) {
                Ok(()) if !piece.filled().is_empty() => {}
                _ => break,
            }
            if !mem::replace(has_come, true) {
                until.set(time::sleep_async(LINGER));
            }
        }
        Poll::Ready(())
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

impl<I: Read + Write + Unpin> Write for Paced<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        self.paced(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        self.paced(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let End::None = self.end {
            let result = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.paced(cx, result))?;
            self.end = End::Told;
        }
        self.linger(cx).map(Ok)
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

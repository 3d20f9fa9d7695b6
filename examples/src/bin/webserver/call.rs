//! A request's own things: its id, its context, and its line in the log.

use crate::log::Log;
use hyper::{HeaderMap, Method, Request, Version, body::Frame, body::SizeHint};
use rendez::{CancelFunc, Context};
use rendez_hyper::Body;
use std::{
    fmt::Write,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{self, Poll},
    time::{Duration, Instant, SystemTime},
};

/// A client's id of a request is taken if it is no longer than this, and such that it does not confuse a log.
const MOST_ID: usize = 64;

/// One request, while it is answered.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) id: String,
    /// Ends when the request has taken too long, or its connection has ended.
    pub(crate) ctx: Context,
    cancel: CancelFunc,
    peer: SocketAddr,
    target: String,
    version: Version,
    came: SystemTime,
    since: Instant,
}

impl Call {
    pub(crate) fn new<B>(
        request: &Request<B>,
        peer: SocketAddr,
        connection: &Context,
        limit: Duration,
    ) -> Call {
        let (ctx, cancel) = connection.with_timeout(limit);
        Call {
            method: request.method().clone(),
            id: id(request.headers()),
            ctx,
            cancel,
            peer,
            target: request.uri().to_string(),
            version: request.version(),
            came: SystemTime::now(),
            since: Instant::now(),
        }
    }

    /// A body that writes the line when it has been sent, or is given up.
    pub(crate) fn logged(self, log: &Log, status: u16, body: Body) -> Logged {
        Logged { body, sent: 0, call: self, status, log: log.clone() }
    }
}

/// The client's id, or a new one.
fn id(headers: &HeaderMap) -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    static START: OnceLock<u64> = OnceLock::new();
    let sane = |text: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !text.is_empty() && text.len() <= MOST_ID && text.bytes().all(plain)
    };
    let given = headers.get("x-request-id").and_then(|value| value.to_str().ok()).filter(sane);
    match given {
        Some(given) => given.to_string(),
        None => {
            // Those of two runs of the server differ.
            let start = *START.get_or_init(|| {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                since.map_or(0, |since| since.as_millis() as u64)
            });
            format!("{start:x}-{}", LAST.fetch_add(1, Ordering::Relaxed) + 1)
        }
    }
}

/// A body whose end is logged.
#[derive(Debug)]
pub(crate) struct Logged {
    body: Body,
    sent: u64,
    call: Call,
    status: u16,
    log: Log,
}

impl hyper::body::Body for Logged {
    type Data = bytes::Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<io::Result<Frame<bytes::Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let call = &self.call;
        call.cancel.cancel();
        // What has no body to send, as the answer to HEAD, has been sent all the same.
        let whole =
            hyper::body::Body::is_end_stream(&self.body) || self.sent == 0 && call.method == Method::HEAD;
        let mut line = String::with_capacity(128);
        let _ = write!(line, "{} {} [{}] \"", call.peer, call.id, httpdate::fmt_http_date(call.came));
        // (A URI has no byte in it that would have to be escaped.)
        let _ = write!(line, "{} {} {:?}\"", call.method, call.target, call.version);
        let millis = call.since.elapsed().as_secs_f64() * 1e3;
        let end = if whole { "ok" } else { "broken" };
        let _ = writeln!(line, " {} {} {millis:.3} {end}", self.status, self.sent);
        self.log.write(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(given: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", given.parse().unwrap());
        id(&headers)
    }

    #[test]
    fn a_sane_id_is_kept_and_another_replaced() {
        assert_eq!(id_of("abc-1_2.3"), "abc-1_2.3");
        for odd in ["", "a b", "a\"b", "x:y"] {
            assert_ne!(id_of(odd), odd);
        }
        assert!(id(&HeaderMap::new()) != id(&HeaderMap::new()));
    }
}

//! Requests, one by one.

use crate::{
    host,
    pulse::Pulse,
    upstreams::{Upstream, Upstreams},
};
use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version,
    body::{self, Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
    header::{self, HeaderName, HeaderValue},
    http::request,
};
use rendez::{
    Context, Event, block_on, go_async,
    net::{SocketAddr, TcpStream},
    time::{Instant, SleepFuture, sleep_async},
};
use rendez_hyper::{Body, Connection, Io};
use std::{
    error::Error,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{self, Poll},
    time::Duration,
};

/// Those of a connection alone.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The body of a request that is passed on; none, where it may have to be sent again.
pub(crate) enum Outgoing {
    Passed {
        body: Incoming,
        upload: Arc<Upload>,
        /// When it has taken too long, be it that the answer is there already.
        alarm: Pin<Box<SleepFuture>>,
    },
    Empty,
}

/// How far the sending of a request has come: the upstream's time to answer begins with its last piece.
#[derive(Debug)]
pub(crate) struct Upload {
    pulse: Pulse,
    /// Whether the client is waited for, and not the upstream.
    waits: AtomicBool,
    is_whole: AtomicBool,
}

/// Whether nothing comes after that. (The length of a body in chunks is not known before.)
fn is_last(frame: Option<&Result<Frame<Bytes>, hyper::Error>>) -> bool {
    frame.is_none_or(|frame| frame.as_ref().is_ok_and(Frame::is_trailers))
}

impl body::Body for Outgoing {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Outgoing::Passed { body, upload, alarm } => {
                let polled = Pin::new(&mut *body).poll_frame(cx);
                upload.waits.store(polled.is_pending(), Ordering::Relaxed);
                let Poll::Ready(frame) = polled else {
                    let too_late = || Some(Err("the client takes too long to send its request".into()));
                    return alarm.as_mut().poll(cx).map(|()| too_late());
                };
                upload.pulse.beat();
                let is_whole = is_last(frame.as_ref()) || body.is_end_stream();
                upload.is_whole.store(is_whole, Ordering::Relaxed);
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Outgoing::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Passed { body, .. } => body.is_end_stream(),
            Outgoing::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Passed { body, .. } => body.size_hint(),
            Outgoing::Empty => SizeHint::with_exact(0),
        }
    }
}

/// The body of an answer: an upstream's, or our own.
pub(crate) enum Answered {
    Passed {
        body: Incoming,
        is_whole: bool,
        /// The connection that it comes over, kept for another request when it has come to its end.
        lease: Option<Lease>,
        /// How long nothing may come of it, and what tells that while nothing comes.
        limit: Duration,
        alarm: Option<Pin<Box<SleepFuture>>>,
    },
    Own(Body),
}

/// A connection in use.
pub(crate) struct Lease {
    sender: SendRequest<Outgoing>,
    upstreams: Arc<Upstreams>,
    index: usize,
    upload: Arc<Upload>,
}

impl Lease {
    fn give_back(self) {
        // An upstream may answer before it has the whole request: whoever had the connection next would wait for that.
        if self.upload.is_whole.load(Ordering::Relaxed) {
            self.upstreams.all()[self.index].give_back(self.sender);
        }
    }
}

impl body::Body for Answered {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Answered::Passed { body, is_whole, limit, alarm, .. } => {
                if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                    *is_whole = is_last(frame.as_ref()) || body.is_end_stream();
                    *alarm = None;
                    return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
                }
                let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_async(*limit)));
                alarm.as_mut().poll(cx).map(|()| {
                    eprintln!("proxy: an upstream has sent nothing of a body for {limit:?}");
                    Some(Err("the upstream has sent nothing for too long".into()))
                })
            }
            Answered::Own(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answered::Passed { body, .. } => body.is_end_stream(),
            Answered::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answered::Passed { body, .. } => body.size_hint(),
            Answered::Own(body) => body.size_hint(),
        }
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        if let Answered::Passed { is_whole: true, lease, .. } = self
            && let Some(lease) = lease.take()
        {
            lease.give_back();
        }
    }
}

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) connect: Duration,
    pub(crate) answer: Duration,
    /// The client's to send its request, all in all.
    pub(crate) body: Duration,
}

/// Passes requests on.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) times: Times,
}

/// What became of an attempt.
enum Attempt {
    Answered(Response<Incoming>, SendRequest<Outgoing>),
    /// Nothing has been sent, and here it is again.
    Unsent(Request<Outgoing>, Failure),
    /// It may have been received.
    Failed(Failure),
}

/// Why there is no answer.
enum Failure {
    Unreachable(String),
    /// The upstream did not answer in time.
    TooLate,
    /// The client did not send its request in time.
    SlowClient,
    /// The client did not say to which host its request is.
    Unaddressed,
    /// The client wants a tunnel.
    Tunnel,
}

impl Proxy {
    pub(crate) fn serve(
        &self,
        connection: &Connection<SocketAddr>,
        request: Request<Incoming>,
    ) -> Response<Answered> {
        let (mut head, body) = request.into_parts();
        if !host::is_told(head.version, &head.headers) {
            return failed(&Failure::Unaddressed);
        }
        if head.method == Method::CONNECT {
            return failed(&Failure::Tunnel);
        }
        let may_repeat = body::Body::is_end_stream(&body) && head.method.is_idempotent();
        prepare(&mut head, connection.peer());
        let is_empty = body::Body::is_end_stream(&body);
        let upload = Arc::new(Upload {
            pulse: Pulse::new(self.times.answer),
            waits: AtomicBool::new(false),
            is_whole: AtomicBool::new(is_empty),
        });
        let limit = self.times.body + self.times.answer;
        let body = match is_empty {
            true => Outgoing::Empty,
            false => Outgoing::Passed { body, upload: upload.clone(), alarm: Box::pin(sleep_async(limit)) },
        };
        let mut request = Some(Request::from_parts(head.clone(), body));
        let (ctx, _cancel) = connection.context().with_timeout(limit);
        let mut attempts = self.upstreams.attempts();
        let mut last: Option<(Response<Incoming>, Lease)> = None;
        let mut why = Failure::Unreachable("no upstream is left".into());
        while let Some(upstream) = attempts.next() {
            let Some(sent) = request.take() else { break };
            match self.attempt(&ctx, upstream, sent, &upload, may_repeat.then_some(&head)) {
                Attempt::Answered(response, sender) => {
                    let lease = self.lease(upstream, sender, upload.clone());
                    if !(may_repeat && is_passing(response.status())) {
                        return self.passed(response, lease, &head.method);
                    }
                    // Another may do better; if not, this is the answer.
                    last = Some((response, lease));
                }
                Attempt::Unsent(unsent, failure) => {
                    why = failure;
                    request = Some(unsent);
                    continue;
                }
                Attempt::Failed(failure) => {
                    let is_late = !matches!(failure, Failure::Unreachable(_));
                    why = failure;
                    if is_late {
                        break;
                    }
                }
            }
            if may_repeat {
                request = Some(Request::from_parts(head.clone(), Outgoing::Empty));
            }
        }
        match last {
            Some((response, lease)) => self.passed(response, lease, &head.method),
            None => failed(&why),
        }
    }

    fn lease(&self, upstream: &Upstream, sender: SendRequest<Outgoing>, upload: Arc<Upload>) -> Lease {
        let all = self.upstreams.all();
        let index = all.iter().position(|other| std::ptr::eq(other, upstream)).expect("one of them");
        Lease { sender, upstreams: self.upstreams.clone(), index, upload }
    }

    /// Sends the request, over a connection that is there or a new one.
    fn attempt(
        &self,
        ctx: &Context,
        upstream: &Upstream,
        mut request: Request<Outgoing>,
        upload: &Upload,
        again: Option<&request::Parts>,
    ) -> Attempt {
        request = addressed(request, upstream);
        // One that was kept may turn out to have been closed meanwhile: then the next, and at last a new one.
        while let Some(mut sender) = upstream.idle() {
            if !matches!(block_on(ctx.within(sender.ready())), Ok(Ok(()))) {
                continue;
            }
            match (self.send(ctx, sender, request, upload), again) {
                (Attempt::Unsent(unsent, _), _) => request = unsent,
                // It was closed just now. That says nothing of the upstream, so it does not count as an attempt.
                (Attempt::Failed(Failure::Unreachable(_)), Some(head)) => {
                    request = addressed(Request::from_parts(head.clone(), Outgoing::Empty), upstream);
                    break;
                }
                (attempt, _) => return attempt,
            }
        }
        match self.connect(ctx, upstream.addr) {
            Ok(sender) => self.send(ctx, sender, request, upload),
            Err(error) => Attempt::Unsent(request, Failure::Unreachable(error.to_string())),
        }
    }

    fn connect(&self, ctx: &Context, addr: SocketAddr) -> io::Result<SendRequest<Outgoing>> {
        let (ctx, _cancel) = ctx.with_timeout(self.times.connect);
        let too_late = |ended| io::Error::new(io::ErrorKind::TimedOut, format!("{addr}: {ended}"));
        let stream = ctx.bound(TcpStream::connect_event(addr)).wait().map_err(too_late)??;
        stream.set_nodelay(true)?;
        let (sender, connection) = block_on(http1::handshake(Io::from(stream))).map_err(io::Error::other)?;
        // It tells its errors to whoever waits for an answer.
        go_async(async { drop(connection.await) });
        Ok(sender)
    }

    fn send(
        &self,
        ctx: &Context,
        mut sender: SendRequest<Outgoing>,
        request: Request<Outgoing>,
        upload: &Upload,
    ) -> Attempt {
        upload.pulse.beat();
        let began = Instant::now();
        let mut sending = pin!(sender.try_send_request(request));
        let sent = loop {
            // As long as the client sends, the upstream can't answer.
            let is_whole = upload.is_whole.load(Ordering::Relaxed);
            let left = match is_whole {
                true => upload.pulse.left(),
                false => upload.pulse.left().min(self.times.body.saturating_sub(began.elapsed())),
            };
            if left.is_zero() {
                let waits = upload.waits.load(Ordering::Relaxed);
                return Attempt::Failed(if waits { Failure::SlowClient } else { Failure::TooLate });
            }
            let (limited, _cancel) = ctx.with_timeout(left);
            match block_on(limited.within(sending.as_mut())) {
                Ok(sent) => break sent,
                Err(_) if ctx.err().is_some() => return Attempt::Failed(Failure::TooLate),
                Err(_) => {}
            }
        };
        match sent {
            Ok(response) => Attempt::Answered(response, sender),
            Err(mut failed) => {
                let why = Failure::Unreachable(failed.error().to_string());
                match failed.take_message() {
                    Some(request) => Attempt::Unsent(request, why),
                    None => Attempt::Failed(why),
                }
            }
        }
    }

    fn passed(&self, response: Response<Incoming>, lease: Lease, method: &Method) -> Response<Answered> {
        let (mut head, body) = response.into_parts();
        strip(&mut head.headers);
        head.version = Version::HTTP_11;
        head.headers.append(header::VIA, HeaderValue::from_static("1.1 rendez-proxy"));
        if body::Body::is_end_stream(&body) || *method == Method::HEAD {
            // Nothing is to come over it.
            lease.give_back();
            return Response::from_parts(head, Answered::Own(Body::empty()));
        }
        let limit = self.times.answer;
        Response::from_parts(
            head,
            Answered::Passed { body, is_whole: false, lease: Some(lease), limit, alarm: None },
        )
    }
}

/// Whether an answer says that another upstream might do.
fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Makes a request one of ours.
fn prepare(head: &mut request::Parts, peer: &SocketAddr) {
    strip(&mut head.headers);
    // What is in the absolute form counts.
    if let Some(authority) = head.uri.authority() {
        // Without the name of a user.
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        head.headers.insert(header::HOST, HeaderValue::from_str(host).expect("part of a URI is plain"));
    }
    // hyper would send the absolute form, which is for proxies, to the upstream.
    if let Some(path) = head.uri.path_and_query() {
        head.uri = path.as_str().parse().expect("part of a URI is one");
    }
    head.version = Version::HTTP_11;
    let chain = match head.headers.get("x-forwarded-for").and_then(|before| before.to_str().ok()) {
        Some(before) => format!("{before}, {}", peer.ip()),
        None => peer.ip().to_string(),
    };
    head.headers
        .insert("x-forwarded-for", HeaderValue::from_str(&chain).expect("it was one, and an address"));
    head.headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    head.headers.append(header::VIA, HeaderValue::from_static("1.1 rendez-proxy"));
}

/// From HTTP/1.0 a request may come without a host, and it is passed on as 1.1.
fn addressed(mut request: Request<Outgoing>, upstream: &Upstream) -> Request<Outgoing> {
    request
        .headers_mut()
        .entry(header::HOST)
        .or_insert_with(|| HeaderValue::from_str(&upstream.addr.to_string()).expect("an address is a host"));
    request
}

/// Takes out what concerns the connection alone, and what it names.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

fn failed(why: &Failure) -> Response<Answered> {
    let (status, text) = match why {
        Failure::Unreachable(why) => {
            eprintln!("proxy: {why}");
            (StatusCode::BAD_GATEWAY, "no upstream has answered\n")
        }
        Failure::TooLate => (StatusCode::GATEWAY_TIMEOUT, "the upstream takes too long\n"),
        Failure::Tunnel => (StatusCode::NOT_IMPLEMENTED, "there are no tunnels here\n"),
        Failure::Unaddressed => (StatusCode::BAD_REQUEST, "to which host is it?\n"),
        Failure::SlowClient => (StatusCode::REQUEST_TIMEOUT, "the request takes too long\n"),
    };
    let response =
        Response::builder().status(status).header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    response.body(Answered::Own(text.into())).expect("the headers are well formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_the_connection_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("x-private", "1"),
            ("x-public", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-public"]);
    }

    #[test]
    fn a_request_tells_for_whom_it_is() {
        let request =
            Request::get("http://host/a?b=c").header("x-forwarded-for", "10.0.0.1").body(()).unwrap();
        let mut head = request.into_parts().0;
        prepare(&mut head, &([10, 0, 0, 2], 1).into());
        assert_eq!(head.headers["x-forwarded-for"], "10.0.0.1, 10.0.0.2");
        assert_eq!(
            (head.uri.to_string().as_str(), &head.headers["via"]),
            ("/a?b=c", &"1.1 rendez-proxy".parse().unwrap())
        );
        assert_eq!(head.headers["host"], "host");
    }
}

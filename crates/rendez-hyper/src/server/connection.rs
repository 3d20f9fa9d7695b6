//! One connection, from its first byte to its end.

use super::paced::Paced;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    rt,
    server::conn::http1,
    service::Service,
};
use rendez::{Context, time};
use std::{
    error::Error,
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

/// How long it may take until there is something to speak HTTP over.
const ESTABLISH: Duration = Duration::from_secs(30);

/// A connection, as those see it who make services: whose it is, and its context.
#[derive(Debug)]
pub struct Connection<A> {
    inner: Arc<Inner<A>>,
}

#[derive(Debug)]
struct Inner<A> {
    peer: A,
    context: Context,
}

impl<A> Clone for Connection<A> {
    fn clone(&self) -> Self {
        Connection { inner: self.inner.clone() }
    }
}

impl<A> Connection<A> {
    pub(super) fn new(peer: A, context: Context) -> Connection<A> {
        Connection { inner: Arc::new(Inner { peer, context }) }
    }

    /// The address of the other side.
    pub fn peer(&self) -> &A {
        &self.inner.peer
    }

    /// It ends with the connection, or when the server's drain has taken too long. It has the values of the context given to `serve`,
    /// but does not end with that: what is under way is to come to its end.
    ///
    /// A handler that is at work does not make the connection look whether the other side is still there; a write or a read of the body
    /// will tell.
    pub fn context(&self) -> &Context {
        &self.inner.context
    }
}

/// What ends a connection from this side.
pub(super) struct Ends {
    /// After the response that is under way.
    pub(super) drain: Context,
    /// At once.
    pub(super) cut: Context,
}

pub(super) struct Limits {
    pub(super) http: http1::Builder,
    pub(super) write: Option<Duration>,
}

/// What became of a connection.
type Served = Result<(), Box<dyn Error + Send + Sync>>;

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the connection was not established in time")
}

pub(super) async fn serve<I, S, B>(
    establish: impl Future<Output = io::Result<(I, S)>>,
    ends: Ends,
    limits: Limits,
) -> Served
where
    I: rt::Read + rt::Write + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<Box<dyn Error + Send + Sync>>>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let Some((io, service)) = established(establish, &ends).await? else { return Ok(()) };
    let expects = Arc::new(AtomicBool::new(false));
    let io = Paced::new(io, limits.write, expects.clone());
    let service = Watched { service, expects: expects.clone() };
    let connection = limits.http.serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut drain = pin!(ends.drain.done().recv_async());
    let mut cut = pin!(ends.cut.done().recv_async());
    let mut draining = false;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(Into::into));
            }
            if draining {
                return cut.as_mut().poll(cx).map(|_| Err("it took too long to drain".into()));
            }
            if drain.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            draining = true;
            // Of the idle ones nothing is to be expected, and no drain takes longer for them.
            expects.store(false, Ordering::Relaxed);
            connection.as_mut().graceful_shutdown();
        }
    })
    .await
}

/// A service, and whether the last request to it had a body, of which something may still be to come.
struct Watched<S> {
    service: S,
    expects: Arc<AtomicBool>,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Watched<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> S::Future {
        self.expects.store(!request.body().is_end_stream(), Ordering::Relaxed);
        self.service.call(request)
    }
}

/// What there is to speak HTTP over; `None` if the server drains before that is known.
async fn established<R>(
    establish: impl Future<Output = io::Result<R>>,
    ends: &Ends,
) -> io::Result<Option<R>> {
    let mut establish = pin!(establish);
    // Mostly it is there at once.
    if let Poll::Ready(result) = poll_fn(|cx| Poll::Ready(establish.as_mut().poll(cx))).await {
        return result.map(Some);
    }
    let mut late = pin!(time::sleep_async(ESTABLISH));
    let mut drain = pin!(ends.drain.done().recv_async());
    poll_fn(|cx| {
        if let Poll::Ready(result) = establish.as_mut().poll(cx) {
            return Poll::Ready(result.map(Some));
        }
        if drain.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(None));
        }
        late.as_mut().poll(cx).map(|()| Err(too_late()))
    })
    .await
}

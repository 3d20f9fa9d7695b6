//! Handlers that block, as services.

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    service::Service,
};
use pin_project_lite::pin_project;
use rendez::{JoinFuture, go};
use std::{
    error::Error,
    fmt,
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// A hyper [`Service`] out of a plain closure, which may block.
///
/// A request without a body is handled right where its connection is seen to, at the cost of a call: a handler that waits parks that
/// connection, which has nothing else to do, and no other. One with a body is handled on a goroutine of its own, so that the
/// connection goes on to take the body in while the handler [reads](crate::BodyReader) it.
///
/// A handler that panics ends its connection without a response; the panic is told as that of any detached goroutine.
///
/// # Examples
/// ```
/// use hyper::{Request, Response, body::Incoming};
/// use rendez_hyper::{Body, handler};
/// use std::time::Duration;
/// let service = handler(|_: Request<Incoming>| {
///     rendez::sleep(Duration::from_millis(1));
///     Response::new(Body::from("that took a while"))
/// });
/// # let _ = service;
/// ```
pub fn handler<F, B>(handle: F) -> Handler<F>
where
    F: Fn(Request<Incoming>) -> Response<B> + Send + Sync + 'static,
{
    Handler(Arc::new(handle))
}

/// The service of [`handler`].
pub struct Handler<F>(Arc<F>);

impl<F> Clone for Handler<F> {
    fn clone(&self) -> Self {
        Handler(self.0.clone())
    }
}

impl<F> fmt::Debug for Handler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl<F, B> Service<Request<Incoming>> for Handler<F>
where
    F: Fn(Request<Incoming>) -> Response<B> + Send + Sync + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = HandlerEnded;
    type Future = Reply<B>;

    fn call(&self, request: Request<Incoming>) -> Reply<B> {
        if request.body().is_end_stream() {
            return Reply::Done { response: Some(self.0(request)) };
        }
        let handle = self.0.clone();
        Reply::Running { handler: go(move || handle(request)).into_future() }
    }
}

/// The runtime shut down while a handler was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerEnded;

impl fmt::Display for HandlerEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime shut down before there was a response")
    }
}

impl Error for HandlerEnded {}

pin_project! {
    #[doc = "The future of a [`Handler`]'s response."]
    #[project = Stage]
    #[must_use = "futures do nothing unless polled"]
    pub enum Reply<B> {
        #[doc(hidden)]
        Done { response: Option<Response<B>> },
        #[doc(hidden)]
        Running {
            #[pin]
            handler: JoinFuture<Response<B>>,
        },
    }
}

impl<B> Future for Reply<B> {
    type Output = Result<Response<B>, HandlerEnded>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Stage::Done { response } => Poll::Ready(Ok(response.take().expect("polled after it was ready"))),
            Stage::Running { handler } => match ready!(handler.poll(cx)) {
                Ok(response) => Poll::Ready(Ok(response)),
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(_) => Poll::Ready(Err(HandlerEnded)),
            },
        }
    }
}

impl<B> fmt::Debug for Reply<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reply::Done { .. } => "Done",
            Reply::Running { .. } => "Running",
        })
    }
}

//! Serving: a loop that accepts, limits, and an end that lets what is under way come to its own.
//!
//! # Who accepts
//!
//! An async goroutine, which the caller of `serve` waits for. It moves between the workers too: a goroutine with a stack stays on its thread, and a
//! handler that computes there would keep it from accepting for as long as that takes.
//!
//! # How a connection lives
//!
//! Each connection is an async goroutine, which drives hyper's connection and moves between the workers as it likes. (A goroutine with a stack
//! that drives it by `block_on` was measured to be no faster, and it keeps the pages that hyper's calls have touched for as long as the connection
//! is idle.) A
//! handler that blocks makes the stack on which it runs its own until it is done.
//!
//! Two contexts rule it. The one that was given to `serve` begins the *drain*: no connection is accepted any more, idle ones are
//! closed, and the others after the response that is under way. The connection's own is a child of one that ends when the drain has
//! taken too long; then the connection is dropped, wherever it is. So a connection waits for one of the two at a time, which costs a
//! poll of it one more look.

mod connection;
mod handler;
mod listen;
mod paced;

pub use connection::Connection;
pub use handler::{Handler, HandlerEnded, Reply, handler};
pub use listen::{Listen, Plain};

use crate::{Io, Timer};
use connection::{Ends, Limits};
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    rt,
    server::conn::http1,
    service::Service,
};
use rendez::{
    Context, Event,
    chan::{self, Receiver, Sender},
    go_async,
    sync::WaitGroup,
    time,
};
use std::{
    error::Error,
    fmt,
    future::{self, Future},
    io,
    panic::resume_unwind,
    sync::Arc,
    time::Duration,
};

/// After the drain's time those that are still there are dropped, which takes them no longer than this unless their handlers block.
const CUT: Duration = Duration::from_secs(1);
/// How long the loop waits after an error that is not of one connection alone, for all that it knows.
const PAUSE: Duration = Duration::from_millis(10);

/// What an error of a connection is told to.
type OnError = Arc<dyn Fn(&(dyn Error + 'static)) + Send + Sync>;

/// Serves HTTP/1 with limits, until a context ends.
///
/// Defaults: a request's head has to be there within 30 s, as has the next request on an idle connection; 10,000 connections at once; the
/// other side has to take something of a response within 30 s; a drain takes 30 s at most. hyper's own limits hold besides.
///
/// A client that sends on although its request has been answered and the connection ends, as a large body that nobody wants, is read from for
/// 5 s at most, so that it gets the answer and not a reset.
///
/// # Examples
/// ```
/// use hyper::{Request, Response, body::Incoming};
/// use rendez::{Context, go, net::{TcpListener, TcpStream}};
/// use rendez_hyper::{Body, Server};
/// use std::{io::{Read, Write}, time::Duration};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let (ctx, cancel) = Context::background().with_cancel();
/// let server = go(move || {
///     let hello = |request: Request<Incoming>| Response::new(Body::from(format!("hello, {}", request.uri().path())));
///     Server::new().header_timeout(Duration::from_secs(5)).serve(&ctx, listener, hello)
/// });
///
/// let mut stream = TcpStream::connect(address)?;
/// stream.write_all(b"GET /you HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")?;
/// let mut response = String::new();
/// stream.read_to_string(&mut response)?;
/// assert!(response.starts_with("HTTP/1.1 200 OK") && response.ends_with("hello, /you"));
///
/// cancel.cancel();
/// assert_eq!(server.join().unwrap().cut, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a server does nothing until `serve`"]
pub struct Server {
    http: http1::Builder,
    connections: usize,
    write_timeout: Option<Duration>,
    drain: Duration,
    on_error: Option<OnError>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// How many connections it has served.
    pub served: u64,
    /// How many of these were still there when the drain had taken too long, and were dropped.
    pub cut: u64,
}

impl Server {
    /// With the defaults.
    pub fn new() -> Server {
        let mut http = http1::Builder::new();
        // A client that has ended its direction still gets its response.
        http.timer(Timer).half_close(true).header_read_timeout(Duration::from_secs(30));
        Server {
            http,
            connections: 10_000,
            write_timeout: Some(Duration::from_secs(30)),
            drain: Duration::from_secs(30),
            on_error: None,
        }
    }

    /// How long a request's head may take, from when the connection, or the response before, is there; it is also how long a
    /// connection may be idle.
    pub fn header_timeout(mut self, limit: Duration) -> Server {
        self.http.header_read_timeout(limit);
        self
    }

    /// How many connections there may be at once. Others wait in the system's queue until one ends.
    ///
    /// # Panics
    /// If it is none.
    pub fn max_connections(mut self, connections: usize) -> Server {
        assert!(connections > 0, "a server without connections");
        self.connections = connections;
        self
    }

    /// How long the other side may take no byte of what is sent to it, or `None`: for ever. It is looked four times within that, so it may
    /// become a quarter more. (Through a layer of one's own, as TLS, what counts is that it polls the stream below.)
    pub fn write_timeout(mut self, limit: Option<Duration>) -> Server {
        self.write_timeout = limit;
        self
    }

    /// How long a drain may take.
    pub fn drain_timeout(mut self, limit: Duration) -> Server {
        self.drain = limit;
        self
    }

    /// Whether connections are for more than one request.
    pub fn keep_alive(mut self, keep_alive: bool) -> Server {
        self.http.keep_alive(keep_alive);
        self
    }

    /// What else hyper lets one set.
    pub fn http1(mut self, set: impl FnOnce(&mut http1::Builder)) -> Server {
        set(&mut self.http);
        self
    }

    /// Is told of errors: of accepting, and those with which connections end (the other side broke it off, sent what is not HTTP, was too
    /// slow). Without one, nobody is.
    pub fn on_error(mut self, tell: impl Fn(&(dyn Error + 'static)) + Send + Sync + 'static) -> Server {
        self.on_error = Some(Arc::new(tell));
        self
    }

    /// Serves requests with a closure that may block, until `ctx` ends or the listener is closed, and then drains. See [`handler`] for
    /// where it runs.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread, for all that time.
    ///
    /// # Cancellation
    /// By `ctx`.
    pub fn serve<L, F, B>(&self, ctx: &Context, listener: L, handle: F) -> Drained
    where
        L: Listen<Stream: Plain> + Send + Sync + 'static,
        F: Fn(Request<Incoming>) -> Response<B> + Send + Sync + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let service = handler(handle);
        self.serve_with(ctx, listener, move |_| service.clone())
    }

    /// As [`serve`](Self::serve), with a hyper [`Service`] for each connection, which `make` makes, knowing whose it is; [`handler`] makes
    /// one of a closure.
    ///
    /// # Examples
    /// ```
    /// use hyper::{Request, Response, body::Incoming};
    /// use rendez::{Context, net::TcpListener};
    /// use rendez_hyper::{Body, Server, handler};
    /// # fn f(ctx: &Context, listener: TcpListener) {
    /// Server::new().serve_with(ctx, listener, |connection| {
    ///     let connection = connection.clone();
    ///     handler(move |_: Request<Incoming>| Response::new(Body::from(format!("you are {}", connection.peer()))))
    /// });
    /// # }
    /// ```
    pub fn serve_with<L, S, B>(
        &self,
        ctx: &Context,
        listener: L,
        make: impl Fn(&Connection<L::Addr>) -> S + Send + 'static,
    ) -> Drained
    where
        L: Listen<Stream: Plain> + Send + Sync + 'static,
        S: Service<
                Request<Incoming>,
                Response = Response<B>,
                Future: Send,
                Error: Into<Box<dyn Error + Send + Sync>>,
            > + Send
            + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        self.serve_over(ctx, listener, move |stream, connection| {
            future::ready(stream.into_served().map(|io| (Io::new(io), make(&connection))))
        })
    }

    /// As [`serve_with`](Self::serve_with), with connections that are more than their stream, as TLS: `establish` makes of an accepted stream what
    /// hyper reads from and writes to. Its future runs as part of the connection, and has as long as a head may take by default: 30 s.
    pub fn serve_over<L, E, I, S, B>(
        &self,
        ctx: &Context,
        listener: L,
        establish: impl Fn(L::Stream, Connection<L::Addr>) -> E + Send + 'static,
    ) -> Drained
    where
        L: Listen + Send + Sync + 'static,
        E: Future<Output = io::Result<(I, S)>> + Send + 'static,
        I: rt::Read + rt::Write + Unpin + Send + 'static,
        S: Service<
                Request<Incoming>,
                Response = Response<B>,
                Future: Send,
                Error: Into<Box<dyn Error + Send + Sync>>,
            > + Send
            + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let (cut, cut_all) = ctx.without_cancel().with_cancel();
        let open = WaitGroup::new();
        // A place in it for each connection.
        let (enter, leave) = chan::bounded(self.connections);
        let acceptor = Acceptor {
            server: self.clone(),
            ctx: ctx.clone(),
            cut,
            open: open.clone(),
            enter: enter.clone(),
            leave,
            served: 0,
        };
        let served = match go_async(acceptor.run(listener, establish)).join() {
            Ok(served) => served,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // Its runtime has shut down, and ended every connection.
            Err(_) => return Drained { served: 0, cut: 0 },
        };
        if time::timeout(self.drain, &open).is_some() {
            return Drained { served, cut: 0 };
        }
        let cut = enter.len() as u64;
        cut_all.cancel();
        let _ = time::timeout(CUT, &open);
        Drained { served, cut }
    }
}

/// Serves requests with a closure that may block, until `ctx` ends: a [`Server`] with the defaults.
///
/// # Blocking
/// As [`Server::serve`].
///
/// # Examples
/// See the [crate](crate).
pub fn serve<L, F, B>(ctx: &Context, listener: L, handle: F) -> Drained
where
    L: Listen<Stream: Plain> + Send + Sync + 'static,
    F: Fn(Request<Incoming>) -> Response<B> + Send + Sync + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    Server::new().serve(ctx, listener, handle)
}

/// Takes connections and has them served, until there are to be none any more.
struct Acceptor {
    server: Server,
    ctx: Context,
    /// Ends when the drain has taken too long.
    cut: Context,
    open: WaitGroup,
    enter: Sender<()>,
    leave: Receiver<()>,
    served: u64,
}

impl Acceptor {
    /// How many it has taken.
    async fn run<L, E, I, S, B>(
        mut self,
        listener: L,
        establish: impl Fn(L::Stream, Connection<L::Addr>) -> E,
    ) -> u64
    where
        L: Listen,
        E: Future<Output = io::Result<(I, S)>> + Send + 'static,
        I: rt::Read + rt::Write + Unpin + Send + 'static,
        S: Service<
                Request<Incoming>,
                Response = Response<B>,
                Future: Send,
                Error: Into<Box<dyn Error + Send + Sync>>,
            > + Send
            + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        while let Ok(Ok(())) = self.ctx.bound(self.enter.send_event(())).wait_async().await {
            let Some((stream, peer)) = self.accept(&listener).await else {
                // Of those places one is free again, whichever: they are alike.
                let _ = self.leave.try_recv();
                break;
            };
            self.served += 1;
            let (context, ended) = self.cut.with_cancel();
            let connection = Connection::new(peer, context.clone());
            let establish = establish(stream, connection);
            let ends = Ends { drain: self.ctx.clone(), cut: context };
            let limits = Limits { http: self.server.http.clone(), write: self.server.write_timeout };
            let (tell, guard) = (self.server.on_error.clone(), Open::new(&self.open, &self.leave));
            go_async(async move {
                // Both end it, and `ended` tells its handlers, also when it is dropped.
                let _guard = (guard, ended);
                if let Err(error) = connection::serve(establish, ends, limits).await
                    && let Some(tell) = tell
                {
                    tell(&*error);
                }
            });
        }
        // With the listener: whoever comes from now on is refused by the system, and may go elsewhere.
        self.served
    }

    /// The next connection; `None` when there is to be none any more.
    async fn accept<L: Listen>(&self, listener: &L) -> Option<(L::Stream, L::Addr)> {
        loop {
            match self.ctx.bound(listener.next()).wait_async().await.ok()? {
                Ok(accepted) => return Some(accepted),
                Err(_) if listener.is_closed() => return None,
                Err(error) => {
                    if let Some(tell) = &self.server.on_error {
                        tell(&error);
                    }
                    self.ctx.bound(time::timer(PAUSE)).wait_async().await.ok()?;
                }
            }
        }
    }
}

/// That a connection is there: counted, and in its place.
struct Open {
    open: WaitGroup,
    leave: Receiver<()>,
}

impl Open {
    fn new(open: &WaitGroup, leave: &Receiver<()>) -> Open {
        open.add(1);
        Open { open: open.clone(), leave: leave.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let left = self.leave.try_recv();
        debug_assert!(left.is_ok(), "each has its place");
        self.open.done();
    }
}

impl Default for Server {
    fn default() -> Server {
        Server::new()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("http", &self.http)
            .field("connections", &self.connections)
            .field("write_timeout", &self.write_timeout)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}

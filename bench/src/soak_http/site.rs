//! The server.

use hyper::{Request, Response, body::Incoming};
use rendez::{
    CancelFunc, Context, Event, JoinHandle, go,
    net::{SocketAddr, TcpListener},
    time,
};
use rendez_hyper::{Body, BodyReader, Drained, Server, handler};
use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

pub(super) struct Site {
    addr: SocketAddr,
    there: Arc<AtomicI64>,
    errors: Errors,
    stop: CancelFunc,
    server: JoinHandle<Drained>,
}

/// What the server was told of, and how often.
#[derive(Clone, Default)]
pub(super) struct Errors(Arc<Mutex<BTreeMap<String, u64>>>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "{} errors", errors.values().sum::<u64>())?;
        for (what, times) in &*errors {
            write!(f, "\n    {times} {what}")?;
        }
        Ok(())
    }
}

/// One more connection that is there, until it is dropped.
struct There(Arc<AtomicI64>);

impl There {
    fn new(there: &Arc<AtomicI64>) -> There {
        there.fetch_add(1, SeqCst);
        There(there.clone())
    }
}

impl Drop for There {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Site {
    /// With so much patience for a head, an idle connection, and a guest who takes nothing.
    pub(super) fn open(limit: Duration) -> io::Result<Site> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let (there, errors) = (Arc::new(AtomicI64::new(0)), Errors::default());
        let (ctx, stop) = Context::background().with_cancel();
        let server = Server::new().header_timeout(limit).write_timeout(Some(limit)).on_error({
            let errors = errors.clone();
            move |error| {
                let mut errors = errors.0.lock().unwrap_or_else(PoisonError::into_inner);
                *errors.entry(error.to_string()).or_default() += 1;
            }
        });
        let counted = there.clone();
        let server = go(move || {
            server.serve_with(&ctx, listener, move |connection| {
                let (there, ctx) = (There::new(&counted), connection.context().clone());
                handler(move |request| {
                    let _there = &there;
                    serve(&ctx, request)
                })
            })
        });
        Ok(Site { addr, there, errors, stop, server })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections there are.
    pub(super) fn there(&self) -> i64 {
        self.there.load(SeqCst)
    }

    pub(super) fn errors(&self) -> &Errors {
        &self.errors
    }

    pub(super) fn is_empty(&self) -> bool {
        self.there() == 0
    }

    /// Has it drain: how it ended, and what it was told of.
    pub(super) fn close(self) -> (Drained, Errors) {
        self.stop.cancel();
        (self.server.join().expect("it does not panic"), self.errors)
    }
}

/// A prime, so that no two places that are near each other have the same bytes behind them.
const PERIOD: usize = 65_521;
/// No piece of a pattern is longer.
const LONGEST: usize = 1 << 18;

/// The bytes of a large body from a place on: each place has its own.
///
/// # Panics
/// For more than [`LONGEST`].
pub(super) fn pattern(place: u64, len: usize) -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut rng = fastrand::Rng::with_seed(1);
        let period: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(PERIOD).collect();
        period.into_iter().cycle().take(PERIOD + LONGEST).collect()
    });
    let from = (place % PERIOD as u64) as usize;
    &BYTES[from..from + len]
}

/// So many of them.
struct Pattern {
    place: u64,
    len: u64,
}

impl Read for Pattern {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min((self.len - self.place) as usize).min(LONGEST);
        buf[..len].copy_from_slice(pattern(self.place, len));
        self.place += len as u64;
        Ok(len)
    }
}

fn serve(ctx: &Context, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let number = head.uri.query().and_then(|query| query.parse().ok()).unwrap_or(0_u64);
    match head.uri.path() {
        "/small" => Response::new(format!("small {number}").into()),
        // With a length, and without.
        "/large" => Response::new(Body::from_reader(Pattern { place: 0, len: number }, Some(number))),
        "/chunks" => Response::new(Body::from_reader(Pattern { place: 0, len: number }, None)),
        "/wait" => {
            let waited = ctx.bound(time::timer(Duration::from_millis(number))).wait();
            Response::new(format!("{}", waited.is_ok()).into())
        }
        "/count" => {
            let mut all = BodyReader::new(body).context(ctx);
            match io::copy(&mut all, &mut io::sink()) {
                Ok(bytes) => Response::new(format!("{bytes}").into()),
                Err(error) => {
                    Response::builder().status(400).body(error.to_string().into()).expect("it is sane")
                }
            }
        }
        "/echo" => {
            let mut from = BodyReader::new(body).context(ctx);
            let (mut to, body) = Body::channel(1);
            // One that fails drops `to`, which breaks the answer off.
            go(move || -> io::Result<()> {
                io::copy(&mut from, &mut to)?;
                to.finish()
            });
            Response::new(body)
        }
        _ => Response::builder().status(404).body("nothing".into()).expect("it is sane"),
    }
}

//! hyper 1 on rendez: HTTP servers and clients whose code blocks in plain style.
//!
//! * [`Server`] accepts and serves with limits, and drains when a [`Context`](rendez::Context) ends; [`serve`] is one with the defaults. A handler is a plain
//!   closure, which may block, or any hyper [`Service`](hyper::service::Service).
//! * [`BodyReader`] reads a body as one reads a file, up to a limit; [`Body`] is one to send, from what is there, from a reader, or from a
//!   [`BodyWriter`] while it is sent.
//! * [`Io`], [`Timer`] and [`Executor`] are what hyper itself asks of a runtime, for its servers, its clients and its HTTP/2.
//!
//! ```
//! use hyper::{Request, Response, body::Incoming};
//! use rendez::{Context, go, net::{TcpListener, TcpStream}};
//! use rendez_hyper::{Body, BodyReader};
//! use std::io::{BufRead, Read, Write};
//!
//! /// Counts the lines of what it is sent.
//! fn count(request: Request<Incoming>) -> Response<Body> {
//!     let lines = BodyReader::new(request.into_body()).limit(1 << 20).lines();
//!     match lines.collect::<Result<Vec<_>, _>>() {
//!         Ok(lines) => Response::new(format!("{} lines", lines.len()).into()),
//!         Err(error) => Response::builder().status(400).body(error.to_string().into()).unwrap(),
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut client = TcpStream::connect(listener.local_addr()?)?;
//! let (ctx, stop) = Context::background().with_cancel();
//! let server = go(move || rendez_hyper::serve(&ctx, listener, count));
//!
//! client.write_all(b"POST / HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 4\r\n\r\na\nb\n")?;
//! let mut response = String::new();
//! client.read_to_string(&mut response)?;
//! assert!(response.ends_with("2 lines"));
//!
//! stop.cancel();
//! assert_eq!(server.join().unwrap().served, 1);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod body;
mod executor;
mod io;
mod server;
mod timer;

pub use body::{Body, BodyReader, BodyTooLarge, BodyWriter};
pub use executor::Executor;
pub use io::Io;
pub use server::{Connection, Drained, Handler, HandlerEnded, Listen, Plain, Reply, Server, handler, serve};
pub use timer::Timer;

/// The guide's chapter, whose example is a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/src/http.md")]
struct Guide;

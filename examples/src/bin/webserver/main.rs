//! `webserver`: the files under a directory, and a small JSON API, over HTTP/1.1.
//!
//! ```text
//! cargo run --release -p examples --bin webserver -- [--listen ADDR] [ROOT]
//! ```
//!
//! The code that answers is plain code that blocks: it reads a body like a file, takes a lock, waits for a time, asks the disk. hyper sees to the
//! protocol, and `rendez-hyper` joins the two.
//!
//! | module | |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | [`call`] | what belongs to a request: its id, its context, its line in the log |
//! | [`files`], [`range`] | files, conditions, ranges |
//! | [`api`] | the JSON API |
//! | [`mod@log`] | who writes the log |
//! | [`reply`] | how answers are made |
//! | [`tls`] | HTTPS |
//!
//! # Limits
//! Against clients that are slow: the head of a request has a time, and the whole request; so has the taking of an answer. Against
//! greedy ones: bodies have a size, notes a number, and connections, of which those beyond the limit wait in the system's queue.
//! hyper limits heads.
//!
//! # The end
//! At SIGTERM or Ctrl-C the context given to the server is cancelled, which begins its drain. The receiver of signals is dropped then, so that the
//! next one does what it does by default: it ends the process.
#![forbid(unsafe_code)]

mod api;
mod call;
mod cli;
mod files;
#[path = "../../host.rs"]
mod host;
mod log;
mod range;
mod reply;
mod tls;

use api::{Api, Limits};
use call::{Call, Logged};
use clap::Parser;
use cli::Cli;
use files::Files;
use hyper::{Request, Response, StatusCode, body::Incoming, header::HeaderValue};
use log::Log;
use rendez::{
    Context,
    diag::{self, AfterDump},
    go,
    net::{SocketAddr, TcpListener},
    signal::{self, Signal},
};
use rendez_hyper::{Connection, Server, handler};
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tls::Tls;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match rendez::run(|| run(&cli)) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("webserver: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What all requests share.
struct Site {
    files: Files,
    api: Api,
    log: Log,
    request_timeout: Duration,
}

fn run(cli: &Cli) -> io::Result<ExitCode> {
    let root = Files::new(&cli.root)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", cli.root.display())))?;
    let (log, written) = if cli.quiet { (Log::none(), None) } else { logged() };
    let site = Arc::new(Site {
        files: root,
        api: Api::new(Limits { body: cli.max_body, upload: cli.max_upload }),
        log,
        request_timeout: cli.request_timeout,
    });
    let server = Server::new()
        .max_connections(cli.max_connections as usize)
        .header_timeout(cli.header_timeout)
        .write_timeout(Some(cli.write_timeout))
        .drain_timeout(cli.drain);

    let listener = TcpListener::bind(cli.listen)?;
    let signals = signal::notify([Signal::TERMINATE, Signal::INTERRUPT])?;
    diag::dump_on_quit(AfterDump::GoOn)?;
    let tls = if cli.tls { Some(Tls::self_signed()?) } else { None };
    let scheme = if cli.tls { "https" } else { "http" };
    say(&format!("listening on {scheme}://{}", listener.local_addr()?));
    let (ctx, stop) = Context::background().with_cancel();
    go(move || {
        if let Ok(signal) = signals.recv() {
            eprintln!("webserver: {signal}: draining");
            stop.cancel();
        }
    });
    let service = move |connection: &Connection<SocketAddr>| {
        let (site, connection) = (site.clone(), connection.clone());
        handler(move |request| site.serve(&connection, request))
    };
    let drained = match tls {
        None => server.serve_with(&ctx, listener, service),
        Some(tls) => server.serve_over(&ctx, listener, move |stream, connection| {
            let (tls, service) = (tls.clone(), service(&connection));
            async move { Ok((tls.establish(stream).await?, service)) }
        }),
    };
    // The last that write to the log are gone with the server.
    if drained.cut == 0
        && let Some(written) = written
    {
        let _ = written.join();
    }
    eprintln!("webserver: served {} connections, cut {}", drained.served, drained.cut);
    Ok(if drained.cut == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn logged() -> (Log, Option<rendez::JoinHandle<io::Result<()>>>) {
    let (log, written) = Log::on(io::stdout());
    (log, Some(written))
}

/// One line on stdout, now.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

impl Site {
    fn serve(&self, connection: &Connection<SocketAddr>, request: Request<Incoming>) -> Response<Logged> {
        let call = Call::new(&request, *connection.peer(), connection.context(), self.request_timeout);
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let mut response = match path.strip_prefix("/api/") {
            _ if !host::is_told(head.version, &head.headers) => {
                reply::problem(StatusCode::BAD_REQUEST, "it does not say, or not once, to which host it is")
            }
            Some(path) => self.api.serve(&call, path, head.uri.query().unwrap_or_default(), body),
            None => self.files.serve(&head.method, path, &head.headers),
        };
        if call.ctx.err().is_some() && response.status() == StatusCode::OK {
            response = reply::problem(StatusCode::SERVICE_UNAVAILABLE, "it took too long");
        }
        let id = HeaderValue::from_str(&call.id).expect("an id is plain");
        response.headers_mut().insert("x-request-id", id);
        let (head, body) = response.into_parts();
        let logged = call.logged(&self.log, head.status.as_u16(), body);
        Response::from_parts(head, logged)
    }
}

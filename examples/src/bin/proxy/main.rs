//! `proxy`: passes HTTP requests, or TCP connections, on to several upstreams.
//!
//! ```text
//! cargo run --release -p examples --bin proxy -- [--mode http|tcp] [--listen ADDR] UPSTREAM...
//! ```
//!
//! The code that passes a request on is a loop over the upstreams: connect, send, wait for the answer, or try the next one. Each step blocks, and is
//! bounded by the request's context. Bodies are not held in memory: hyper passes them on, piece by piece, at the pace of the slower
//! side.
//!
//! | module | |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | [`upstreams`] | whose turn it is, who is well, how often one may try again |
//! | [`http`] | requests |
//! | [`pulse`] | whether something moves |
//! | [`tcp`] | connections |
#![forbid(unsafe_code)]

mod cli;
#[path = "../../host.rs"]
mod host;
mod http;
mod pulse;
mod tcp;
mod upstreams;

use clap::Parser;
use cli::{Cli, Mode};
use http::{Proxy, Times};
use rendez::{
    Context,
    diag::{self, AfterDump},
    go,
    net::TcpListener,
    signal::{self, Signal},
};
use rendez_hyper::{Server, handler};
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};
use tcp::Relay;
use upstreams::{Checks, Upstreams};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match rendez::run(|| run(&cli)) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> io::Result<ExitCode> {
    let upstreams = Arc::new(Upstreams::new(&cli.upstreams, cli.retry_budget));
    let listener = TcpListener::bind(cli.listen)?;
    let signals = signal::notify([Signal::TERMINATE, Signal::INTERRUPT])?;
    diag::dump_on_quit(AfterDump::GoOn)?;
    let (ctx, stop) = Context::background().with_cancel();
    let checks = Checks {
        path: cli.health_path.clone().filter(|_| cli.mode == Mode::Http),
        interval: cli.health_interval,
        fall: cli.fall,
    };
    for index in 0..upstreams.all().len() {
        let (ctx, checks, upstreams) = (ctx.clone(), checks.clone(), upstreams.clone());
        go(move || checks.watch(&ctx, &upstreams.all()[index]));
    }
    let scheme = if cli.mode == Mode::Http { "http" } else { "tcp" };
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "listening on {scheme}://{}", listener.local_addr()?).and_then(|()| out.flush());
    drop(out);
    go(move || {
        // With the receiver of signals gone, the next one ends the process.
        if let Ok(signal) = signals.recv() {
            eprintln!("proxy: {signal}: draining");
            stop.cancel();
        }
    });
    let drained = match cli.mode {
        Mode::Http => {
            let times = Times { connect: cli.connect_timeout, answer: cli.timeout, body: cli.body_timeout };
            let proxy = Arc::new(Proxy { upstreams, times });
            let server = Server::new()
                .max_connections(cli.max_connections as usize)
                .header_timeout(cli.header_timeout)
                .drain_timeout(cli.drain);
            server.serve_with(&ctx, listener, move |connection| {
                let (proxy, connection) = (proxy.clone(), connection.clone());
                handler(move |request| proxy.serve(&connection, request))
            })
        }
        Mode::Tcp => {
            let relay = Relay {
                upstreams,
                connect: cli.connect_timeout,
                idle: cli.timeout,
                connections: cli.max_connections as usize,
                drain: cli.drain,
            };
            relay.serve(&ctx, listener)
        }
    };
    eprintln!("proxy: served {} connections, cut {}", drained.served, drained.cut);
    Ok(if drained.cut == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! `chat`: rooms over TCP, a line at a time.
//!
//! ```text
//! cargo run --release -p examples --bin chat -- [--listen ADDR]
//! ```
//!
//! * The [`hub`] is one goroutine, which alone has the names and the rooms: nothing is shared, so nothing is locked. It never waits for
//!   a client: whoever does not keep up with what is said to him is sent away.
//! * A [`client`] is two: one reads lines and asks the hub, one writes what the hub has put into the client's queue.
//! * [`lines`] cuts what is read into lines, none of which is too long.
//!
//! At SIGTERM or Ctrl-C a context ends: the accepting, the reading, and in the hub the letting in. The queues are closed then, and the
//! writers end when these are empty, or when their time is over.
#![forbid(unsafe_code)]

mod cli;
mod client;
mod hub;
mod lines;

use clap::Parser;
use cli::Cli;
use client::Client;
use hub::Hub;
use rendez::{
    Context, Event,
    diag::{self, AfterDump},
    go,
    net::{TcpListener, TcpStream},
    signal::{self, Signal},
    sync::WaitGroup,
    time::timeout,
};
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match rendez::run(|| run(cli)) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> io::Result<ExitCode> {
    let listener = TcpListener::bind(cli.listen)?;
    let signals = signal::notify([Signal::TERMINATE, Signal::INTERRUPT])?;
    diag::dump_on_quit(AfterDump::GoOn)?;
    say(&format!("listening on tcp://{}", listener.local_addr()?));
    let (ctx, stop) = Context::background().with_cancel();
    let there = Arc::new(AtomicUsize::new(0));
    let count = there.clone();
    go(move || {
        if let Ok(signal) = signals.recv() {
            // Counted before anybody is told, since those who are told go.
            eprintln!("chat: {signal}: closing, with {} here", count.load(Ordering::Relaxed));
            stop.cancel();
        }
        // The next signal does what it does by default: it ends the process.
    });
    let cli = Arc::new(cli);
    let (hub, requests) = Hub::new();
    let (hub_ctx, all) = (ctx.clone(), WaitGroup::new());
    all.go(move || hub.run(&hub_ctx));
    while let Ok(accepted) = ctx.bound(listener.accept_event()).wait() {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                eprintln!("chat: {error}");
                continue;
            }
        };
        if there.fetch_add(1, Ordering::Relaxed) >= cli.max_clients as usize {
            there.fetch_sub(1, Ordering::Relaxed);
            turn_away(&stream);
            continue;
        }
        let client =
            Client { ctx: ctx.clone(), cli: cli.clone(), hub: requests.clone(), stream: stream.into() };
        let there = there.clone();
        all.go(move || {
            if let Err(error) = client.serve() {
                eprintln!("chat: {peer}: {error}");
            }
            there.fetch_sub(1, Ordering::Relaxed);
        });
    }
    drop((listener, requests));
    Ok(match timeout(cli.drain, &all) {
        Some(()) => {
            eprintln!("chat: all have been told");
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("chat: cut {}", there.load(Ordering::Relaxed));
            ExitCode::FAILURE
        }
    })
}

/// Without waiting: what does not fit into the buffers of a new connection is not said.
fn turn_away(stream: &TcpStream) {
    let _ = stream.set_write_timeout(Some(std::time::Duration::from_millis(1)));
    let _ = (&mut &*stream).write_all(b"! there is no room for more: come back later\n");
}

/// One line on stdout, now.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

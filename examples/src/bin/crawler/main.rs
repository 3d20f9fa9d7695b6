//! `crawler`: fetches a site page by page, along its links.
//!
//! ```text
//! cargo run --release -p examples --bin crawler -- [--depth N] URL...
//! ```
//!
//! * The [`frontier`] is the main goroutine: it alone knows what has been seen, hands pages to fetch to their hosts, and counts those that are under way.
//!   When none is, the crawl is over.
//! * Each [`host`] has a goroutine, which fetches its pages one after another, politely. There may be any number of those; a semaphore
//!   bounds how many fetch at once.
//! * [`fetch`] speaks HTTP, by hyper; [`links`] finds them in a page.
//!
//! All waits are bounded by one context, which ends at Ctrl-C or SIGTERM, and with the crawl.
#![forbid(unsafe_code)]

mod cli;
mod fetch;
mod frontier;
mod host;
mod links;

use clap::Parser;
use cli::Cli;
use frontier::{Frontier, Summary};
use rendez::{
    Context, go,
    signal::{self, Signal},
};
use std::{io, process::ExitCode, sync::Arc, time::Instant};

fn main() -> ExitCode {
    let cli = Arc::new(Cli::parse());
    match rendez::run(|| run(&cli)) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("crawler: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Arc<Cli>) -> io::Result<ExitCode> {
    let signals = signal::notify([Signal::TERMINATE, Signal::INTERRUPT])?;
    let (ctx, stop) = Context::background().with_cancel();
    go(move || {
        // The next signal does what it does by default: it ends the process.
        if signals.recv().is_ok() {
            stop.cancel();
        }
    });
    let started = Instant::now();
    let Summary { pages, bytes, failed, refused, is_whole } = Frontier::new(&ctx, cli).run()?;
    eprintln!(
        "crawler: {pages} pages, {bytes} bytes, {failed} not there, {refused} not wanted by robots.txt, in {:.1} s{}",
        started.elapsed().as_secs_f64(),
        if is_whole { "" } else { "; interrupted" }
    );
    Ok(match (is_whole, failed) {
        (false, _) => ExitCode::from(130),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::FAILURE,
    })
}

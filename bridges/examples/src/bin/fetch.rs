//! `fetch`: gets URLs, many at once, by `reqwest`, from goroutines.
//!
//! ```text
//! cargo run --release --bin fetch -- http://127.0.0.1:8080/ http://127.0.0.1:8080/api/health
//! ```
//!
//! * Each URL has a goroutine, and a semaphore bounds how many fetch at once. What it does is one future of `reqwest`'s, run by
//!   `rendez_tokio::block_on`: the goroutine parks while tokio's thread waits for the socket.
//! * One context bounds them all, and ends at Ctrl-C and SIGTERM; each request has a child of it, with a time.
#![forbid(unsafe_code)]

use clap::Parser;
use rendez::{
    Context, ContextError, Event, go,
    signal::{self, Signal},
    sync::Semaphore,
    time::Instant,
};
use std::{error::Error, fmt::Write, io, process::ExitCode, sync::Arc, time::Duration};

const AFTER_LONG_HELP: &str = "\
Output:
  A line for each URL, as soon as it is there: STATUS BYTES MILLISECONDS URL. Where there
  was no answer, STATUS is `error`, and the reason is added.

Exit status:
  0    all were there
  1    some were not: no answer, or a status of 400 and more
  2    wrong usage
  130  interrupted";

/// Gets URLs, many at once, and says what came.
#[derive(Debug, Parser)]
#[command(name = "fetch", version, after_long_help = AFTER_LONG_HELP)]
struct Cli {
    /// What to get; http only
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,

    /// How many requests there may be at once
    #[arg(short, long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,

    /// How long a request may take, in seconds
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30.0)]
    timeout: f64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match rendez::run(|| run(cli)) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("fetch: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let timeout = Duration::try_from_secs_f64(cli.timeout).map_err(|error| format!("--timeout: {error}"))?;
    let signals = signal::notify([Signal::TERMINATE, Signal::INTERRUPT])?;
    let (ctx, stop) = Context::background().with_cancel();
    go(move || {
        // The next signal does what it does by default: it ends the process.
        if signals.recv().is_ok() {
            stop.cancel();
        }
    });
    // It has nothing that wants tokio until a request is made.
    let client = reqwest::Client::new();
    let places = Arc::new(Semaphore::new(cli.connections as usize));
    let fetches: Vec<_> = cli
        .urls
        .into_iter()
        .map(|url| {
            let (ctx, client, places) = (ctx.clone(), client.clone(), places.clone());
            go(move || {
                let Ok(_place) = ctx.bound(places.acquire_event(1)).wait() else { return false };
                let (ctx, _cancel) = ctx.with_timeout(timeout);
                let started = Instant::now();
                let fetched = fetch(&ctx, &client, &url);
                let took = started.elapsed().as_millis();
                let (line, is_well) = match fetched {
                    Ok((status, bytes)) => (format!("{status} {bytes} {took} {url}"), status < 400),
                    Err(why) => (format!("error 0 {took} {url}: {why}"), false),
                };
                say(&line);
                is_well
            })
        })
        .collect();
    let all_are_well =
        fetches.into_iter().map(|fetch| fetch.join()).fold(true, |all, is| all & matches!(is, Ok(true)));
    Ok(match (ctx.err(), all_are_well) {
        (Some(_), _) => ExitCode::from(130),
        (None, true) => ExitCode::SUCCESS,
        (None, false) => ExitCode::FAILURE,
    })
}

/// The status and the length of what comes.
fn fetch(ctx: &Context, client: &reqwest::Client, url: &str) -> Result<(u16, u64), String> {
    let fetched = rendez_tokio::block_on(ctx.within(async {
        let mut response = client.get(url).send().await?;
        let mut bytes = 0;
        while let Some(piece) = response.chunk().await? {
            bytes += piece.len() as u64;
        }
        Ok::<_, reqwest::Error>((response.status().as_u16(), bytes))
    }));
    match fetched {
        Ok(Ok(got)) => Ok(got),
        Ok(Err(error)) => Err(with_causes(&error)),
        Err(ContextError::DeadlineExceeded) => Err("it took too long".into()),
        Err(ContextError::Canceled) => Err("interrupted".into()),
    }
}

/// An error with those that it comes from, which have the reason.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// One line on stdout, now.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = io::Write::write_all(&mut out, format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}

//! `bench`: the same workloads on rendez, on Go and on the Rust peers, paired in one run.
//!
//! `bench list` says what there is, `bench run` measures it. README.md says how to read the result.

mod cases;
mod child;
mod compare;
mod curves;
mod gauge;
mod load;
mod machine;
mod peer;
mod plain_http;
mod plot;
mod report;
mod run;
mod soak;
mod soak_http;
mod stats;
mod wrk;

use cases::{CASES, Scale};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use peer::{PEERS, go::Go};
use report::{Row, Table, ToldRun};
use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Measures rendez, Go and the Rust peers on the same workloads, side by side.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures: prints a table of medians, with the ratios to Go and to the best Rust peer
    ///
    /// Every contestant runs every case in a process of its own, round after round, A B C A B C. A ratio is the median
    /// of the rounds' ratios; below 1 means that rendez is ahead, also where more is better. What a peer can't do reads
    /// `n/a`, with the reason below the table; a `*` marks a reading that has a note there.
    ///
    /// The http cases have a load of their own. With BENCH_WRK=wrk in the environment, wrk makes it for all contestants.
    Run(Run),
    /// Runs everything at once, for as long as it is told to, and accounts for what went in: exits with 1 if something is missing
    ///
    /// Round after round starts a runtime and plays some scenes on it at once: channels of all capacities, selects, locks, contexts,
    /// timers, patterns, runtimes within runtimes, panics; from goroutines, async goroutines and OS threads; with cancels,
    /// closes and shutdowns at random. After each round every value that was made has been received or returned, or dropped
    /// where that was to be; whatever was started has ended. Over the rounds memory, mappings, threads and file descriptors
    /// must not grow.
    Soak(soak::Soak),
    /// Runs an HTTP server and guests of all kinds, for as long as it is told to: exits with 1 if something does not add up, or is left behind
    ///
    /// The server is `rendez-hyper`'s, and the guests are goroutines of the same process: those who ask and pipeline, who read and write slowly, send
    /// large bodies, end their direction, reset, stall, vanish, and talk nonsense, as the seed has it. They come in rounds of seconds; between
    /// two, file descriptors and goroutines have to be as many as at the beginning, and over the rounds memory must not grow. What comes as an
    /// answer is looked at byte by byte.
    SoakHttp(soak_http::SoakHttp),
    /// Says what rendez does for an operation of each case: parks, wake-ups, steals, sleeps, calls of the system
    ///
    /// By the library's own statistics (`rendez::diag::stats`), in a process for each case, with the timed run alone.
    Stats(stats::Stats),
    /// Measures how the cost of an operation changes with how many goroutines, timers, channels or workers there are
    ///
    /// A row for each curve, of rendez alone, in nanoseconds for an operation; the last column is the dearest over the cheapest.
    Curves(curves::Curves),
    /// Measures one point of a curve in this process
    #[command(hide = true)]
    Point(curves::Point),
    /// Loads a server with HTTP requests and tells a number: what the http cases measure with
    #[command(hide = true)]
    Load(load::Load),
    /// Tells which figures of several runs repeat, and which don't
    ///
    /// Of what `run --json` has written: rendez's readings and the ratios that differ by more than ten percent from run to run, the worst first.
    Compare(compare::Compare),
    /// Lists the cases with their definitions, and the peers with what they can't do
    List,
    /// Runs one case on one contestant in this process and tells the reading as a line of JSON
    #[command(hide = true)]
    One {
        #[arg(long)]
        peer: String,
        #[arg(long)]
        case: String,
        /// MODE,COUNT,MILLISECONDS with MODE one of steady, repeat, once
        #[arg(long)]
        scale: Scale,
        /// Tell rendez's statistics of the run instead, as a line of their table
        #[arg(long)]
        stats: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Only the cases that match, as `spawn_*`; may be given several times [default: all]
    #[arg(long = "case", value_name = "GLOB")]
    cases: Vec<String>,
    /// Only these besides rendez, as `go`; may be given several times [default: all]
    #[arg(long = "peer", value_name = "NAME")]
    peers: Vec<String>,
    /// How often each contestant runs each case
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Write the readings as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the readings as a picture
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Smaller sizes and shorter runs: for a first look
    #[arg(long)]
    quick: bool,
    /// End a contestant that takes longer than this for a case
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(run) => measure(&run),
        Command::Soak(soak) => soak.run(),
        Command::Curves(curves) => curves.run(),
        Command::Point(point) => point.run(),
        Command::SoakHttp(soak) => soak.run(),
        Command::Load(load) => load.run(),
        Command::Compare(compare) => compare.run(),
        Command::List => print(&list()),
        Command::Stats(stats) => stats.run(),
        Command::One { peer, case, scale, stats } => one(&peer, &case, scale, stats),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn one(peer: &str, case: &str, scale: Scale, stats: bool) -> Result<(), String> {
    let peer = peer::find(peer).ok_or_else(|| format!("no peer is called `{peer}`"))?;
    let case = cases::find(case).ok_or_else(|| format!("no case is called `{case}`"))?;
    if stats {
        println!("{}", stats::line(peer, case, scale)?);
        return Ok(());
    }
    let told = child::one(peer, case, scale, |_, run| run())?;
    println!("{}", serde_json::to_string(&told).map_err(|error| error.to_string())?);
    Ok(())
}

fn measure(asked: &Run) -> Result<(), String> {
    let cases = cases::choose(&asked.cases)?;
    let peers = peer::choose(&asked.peers)?;
    for file in [&asked.json, &asked.plot].into_iter().flatten() {
        writable(file)?;
    }
    let go = if peers.iter().any(|peer| peer.is_go()) {
        prepare_go()?
    } else {
        Go::Missing("not asked for".into())
    };
    let bar = ProgressBar::new((cases.len() * peers.len()) as u64 * u64::from(asked.rounds));
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {eta} left, {msg}");
    bar.set_style(style.map_err(|error| error.to_string())?);
    let settings = run::Settings {
        peers: &peers,
        rounds: asked.rounds.into(),
        quick: asked.quick,
        limit: Duration::from_secs(asked.limit),
        go: &go,
    };

    let table = Table::new(&peers);
    println!("{}", table.head());
    let mut rows: Vec<Row> = Vec::new();
    for case in cases {
        let row = settings.case(case, &bar);
        bar.suspend(|| println!("{}", table.line(&row)));
        rows.push(row);
    }
    bar.finish_and_clear();
    let machine = machine::Machine::this();
    println!("{}", table.foot(&rows, &machine));

    let told = ToldRun {
        machine,
        versions: machine::versions(&go),
        date: machine::date(),
        quick: asked.quick,
        cases: rows.iter().map(Row::told).collect(),
    };
    if let Some(file) = &asked.json {
        let text = serde_json::to_string_pretty(&told).map_err(|error| error.to_string())?;
        fs::write(file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if let Some(file) = &asked.plot {
        plot::draw(&told, file)?;
    }
    Ok(())
}

/// Fails early where a result could not be written after many minutes of measuring.
fn writable(file: &Path) -> Result<(), String> {
    let told = fs::OpenOptions::new().append(true).create(true).open(file);
    told.map(drop).map_err(|error| format!("{}: {error}", file.display()))
}

/// Builds Go's program beside this one.
fn prepare_go() -> Result<Go, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    Ok(Go::prepare(program.parent().unwrap_or(Path::new("."))))
}

/// What there is to measure, and with whom.
fn list() -> String {
    let mut list = String::from("Cases\n");
    let mut line = |line: String| list.extend([&line, "\n"]);
    for case in CASES {
        line(format!("\n  {} [{}, {} is better]", case.name, case.unit.name(), case.better.name()));
        for text in wrapped(case.definition, 100) {
            line(format!("    {text}"));
        }
    }
    line("\nPeers".into());
    for peer in &PEERS {
        line(format!("\n  {}: {}", peer.name, peer.about));
        let mut notes: Vec<(String, Vec<&str>)> = Vec::new();
        for case in CASES {
            let answer = peer.find(case.name);
            let Some(note) = answer.note() else { continue };
            let text = if answer.can() { format!("* {note}") } else { format!("n/a, {note}") };
            match notes.iter_mut().find(|(known, _)| *known == text) {
                Some((_, cases)) => cases.push(case.name),
                None => notes.push((text, vec![case.name])),
            }
        }
        for (note, cases) in notes {
            line(format!("    {note}"));
            for text in wrapped(&cases.join(", "), 96) {
                line(format!("        {text}"));
            }
        }
    }
    list
}

/// Prints a text of many lines; who reads only the first of them may go.
fn print(text: &str) -> Result<(), String> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// The text in lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.into());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
    }
}

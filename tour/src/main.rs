//! A tour of Go's concurrency on rendez: every program runs, shows what it prints and checks it.
//!
//! `tour` alone runs them all, `tour list` names them, and `tour run N...` runs some. The exit status is 1 if
//! a check fails and 2 if the command line is wrong. The programs are in [`programs`], one a file, and each is written
//! to be copied from; [`output`], [`picture`] and [`runner`] are what they share.

#![forbid(unsafe_code)]

mod output;
mod picture;
mod programs;
mod runner;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use programs::Program;

/// Go's concurrency in Rust, program by program: each runs, shows its output and checks it.
#[derive(Debug, Parser)]
#[command(name = "tour", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the programs with these numbers (without a command: run all)
    Run {
        /// Numbers of programs, as `list` shows them
        #[arg(required = true, value_name = "NUMBER", value_parser = known_program)]
        programs: Vec<&'static Program>,
    },
    /// List the programs
    List,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        None => runner::run_all(programs::ALL),
        Some(Command::Run { programs }) => runner::run_all(programs),
        Some(Command::List) => {
            runner::list(programs::ALL);
            ExitCode::SUCCESS
        }
    }
}

fn known_program(argument: &str) -> Result<&'static Program, String> {
    let number: u32 = argument.parse().map_err(|_| format!("expected a number, one of {}", numbers()))?;
    programs::find(number).ok_or_else(|| format!("the tour has no program {number}, only {}", numbers()))
}

fn numbers() -> String {
    let all: Vec<String> = programs::ALL.iter().map(|p| p.number.to_string()).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn several_programs_can_be_named() {
        let cli = Cli::try_parse_from(["tour", "run", "12", "1"]).unwrap();
        let Some(Command::Run { programs }) = cli.command else { panic!("{cli:?}") };
        assert_eq!(programs.iter().map(|p| p.number).collect::<Vec<_>>(), [12, 1]);
    }

    #[test]
    fn an_unknown_number_is_refused_with_the_known_ones() {
        let error = Cli::try_parse_from(["tour", "run", "99"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation);
        assert!(error.to_string().contains("the tour has no program 99, only 1, 2, "), "{error}");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let error = Cli::try_parse_from(["tour", "run", "twelve"]).unwrap_err();
        assert!(error.to_string().contains("expected a number, one of 1, 2, "), "{error}");
    }

    #[test]
    fn run_needs_a_number() {
        let error = Cli::try_parse_from(["tour", "run"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
    }
}

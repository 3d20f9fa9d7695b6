//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::hash::Algorithm;

/// More digesters than this are a slip of the finger: each holds a buffer and an open file.
const MOST_DIGESTERS: i64 = 1024;

const AFTER_HELP: &str = "\
Exit status: 0 all digested, 1 something was not (stderr says what), 2 wrong usage,
130 ended by Ctrl-C, 141 the reader of the output went away.";

const AFTER_LONG_HELP: &str = "\
Output:
  One line a file, `DIGEST  PATH`, as sha256sum or b3sum print it, and as
  `sha256sum --check` reads it. A backslash, newline or carriage return in PATH
  is written as `\\\\`, `\\n`, `\\r`, and the line then starts with a backslash.
  All other bytes of PATH are written as they are, whether UTF-8 or not.

Order:
  Lines are sorted by the bytes of PATH, over the whole output, whatever the
  order of the arguments. What two arguments both reach is printed twice.
  The output is that of

    find -L PATH... -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum

  but memory does not grow with the number of files: only with the largest
  directory, whose entries are sorted in memory.

Files:
  Symbolic links are followed, as arguments and in directories, and a file is
  named by the link. A directory that is reached again from inside itself is
  reported as a loop and not entered.
  `-` is a file of that name, not standard input.
  What can't be read, is gone when its turn comes, or is no regular file (pipe,
  socket, device) is a line on stderr, `digest: PATH: reason`, with control
  characters escaped. All other files are still digested.
  A file that grows meanwhile is digested up to where its end was met.

Ending:
  Ctrl-C ends after the last whole line that is in order. A second Ctrl-C ends
  at once.

Exit status:
  0    every file was digested
  1    something could not be digested, or the output could not be written
  2    wrong usage
  130  ended by Ctrl-C
  141  the reader of the output went away, as in `digest . | head -1`";

/// Prints the digest of every regular file under the given paths, sorted by path.
///
/// Files are digested several at a time by goroutines. A progress bar is shown where stderr is a terminal.
#[derive(Debug, Parser)]
#[command(name = "digest", version, after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub(crate) struct Cli {
    /// How many files are digested at once [default: the number of workers, one for each CPU]
    #[arg(short = 'j', long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=MOST_DIGESTERS))]
    pub(crate) threads_of_work: Option<u16>,

    /// The digest to compute
    #[arg(short, long, value_enum, value_name = "NAME", default_value_t = Algorithm::Sha256)]
    pub(crate) algorithm: Algorithm,

    /// A file, or a directory whose files are digested, and those of the directories in it
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn refused(arguments: &[&str]) -> ErrorKind {
        Cli::try_parse_from(arguments).unwrap_err().kind()
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_number_of_digesters_is_positive_and_sane() {
        assert_eq!(Cli::try_parse_from(["digest", "-j", "1024", "."]).unwrap().threads_of_work, Some(1024));
        for absurd in ["0", "-1", "1025", "99999999999999999999", "many", ""] {
            let argument = format!("--threads-of-work={absurd}");
            let kind = refused(&["digest", &argument, "."]);
            assert!(
                matches!(kind, ErrorKind::ValueValidation | ErrorKind::InvalidValue),
                "{absurd}: {kind:?}"
            );
        }
    }

    #[test]
    fn a_path_is_required_and_a_dash_is_one() {
        assert_eq!(refused(&["digest"]), ErrorKind::MissingRequiredArgument);
        assert_eq!(Cli::try_parse_from(["digest", "-"]).unwrap().paths, [PathBuf::from("-")]);
    }
}

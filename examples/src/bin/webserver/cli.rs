//! The command line.

#[path = "../../seconds.rs"]
mod seconds;

use clap::Parser;
use seconds::seconds;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

const AFTER_LONG_HELP: &str = "\
Files:
  GET and HEAD of a path serve the file of that path under ROOT; of a directory,
  its index.html. Answers have an ETag and a Last-Modified; If-None-Match,
  If-Modified-Since, If-Match, Range (one range) and If-Range are heeded.
  Paths with `..` and links that lead out of ROOT are refused.

API:
  GET    /api/health       that it lives, and since when
  GET    /api/notes        all notes
  POST   /api/notes        {\"text\": \"...\"}: a new one; its address is in Location
  GET    /api/notes/ID     one
  PUT    /api/notes/ID     {\"text\": \"...\"}: changes it
  DELETE /api/notes/ID     takes it away
  POST   /api/digest       length and SHA-256 of the body, which may be as large as
                           --max-upload
  POST   /api/echo         the body, while it comes
  GET    /api/wait?ms=N    an answer after so long, or 503 when the request has
                           taken too long before

  Notes are in memory, and there are 10,000 at most.

Requests:
  Each has an id, the client's `X-Request-Id` if it has sent a sane one, which is in
  the answer and in the log; and a time, --request-timeout, after which it is
  answered with 503.

Log:
  A line on stdout for each request, when its answer has been sent or broken off:
  PEER ID [DATE] \"METHOD PATH VERSION\" STATUS BYTES MILLISECONDS END, where END is
  `ok` or `broken`.

Ending:
  SIGTERM or Ctrl-C: no connection is accepted any more, idle ones are closed, what
  is under way comes to its end, for as long as --drain. A second one ends at once.
  SIGQUIT does not end it: it tells on stderr what each goroutine is at.

Exit status:
  0    drained
  1    it could not listen, or connections were cut at the end of the drain
  2    wrong usage";

/// Serves the files under a directory, and a small JSON API, over HTTP/1.1.
#[derive(Debug, Parser)]
#[command(name = "webserver", version, after_long_help = AFTER_LONG_HELP)]
pub(crate) struct Cli {
    /// Where to listen; with port 0 the system chooses one, which is printed
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Serve HTTPS, with a certificate for localhost that is made now and signed by itself
    #[arg(long)]
    pub(crate) tls: bool,

    /// How many connections there may be at once; others wait
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,

    /// How many bytes the body of a request to the API may have
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024)]
    pub(crate) max_body: u64,

    /// How many bytes may be sent to /api/digest and /api/echo
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    pub(crate) max_upload: u64,

    /// How long the head of a request may take, and how long a connection may be idle
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) header_timeout: Duration,

    /// How long a client may take nothing of what is sent to it
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) write_timeout: Duration,

    /// How long a request may take, its body included, until it is answered
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) request_timeout: Duration,

    /// How long what is under way may take at the end
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) drain: Duration,

    /// Write no log
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// The directory whose files are served
    #[arg(value_name = "ROOT", default_value = ".")]
    pub(crate) root: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_positive_and_sane() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for absurd in ["0", "-1", "nan", "inf", "1e9", "soon", ""] {
            assert!(seconds(absurd).is_err(), "{absurd}");
        }
    }
}

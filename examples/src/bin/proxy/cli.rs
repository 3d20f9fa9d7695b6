//! The command line.

#[path = "../../seconds.rs"]
mod seconds;

use clap::{Parser, ValueEnum};
use seconds::seconds;
use std::{net::SocketAddr, time::Duration};

const AFTER_LONG_HELP: &str = "\
Upstreams:
  Requests (in TCP mode: connections) go to the upstreams by turns, leaving out
  those that are down. An upstream goes down when --fall health checks in a row have
  failed, and comes up with the first that succeeds. If all are down, they are tried
  all the same.
  A health check is a GET of --health-path that is answered with 2xx or 3xx; in TCP
  mode, or without a path, a connection.

Retries:
  What could not be sent, since there was no connection to be had or it was closed
  before, is tried at the next upstream; so is a request without a body whose method
  may be repeated (GET, HEAD, PUT, DELETE, OPTIONS, TRACE) when the connection broke
  before it was answered, or the answer was 502, 503 or 504.
  Retries are for a few: each request pays --retry-budget into an account, a retry
  takes 1 from it, and it holds no more than 10. So when all fails, the upstreams get
  no multiple of the load.

Headers:
  Those of the connection (Connection, Keep-Alive, TE, Trailer, Transfer-Encoding,
  Upgrade, Proxy-*) are not passed on. X-Forwarded-For gets the client's address, and
  Via is added.

Answers of its own:
  400 the request does not say to which host it is
  408 the client took longer than --body-timeout to send a request, or sent nothing of
      it for --timeout
  501 CONNECT
  502 no upstream could be reached, or the connection broke
  504 the upstream took longer than --timeout to take the request, or to answer it
  An answer that breaks off, or of which nothing comes for --timeout, is broken off.

Ending:
  SIGTERM or Ctrl-C: no connection is accepted any more, idle ones are closed, what
  is under way comes to its end, for as long as --drain. A second one ends at once.
  SIGQUIT does not end it: it tells on stderr what each goroutine is at.

Exit status:
  0    drained
  1    it could not listen, or connections were cut at the end of the drain
  2    wrong usage";

/// What is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// HTTP/1.1, request by request
    Http,
    /// Bytes, connection by connection
    Tcp,
}

/// Passes HTTP requests, or TCP connections, on to several upstreams.
#[derive(Clone, Debug, Parser)]
#[command(name = "proxy", version, after_long_help = AFTER_LONG_HELP)]
pub(crate) struct Cli {
    /// Where to listen; with port 0 the system chooses one, which is printed
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    pub(crate) listen: SocketAddr,

    /// What is passed on
    #[arg(short, long, value_enum, default_value_t = Mode::Http)]
    pub(crate) mode: Mode,

    /// How many connections there may be at once; others wait
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,

    /// What is asked for to see whether an upstream is well
    #[arg(long, value_name = "PATH")]
    pub(crate) health_path: Option<String>,

    /// How long between two health checks, and how long one may take
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) health_interval: Duration,

    /// How many health checks in a row have to fail
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) fall: u32,

    /// How many retries there may be for each request
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share)]
    pub(crate) retry_budget: f64,

    /// How long a connection to an upstream may take
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) connect_timeout: Duration,

    /// How long an upstream may take to begin to answer, and how long nothing may come of a body; in TCP mode, how long nothing may move in
    /// both directions
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// How long a client may take to send the body of a request
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) body_timeout: Duration,

    /// How long the head of a request may take, and how long a client's connection may be idle
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) header_timeout: Duration,

    /// How long what is under way may take at the end
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) drain: Duration,

    /// To whom it is passed on
    #[arg(required = true, value_name = "UPSTREAM")]
    pub(crate) upstreams: Vec<SocketAddr>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=10.0).contains(&share) => Ok(share),
        _ => Err("a number from 0 to 10".to_string()),
    }
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
    fn an_upstream_is_required_and_numbers_are_sane() {
        assert!(Cli::try_parse_from(["proxy"]).is_err());
        assert!(Cli::try_parse_from(["proxy", "127.0.0.1:1"]).is_ok());
        for absurd in ["--retry-budget=-1", "--retry-budget=nan", "--timeout=0", "--fall=0"] {
            assert!(Cli::try_parse_from(["proxy", absurd, "127.0.0.1:1"]).is_err(), "{absurd}");
        }
    }
}

//! The command line.

#[path = "../../seconds.rs"]
mod seconds;

use clap::Parser;
use seconds::seconds;
use std::{net::SocketAddr, time::Duration};

const AFTER_LONG_HELP: &str = "\
Talking to it:
  Any client that sends lines will do: `nc 127.0.0.1 7000`. The first line is your
  name, of letters, digits, `-` and `_`. Then a line is said to the room that you
  are in, at first `lobby`, or is a command:

  /join ROOM       go to another room, which is made if there is none
  /rooms           which rooms there are, and how many are in each
  /who             who is in this one
  /msg NAME TEXT   tell one person something
  /help            these commands
  /quit            leave

  What others say comes as `<NAME> TEXT`, what happens as `* ...`, and what you did
  wrong as `! ...`.

Limits:
  Who reads so slowly that --queue lines wait for him is sent away, and so is who
  takes nothing for --write-timeout. Nobody waits for him meanwhile. Who talks faster
  than --rate lines a second, after a burst of as many, is read more slowly, tries
  for a name included. Who sends a longer line than --max-line is sent away.

Ending:
  SIGTERM or Ctrl-C: nobody is let in any more, everybody is told, and what has been
  said is still delivered, for as long as --drain. A second one ends at once.
  SIGQUIT does not end it: it tells on stderr what each goroutine is at.

Exit status:
  0    everybody was told
  1    it could not listen, or somebody was cut at the end of the drain
  2    wrong usage";

/// A chat server: rooms over TCP, a line at a time.
#[derive(Debug, Parser)]
#[command(name = "chat", version, after_long_help = AFTER_LONG_HELP)]
pub(crate) struct Cli {
    /// Where to listen; with port 0 the system chooses one, which is printed
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1:7000")]
    pub(crate) listen: SocketAddr,

    /// How many may be there at once; others are told so and sent away
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_clients: u32,

    /// How many lines may wait for somebody to read them
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) queue: u32,

    /// How many bytes a line may have
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub(crate) max_line: u32,

    /// How many lines a second one may send
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,

    /// How long one may take to say his name, and another where that can't be had
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) name_timeout: Duration,

    /// How long one may say nothing
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    pub(crate) idle_timeout: Duration,

    /// How long one may take nothing of what is sent to him
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) write_timeout: Duration,

    /// How long the delivery of what has been said may take at the end
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) drain: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}

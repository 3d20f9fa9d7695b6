//! One who is connected: a goroutine that reads, and one that writes.

use crate::{
    cli::Cli,
    hub::{Command, Line, Outbox, Request},
    lines::Lines,
};
use rendez::{
    Context, Event,
    chan::{self, Receiver, Sender},
    go,
    net::{Shutdown, TcpStream},
    pattern::RateLimit,
    time::{Instant, timeout},
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(crate) struct Client {
    pub(crate) ctx: Context,
    pub(crate) cli: Arc<Cli>,
    pub(crate) hub: Sender<Request>,
    pub(crate) stream: Arc<TcpStream>,
}

/// What is written at once, at most, however many lines wait.
const AT_ONCE: usize = 64 * 1024;

impl Client {
    /// Until the client goes, or is sent away.
    ///
    /// # Errors
    /// What the connection had to complain of, other than that its client has gone.
    pub(crate) fn serve(self) -> io::Result<()> {
        let (queue, lines) = chan::bounded(self.cli.queue as usize);
        let is_stuck = Arc::new(AtomicBool::new(false));
        let writer = go({
            let (stream, limit, is_stuck) = (self.stream.clone(), self.cli.write_timeout, is_stuck.clone());
            move || deliver(&stream, &lines, limit, &is_stuck)
        });
        // The queue is closed by the hub, or goes with the reader of one who was never let in. The writer delivers what is in it.
        let outcome = self.read(queue, is_stuck);
        let written = writer.join().unwrap_or(Ok(()));
        // Whoever is at the other end is told by that, should there be anything left of the connection.
        let _ = self.stream.shutdown(Shutdown::Both);
        outcome.and(written).or_else(|error| match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => {
                Ok(())
            }
            _ => Err(error),
        })
    }

    fn read(&self, queue: Sender<Line>, is_stuck: Arc<AtomicBool>) -> io::Result<()> {
        let mut lines = Lines::new(self.cli.max_line as usize);
        let tell = |text: &str| drop(queue.try_send(format!("{text}\n").into()));
        tell("* what is your name?");
        // Those who talk too fast, or try names too fast, are read more slowly; it is their own lines that wait.
        let rate = RateLimit::new(self.cli.rate, Duration::from_secs(1) / self.cli.rate);
        let id = loop {
            let Some(name) = self.line(&mut lines, self.cli.name_timeout, &tell)? else { return Ok(()) };
            if rate.wait(&self.ctx).is_err() {
                return Ok(());
            }
            let outbox =
                Outbox { queue: queue.clone(), stream: self.stream.clone(), is_stuck: is_stuck.clone() };
            let (answer, answered) = chan::bounded(1);
            if self.hub.send(Request::Enter { name: name.trim().into(), outbox, answer }).is_err() {
                return Ok(());
            }
            match answered.recv() {
                Ok(Ok(id)) => break id,
                Ok(Err(problem)) => tell(&format!("! {problem}")),
                Err(_) => return Ok(()),
            }
        };
        let outcome = loop {
            match self.line(&mut lines, self.cli.idle_timeout, &tell) {
                Ok(Some(line)) => {
                    let Some(command) = Command::parse(&line) else { break Ok(()) };
                    if rate.wait(&self.ctx).is_err() || self.hub.send(Request::Do { id, command }).is_err() {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let _ = self.hub.send(Request::Leave { id });
        outcome
    }

    /// The next line; none at the end of the connection, or of the server, and when the time is over.
    fn line(&self, lines: &mut Lines, limit: Duration, tell: &dyn Fn(&str)) -> io::Result<Option<String>> {
        // For the whole line: one who sends a byte now and then is no faster by that.
        let deadline = Instant::now() + limit;
        let mut bytes = [0; 2048];
        // What has been read already does not count when he has gone.
        while !self.stream.is_closed() {
            match lines.next() {
                Ok(Some(line)) => return Ok(Some(line)),
                Ok(None) => {}
                Err(error) => {
                    tell(&format!("! {error}"));
                    return Err(error);
                }
            }
            let read = self.ctx.bound(self.stream.read_event(&mut bytes));
            match timeout(deadline.saturating_duration_since(Instant::now()), read) {
                Some(Ok(Ok(0))) | Some(Err(_)) => return Ok(None),
                Some(Ok(Ok(len))) => lines.add(&bytes[..len]),
                Some(Ok(Err(error))) => return Err(error),
                None => {
                    tell("! you have said nothing for too long");
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }
}

/// Writes what is in the queue, until that is closed and empty.
fn deliver(
    stream: &TcpStream,
    lines: &Receiver<Line>,
    limit: Duration,
    is_stuck: &AtomicBool,
) -> io::Result<()> {
    let end = || -> io::Result<()> {
        stream.set_write_timeout(Some(limit))?;
        let mut bytes = Vec::new();
        while let Ok(line) = lines.recv() {
            bytes.extend_from_slice(line.as_bytes());
            // What waits already goes in the same call.
            while bytes.len() < AT_ONCE
                && let Ok(line) = lines.try_recv()
            {
                bytes.extend_from_slice(line.as_bytes());
            }
            let mut left = &bytes[..];
            while !left.is_empty() {
                let written = match stream.write_event(left).wait_timeout(Duration::ZERO) {
                    Some(written) => written,
                    None => {
                        is_stuck.store(true, Ordering::Release);
                        let written = stream.write_event(left).wait();
                        is_stuck.store(false, Ordering::Release);
                        written
                    }
                };
                left = &left[written?..];
            }
            bytes.clear();
        }
        Ok(())
    };
    let outcome = end();
    if outcome.is_err() {
        // The reader is not to wait for one who takes nothing, nor to go on with what he has said before; nor is what comes still to be kept for
        // him.
        lines.close();
        stream.close();
    }
    outcome
}

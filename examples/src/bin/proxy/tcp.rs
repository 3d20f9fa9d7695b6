//! Connections, byte by byte.

use crate::upstreams::Upstreams;
use rendez::{
    Context, Event,
    chan::{self, Receiver},
    go,
    net::{Shutdown, TcpListener, TcpStream},
    sync::WaitGroup,
    time,
};
use rendez_hyper::Drained;
use std::{io, sync::Arc, time::Duration};

use crate::pulse::Pulse;

/// After the drain those that are left are closed, which takes them no longer than this.
const CUT: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) connect: Duration,
    /// How long nothing may come.
    pub(crate) idle: Duration,
    pub(crate) connections: usize,
    pub(crate) drain: Duration,
}

impl Relay {
    /// Accepts until `ctx` ends, and lets what is under way come to its end.
    pub(crate) fn serve(&self, ctx: &Context, listener: TcpListener) -> Drained {
        let (cut, cut_all) = Context::background().with_cancel();
        let open = WaitGroup::new();
        let (enter, leave) = chan::bounded(self.connections);
        let mut served = 0;
        while let Ok(Ok(())) = ctx.bound(enter.send_event(())).wait() {
            let place = Place(leave.clone());
            let Some(client) = accept(ctx, &listener) else { break };
            served += 1;
            let (relay, cut) = (self.clone(), cut.clone());
            open.go(move || {
                let _place = place;
                if let Err(error) = relay.relay(&cut, client) {
                    eprintln!("proxy: {error}");
                }
            });
        }
        drop(listener);
        if time::timeout(self.drain, &open).is_some() {
            return Drained { served, cut: 0 };
        }
        let left = enter.len() as u64;
        cut_all.cancel();
        let _ = time::timeout(CUT, &open);
        Drained { served, cut: left }
    }

    /// Passes bytes on between a client and an upstream, in both directions, until both have ended.
    fn relay(&self, cut: &Context, client: TcpStream) -> io::Result<()> {
        let upstream = self.upstream(cut)?;
        for stream in [&client, &upstream] {
            stream.set_nodelay(true)?;
        }
        let pulse = Arc::new(Pulse::new(self.idle));
        // At the end of the drain both are closed, and whoever waits for them is woken.
        let closing = [client.try_clone()?, upstream.try_clone()?];
        let stop = cut.after_func(move || closing.iter().for_each(|stream| _ = stream.close()));
        let (from, to) = (client.try_clone()?, upstream.try_clone()?);
        let there = go({
            let pulse = pulse.clone();
            move || pass(&from, &to, &pulse)
        });
        let back = pass(&upstream, &client, &pulse);
        let there = there.join().expect("it does not panic");
        stop.stop();
        there.and(back)
    }

    /// A connection to the first upstream that has one to give.
    fn upstream(&self, cut: &Context) -> io::Result<TcpStream> {
        let mut attempts = self.upstreams.attempts();
        let mut why = io::Error::other("no upstream is left");
        while let Some(upstream) = attempts.next() {
            let (ctx, _cancel) = cut.with_timeout(self.connect);
            match ctx.bound(TcpStream::connect_event(upstream.addr)).wait() {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => why = error,
                Err(ended) => {
                    why = io::Error::new(io::ErrorKind::TimedOut, format!("{}: {ended}", upstream.addr))
                }
            }
        }
        Err(why)
    }
}

/// One direction: bytes, and then the end, which the other side is told of as such. When it breaks, so does the other direction.
fn pass(from: &TcpStream, to: &TcpStream, pulse: &Pulse) -> io::Result<()> {
    let result = copy(from, to, pulse);
    if result.is_err() {
        from.close();
        to.close();
    }
    result
}

fn copy(from: &TcpStream, to: &TcpStream, pulse: &Pulse) -> io::Result<()> {
    let mut buf = vec![0; 32 * 1024];
    loop {
        let mut left = match read(from, &mut buf, pulse)? {
            0 => return to.shutdown(Shutdown::Write),
            len => &buf[..len],
        };
        while !left.is_empty() {
            left = &left[write(to, left, pulse)?..];
        }
    }
}

/// Reads, unless nothing has moved in either direction for too long.
fn read(from: &TcpStream, buf: &mut [u8], pulse: &Pulse) -> io::Result<usize> {
    loop {
        match time::timeout(pulse.left(), from.read_event(buf)) {
            Some(read) => {
                pulse.beat();
                return read;
            }
            None => pulse.check(from)?,
        }
    }
}

/// Writes, as [`read`].
fn write(to: &TcpStream, bytes: &[u8], pulse: &Pulse) -> io::Result<usize> {
    loop {
        match time::timeout(pulse.left(), to.write_event(bytes)) {
            Some(written) => {
                pulse.beat();
                return written;
            }
            None => pulse.check(to)?,
        }
    }
}

/// The next client.
fn accept(ctx: &Context, listener: &TcpListener) -> Option<TcpStream> {
    loop {
        match ctx.bound(listener.accept_event()).wait().ok()? {
            Ok((client, _)) => return Some(client),
            Err(error) => {
                eprintln!("proxy: {error}");
                ctx.bound(time::timer(Duration::from_millis(10))).wait().ok()?;
            }
        }
    }
}

/// The place of a connection. (Which one is taken out does not matter: they are alike.)
struct Place(Receiver<()>);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.0.try_recv();
    }
}

//! Whether something moves.

use rendez::{net::TcpStream, time::Instant};
use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// When something has last moved, and for how long nothing may.
#[derive(Debug)]
pub(crate) struct Pulse {
    since: Instant,
    /// In nanoseconds since then.
    last: AtomicU64,
    limit: Duration,
}

impl Pulse {
    pub(crate) fn new(limit: Duration) -> Pulse {
        Pulse { since: Instant::now(), last: AtomicU64::new(0), limit }
    }

    /// Something has moved.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// How long it may still take until something moves.
    pub(crate) fn left(&self) -> Duration {
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        (last + self.limit).saturating_sub(self.since.elapsed())
    }

    /// # Errors
    /// If it has taken too long.
    pub(crate) fn check(&self, stream: &TcpStream) -> io::Result<()> {
        if !self.left().is_zero() {
            return Ok(());
        }
        let what = match stream.peer_addr() {
            Ok(peer) => format!("{peer}: nothing has moved for {:?}", self.limit),
            Err(_) => format!("nothing has moved for {:?}", self.limit),
        };
        Err(io::Error::new(io::ErrorKind::TimedOut, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rendez::testing::virtual_time;

    #[test]
    fn what_moves_has_time() {
        virtual_time(|| {
            let pulse = Pulse::new(Duration::from_secs(3));
            rendez::sleep(Duration::from_secs(2));
            assert_eq!(pulse.left(), Duration::from_secs(1));
            pulse.beat();
            assert_eq!(pulse.left(), Duration::from_secs(3));
            rendez::sleep(Duration::from_secs(4));
            assert_eq!(pulse.left(), Duration::ZERO);
        });
    }
}

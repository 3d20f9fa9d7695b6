//! The log of requests.
//!
//! One goroutine writes it, and does so off the workers: whoever reads our output may be slow. If he is so slow that lines pile up, some are left out, and it
//! says how many: no client waits for the log. So are those that can't be written, as to a disk that is full, which is told on stderr; with the next
//! lines it is tried again.

use rendez::{
    JoinHandle,
    chan::{self, Receiver, Sender},
    go,
};
use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// So many lines may wait to be written.
const WAITING: usize = 4096;

/// Where lines are written to; nowhere, if there is to be no log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    lines: Option<Sender<String>>,
    lost: Arc<AtomicU64>,
}

impl Log {
    pub(crate) fn none() -> Log {
        Log { lines: None, lost: Arc::default() }
    }

    /// A log on `out`, and its end: when all that can write to it are gone, and it has been written.
    pub(crate) fn on(out: impl Write + Send + 'static) -> (Log, JoinHandle<io::Result<()>>) {
        let (tx, rx) = chan::bounded(WAITING);
        let log = Log { lines: Some(tx), lost: Arc::default() };
        let lost = log.lost.clone();
        (log, go(move || write(&rx, out, &lost)))
    }

    pub(crate) fn write(&self, line: String) {
        if let Some(lines) = &self.lines
            && lines.try_send(line).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(lines: &Receiver<String>, mut out: impl Write + Send, lost: &AtomicU64) -> io::Result<()> {
    let mut is_told = false;
    while let Ok(first) = lines.recv() {
        let (mut text, mut count) = (first, 1);
        lines.try_iter().take(WAITING).for_each(|line| {
            text.push_str(&line);
            count += 1;
        });
        let left_out = lost.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            text.push_str(&format!("({left_out} lines were left out)\n"));
        }
        match rendez::blocking(|| out.write_all(text.as_bytes()).and_then(|()| out.flush())) {
            Ok(()) => is_told = false,
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    eprintln!("webserver: write the log: {error}");
                }
                if error.kind() == io::ErrorKind::BrokenPipe {
                    // Nobody reads it, and nobody will.
                    return Err(error);
                }
                lost.fetch_add(count + left_out, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(buf)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Has no room for the first piece.
    struct Full(Shared, bool);

    impl Write for Full {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.1, false) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(buf)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_full_disk_it_goes_on_and_says_what_is_missing() {
        let out = Shared::default();
        rendez::run(|| {
            let (log, end) = Log::on(Full(out.clone(), true));
            log.write("lost\n".into());
            // Until that has been tried.
            while log.lost.load(Ordering::Relaxed) == 0 {
                rendez::yield_now();
            }
            log.write("written\n".into());
            drop(log);
            end.join().unwrap().unwrap();
        });
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "written\n(1 lines were left out)\n");
    }

    #[test]
    fn every_line_is_written_or_counted() {
        let out = Shared::default();
        let lines = WAITING * 2;
        rendez::run(|| {
            let (log, end) = Log::on(out.clone());
            (0..lines).for_each(|n| log.write(format!("{n}\n")));
            drop(log);
            end.join().unwrap().unwrap();
        });
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let (mut written, mut lost) = (0, 0);
        for line in text.lines() {
            match line.strip_prefix('(').and_then(|line| line.split_once(' ')) {
                Some((number, _)) => lost += number.parse::<usize>().unwrap(),
                None => written += 1,
            }
        }
        assert!(written >= WAITING && written + lost <= lines, "{written} {lost}");
    }
}

//! The middle stage: digesters, all alike, side by side, each with a buffer and a hasher of its own.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use sha2::Digest as _;

use crate::interrupt::Stop;
use crate::progress::Progress;
use crate::report::{Digest, Problem, Report};
use crate::walk::{self, Found};

/// Large enough that a system call costs little beside the hashing of what it brings, small enough for the
/// second-level cache.
const BUFFER: usize = 128 * 1024;

/// The algorithms on offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Algorithm {
    /// SHA-2 with 256 bits, as sha256sum
    Sha256,
    /// BLAKE3 with 256 bits, as b3sum
    Blake3,
}

/// The state of an algorithm, used for one file after another.
#[derive(Debug)]
enum Hasher {
    Sha256(sha2::Sha256),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Hasher {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(sha2::Sha256::new()),
            Algorithm::Blake3 => Hasher::Blake3(Box::default()),
        }
    }

    fn reset(&mut self) {
        match self {
            Hasher::Sha256(state) => state.reset(),
            Hasher::Blake3(state) => {
                state.reset();
            }
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(state) => state.update(bytes),
            Hasher::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    fn finish(&mut self) -> Digest {
        match self {
            Hasher::Sha256(state) => state.finalize_reset().into(),
            Hasher::Blake3(state) => state.finalize().into(),
        }
    }
}

/// One digester: its buffer and hasher serve all its files.
#[derive(Debug)]
pub(crate) struct Digester {
    hasher: Hasher,
    buffer: Box<[u8]>,
    progress: Progress,
    stop: Arc<Stop>,
}

impl Digester {
    pub(crate) fn new(algorithm: Algorithm, progress: Progress, stop: Arc<Stop>) -> Digester {
        Digester { hasher: Hasher::new(algorithm), buffer: vec![0; BUFFER].into(), progress, stop }
    }

    /// What there is to say about what was found; `None` if stopped before that is known.
    pub(crate) fn report(&mut self, Found { path, outcome }: Found) -> Option<Report> {
        let digest = outcome.and_then(|()| self.digest(&path)).transpose()?;
        Some(Report { path, outcome: digest })
    }

    /// The digest of what is read from the file up to its end; `None` if stopped before.
    fn digest(&mut self, path: &Path) -> Result<Option<Digest>, Problem> {
        let mut file = open(path)?;
        self.hasher.reset();
        loop {
            if self.stop.is_set() {
                return Ok(None);
            }
            match file.read(&mut self.buffer) {
                Ok(0) => return Ok(Some(self.hasher.finish())),
                Ok(count) => {
                    self.hasher.update(&self.buffer[..count]);
                    self.progress.bytes(count);
                    // Reading and hashing hold the worker: let its other goroutines have it between two
                    // buffers.
                    rendez::yield_now();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Opens a regular file, and nothing else.
///
/// The walker took it for one, but by now something else may bear the name: opening a named pipe would wait
/// for a writer, perhaps for ever. So it is opened without waiting, which changes nothing for a regular file,
/// and asked once more.
fn open(path: &Path) -> Result<File, Problem> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path)?;
    let file_type = file.metadata()?.file_type();
    if file_type.is_file() { Ok(file) } else { Err(Problem::special(walk::special(file_type))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(algorithm: Algorithm, chunks: &[&[u8]]) -> String {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(b"what the file before left behind");
        hasher.reset();
        chunks.iter().for_each(|chunk| hasher.update(chunk));
        hasher.finish().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digests_are_the_published_ones() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(Algorithm::Sha256, &[]), empty);
        assert_eq!(digest(Algorithm::Sha256, &[b"a", b"", b"bc"]), abc);
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        let abc = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        assert_eq!(digest(Algorithm::Blake3, &[]), empty);
        assert_eq!(digest(Algorithm::Blake3, &[b"a", b"", b"bc"]), abc);
    }

    #[test]
    #[cfg(unix)]
    fn a_named_pipe_that_took_the_place_of_a_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(open(&pipe).unwrap_err().text(), "not a regular file but a named pipe");
        assert_eq!(open(directory.path()).unwrap_err().text(), "not a regular file but a directory");
    }
}

//! What is in a directory.

use super::{FileType, Metadata, at};
use crate::{blocking, fd::named};
use std::{
    collections::VecDeque,
    ffi::OsString,
    fmt, fs, io,
    os::unix::fs::{DirBuilderExt, DirEntryExt},
    path::{Path, PathBuf},
};

/// As many entries are read in one call.
const BATCH: usize = 64;

/// What is in a directory, in no order. The entries are read some at a time.
///
/// # Errors
/// The system's, named.
///
/// # Blocking
/// See the [module](super); also the iterator's.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// for entry in rendez::fs::read_dir(".")? {
///     println!("{}", entry?.path().display());
/// }
/// # Ok(())
/// # }
/// ```
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let dir = at("read directory", path, |path| fs::read_dir(path))?;
    Ok(ReadDir { path: path.into(), dir: Some(dir), read: VecDeque::new() })
}

/// The iterator of [`read_dir`].
pub struct ReadDir {
    path: PathBuf,
    /// Until it has come to its end.
    dir: Option<fs::ReadDir>,
    read: VecDeque<io::Result<DirEntry>>,
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        if self.read.is_empty()
            && let Some(dir) = &mut self.dir
        {
            let read = &mut self.read;
            let ended = blocking(|| {
                read.extend(dir.by_ref().take(BATCH).map(|entry| {
                    let entry = entry?;
                    let file_type = entry.file_type().ok();
                    Ok(DirEntry { entry, file_type })
                }));
                read.len() < BATCH
            });
            if ended {
                self.dir = None;
            }
        }
        let entry = self.read.pop_front()?;
        Some(entry.map_err(|error| named("read directory", &self.path.display(), error)))
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadDir").field(&self.path).finish()
    }
}

/// An entry of a directory.
pub struct DirEntry {
    entry: fs::DirEntry,
    /// Asked at once, since most file systems tell it with the name.
    file_type: Option<FileType>,
}

impl DirEntry {
    /// The directory's path and the entry's name.
    pub fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// The name alone.
    pub fn file_name(&self) -> OsString {
        self.entry.file_name()
    }

    /// Its number in its file system.
    pub fn ino(&self) -> u64 {
        self.entry.ino()
    }

    /// What is known of it; of a symbolic link itself.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn metadata(&self) -> io::Result<Metadata> {
        let entry = &self.entry;
        blocking(|| entry.metadata()).map_err(|error| named("stat", &self.path().display(), error))
    }

    /// What it is.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// Hardly ever: it has been found out with the name.
    pub fn file_type(&self) -> io::Result<FileType> {
        match self.file_type {
            Some(file_type) => Ok(file_type),
            None => {
                let entry = &self.entry;
                blocking(|| entry.file_type()).map_err(|error| named("stat", &self.path().display(), error))
            }
        }
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}

/// How to make a directory: [`std::fs::DirBuilder`], whose `create` is made off the workers.
///
/// # Examples
/// ```
/// use rendez::fs::{self, DirBuilder};
/// # fn main() -> std::io::Result<()> {
/// let path = std::env::temp_dir().join(format!("rendez-dir-example-{}", std::process::id()));
/// DirBuilder::new().recursive(true).mode(0o700).create(path.join("inner"))?;
/// assert!(fs::metadata(&path)?.is_dir());
/// fs::remove_dir_all(path)
/// # }
/// ```
#[derive(Debug)]
pub struct DirBuilder(fs::DirBuilder);

impl DirBuilder {
    /// With what the system gives a directory by default.
    #[allow(clippy::new_without_default, reason = "as in the standard library")]
    pub fn new() -> DirBuilder {
        DirBuilder(fs::DirBuilder::new())
    }

    /// Whether those above it are made too, and it is no error if it is there.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.0.recursive(recursive);
        self
    }

    /// Who may do what with it, as for `chmod`.
    pub fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.0.mode(mode);
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        at("create directory", path.as_ref(), |path| self.0.create(path))
    }
}

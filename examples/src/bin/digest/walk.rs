//! The first stage: finds the files, in the order of the output.
//!
//! # The order of whole paths from one directory at a time
//! The output is sorted by the bytes of whole paths. Going through a tree depth first, each directory's
//! entries by name, gives another order: the directory `a` comes before `a.txt`, and so `a/x` does, although
//! `a.txt` < `a/x` (`.` is 0x2e, `/` 0x2f). The cure: a directory's *key* is its name with `/` after it, a
//! file's key its name, and entries are visited by key. No key in a directory is the beginning of another,
//! except of a file's that leads to nothing (a name holds no `/`), so two keys differ at some byte; every
//! path below an entry begins with its key, so all of them differ there alike. Hence depth first is sorted.
//!
//! Whether an entry is a directory must then be known before anything is visited. The type is in the
//! directory's listing; for symbolic links alone it takes a `stat`.
//!
//! # Several paths
//! The result is the sorted union of what each PATH gives, with what two of them reach standing twice (as
//! `find A B` has it). Each PATH is walked by itself and the walks are merged. Since all that a walk gives
//! begins with its PATH's key, a walk is started only once the merge has come to that key: of PATHs that
//! don't overlap (`digest *`), one is open at a time.
//!
//! # What is held in memory
//! For each directory between a PATH and the place of the walk: its entries that are still to be visited, as
//! names. Listings are read whole, so no directory stays open, however deep the tree.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

use crate::report::Problem;

/// A file to digest, or a path that can't be.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) outcome: Result<(), Problem>,
}

/// The files under several paths: the merge of the walks, sorted by whole path.
#[derive(Debug)]
pub(crate) struct Forest {
    /// Paths that the merge has not come to, the next one last.
    ahead: Vec<Root>,
    /// The walks that are under way, by what each found last.
    under_way: BinaryHeap<Reverse<Lead>>,
}

/// A path as given.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    is_dir: bool,
    /// Its place on the command line, to keep equals in order.
    index: usize,
}

/// A walk, and the find of its which is next in line.
#[derive(Debug)]
struct Lead {
    found: Found,
    index: usize,
    rest: Walk,
}

impl Forest {
    pub(crate) fn new(paths: Vec<PathBuf>) -> Forest {
        let root = |(index, path): (usize, PathBuf)| Root { is_dir: path.is_dir(), path, index };
        let mut ahead: Vec<Root> = paths.into_iter().enumerate().map(root).collect();
        ahead.sort_unstable_by(|a, b| b.key().cmp(&a.key()).then(b.index.cmp(&a.index)));
        Forest { ahead, under_way: BinaryHeap::new() }
    }

    /// Whether the next path may give something that comes before all that has been found.
    fn next_root_is_due(&self) -> bool {
        match (self.ahead.last(), self.under_way.peek()) {
            (Some(root), Some(Reverse(lead))) => root.key() <= lead.key(),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    fn advance(&mut self, index: usize, mut walk: Walk) {
        if let Some(found) = walk.next() {
            self.under_way.push(Reverse(Lead { found, index, rest: walk }));
        }
    }
}

impl Iterator for Forest {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        while self.next_root_is_due() {
            let root = self.ahead.pop()?;
            self.advance(root.index, Walk::new(root.path));
        }
        let Reverse(Lead { found, index, rest }) = self.under_way.pop()?;
        self.advance(index, rest);
        Some(found)
    }
}

impl Root {
    fn key(&self) -> Key<'_> {
        Key::new(self.path.as_os_str(), self.is_dir)
    }
}

impl Lead {
    fn key(&self) -> Key<'_> {
        Key::new(self.found.path.as_os_str(), false)
    }
}

impl Ord for Lead {
    fn cmp(&self, other: &Lead) -> Ordering {
        self.key().cmp(&other.key()).then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Lead {
    fn partial_cmp(&self, other: &Lead) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Lead {
    fn eq(&self, other: &Lead) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Lead {}

/// What the module's head calls a key: the bytes of a name or path, and for a directory a `/` after them.
#[derive(Debug, Clone, Copy)]
struct Key<'a> {
    bytes: &'a [u8],
    /// The `/`, unless the bytes end with one.
    end: &'static [u8],
}

impl<'a> Key<'a> {
    fn new(name: &'a OsStr, is_dir: bool) -> Key<'a> {
        let bytes = name.as_encoded_bytes();
        Key { bytes, end: if is_dir && !bytes.ends_with(b"/") { b"/" } else { b"" } }
    }
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The fast comparison of slices decides nearly always; then one of the two rests is the end at most.
        let common = self.bytes.len().min(other.bytes.len());
        let rest = |key: &Self| key.bytes[common..].iter().chain(key.end);
        self.bytes[..common].cmp(&other.bytes[..common]).then_with(|| rest(self).cmp(rest(other)))
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key<'_> {}

/// The files under one path, sorted by whole path.
#[derive(Debug)]
struct Walk {
    root: Option<PathBuf>,
    /// The directories from the root down to where the walk is.
    open: Vec<Directory>,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    identity: Identity,
    /// What is still to be visited.
    entries: vec::IntoIter<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: Box<OsStr>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    File,
    Directory,
    Unfit(Problem),
}

impl Walk {
    fn new(root: PathBuf) -> Walk {
        Walk { root: Some(root), open: Vec::new() }
    }

    /// Visits a path: a file or a problem is found, a directory is entered.
    fn visit(&mut self, path: PathBuf, kind: Kind) -> Option<Found> {
        let outcome = match kind {
            Kind::File => Ok(()),
            Kind::Unfit(problem) => Err(problem),
            // On success there is nothing to tell yet. A listing that broke off is told, and what it gave is
            // visited.
            Kind::Directory => Err(self.enter(&path)?),
        };
        Some(Found { path, outcome })
    }

    /// Reads the directory and opens it for the walk; gives the problem, if there was one.
    fn enter(&mut self, path: &Path) -> Option<Problem> {
        let identity = match fs::metadata(path).and_then(|metadata| identity(path, &metadata)) {
            Ok(identity) => identity,
            Err(error) => return Some(error.into()),
        };
        if let Some(ancestor) = self.open.iter().find(|ancestor| ancestor.identity == identity) {
            return Some(Problem::file_system_loop(&ancestor.path));
        }
        let (entries, problem) = list(path);
        self.open.push(Directory { path: path.to_owned(), identity, entries: entries.into_iter() });
        problem
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if let Some(root) = self.root.take() {
            let kind =
                fs::metadata(&root).map_or_else(|error| Kind::Unfit(error.into()), |m| kind(m.file_type()));
            if let Some(found) = self.visit(root, kind) {
                return Some(found);
            }
        }
        loop {
            let directory = self.open.last_mut()?;
            let Some(entry) = directory.entries.next() else {
                self.open.pop();
                continue;
            };
            let path = directory.path.join(&*entry.name);
            if let Some(found) = self.visit(path, entry.kind) {
                return Some(found);
            }
        }
    }
}

/// The entries of a directory, sorted by key. If the system fails midway: those that it gave, and why.
fn list(path: &Path) -> (Vec<Entry>, Option<Problem>) {
    /// A listing is system calls without end: the others on this worker get their turn now and then.
    const BETWEEN_YIELDS: usize = 256;

    let mut entries = Vec::new();
    let mut read = || -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(link) if link.is_symlink() => fs::metadata(entry.path())
                    .map_or_else(|error| Kind::Unfit(error.into()), |m| kind(m.file_type())),
                Ok(file_type) => kind(file_type),
                Err(error) => Kind::Unfit(error.into()),
            };
            entries.push(Entry { name: entry.file_name().into(), kind });
            if entries.len() % BETWEEN_YIELDS == 0 {
                rendez::yield_now();
            }
        }
        Ok(())
    };
    let problem = read().err().map(Problem::from);
    entries.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
    (entries, problem)
}

impl Entry {
    fn key(&self) -> Key<'_> {
        Key::new(&self.name, matches!(self.kind, Kind::Directory))
    }
}

fn kind(file_type: FileType) -> Kind {
    if file_type.is_file() {
        Kind::File
    } else if file_type.is_dir() {
        Kind::Directory
    } else {
        Kind::Unfit(Problem::special(special(file_type)))
    }
}

/// What a file that is neither regular nor a directory is called.
#[cfg(unix)]
pub(crate) fn special(file_type: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match () {
        () if file_type.is_dir() => "a directory",
        () if file_type.is_fifo() => "a named pipe",
        () if file_type.is_socket() => "a socket",
        () if file_type.is_block_device() => "a block device",
        () if file_type.is_char_device() => "a character device",
        () => "something else",
    }
}

#[cfg(not(unix))]
pub(crate) fn special(_: FileType) -> &'static str {
    "something else"
}

/// What tells a directory from all others, by whatever path it is reached.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(_: &Path, metadata: &Metadata) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(not(unix))]
fn identity(path: &Path, _: &Metadata) -> io::Result<Identity> {
    path.canonicalize()
}

#[cfg(test)]
mod tests;

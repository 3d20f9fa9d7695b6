//! Files, with the standard library's names: each call is made off the workers, so that a slow disk holds up nobody else.
//!
//! The system has no way to be told when a file is ready, so every operation here is a [`blocking`](crate::blocking()) call: it costs a hand-over
//! to a thread of the pool and back (some tens of microseconds when that thread slept), can't be interrupted, and on an OS thread is made at
//! once. Read and write by large pieces: [`std::io::BufReader`] and [`BufWriter`](std::io::BufWriter) around a [`File`] do.
//!
//! Errors name the operation and the path; the system's own is their [`source`](std::error::Error::source).
//!
//! # Examples
//! ```
//! use rendez::fs;
//!
//! rendez::run(|| -> std::io::Result<()> {
//!     let path = std::env::temp_dir().join(format!("rendez-fs-example-{}", std::process::id()));
//!     fs::write(&path, "some text")?;
//!     assert_eq!(fs::read_to_string(&path)?, "some text");
//!     assert_eq!(fs::metadata(&path)?.len(), 9);
//!     fs::remove_file(&path)?;
//!     let error = fs::read(&path).unwrap_err();
//!     assert!(error.to_string().starts_with(&format!("read {}: ", path.display())));
//!     Ok(())
//! })
//! # .unwrap();
//! ```
#![forbid(unsafe_code)]

mod dir;
mod file;
mod lock;

pub use dir::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use file::{File, OpenOptions};
pub use lock::TryLockError;
pub use std::fs::{FileTimes, FileType, Metadata, Permissions};

use crate::{blocking, fd::named};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Makes a call that concerns a path.
fn at<R: Send>(
    operation: &'static str,
    path: &Path,
    call: impl FnOnce(&Path) -> io::Result<R> + Send,
) -> io::Result<R> {
    blocking(|| call(path)).map_err(|error| named(operation, &path.display(), error))
}

/// Makes a call that concerns two paths.
fn between<R: Send>(
    operation: &'static str,
    from: &Path,
    to: &Path,
    call: impl FnOnce(&Path, &Path) -> io::Result<R> + Send,
) -> io::Result<R> {
    blocking(|| call(from, to))
        .map_err(|error| named(operation, &format_args!("{} to {}", from.display(), to.display()), error))
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident -> $result:ty, $operation:literal;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// The system's, named.
            ///
            /// # Blocking
            /// See the [module](self).
            pub fn $name<P: AsRef<Path>>(path: P) -> io::Result<$result> {
                at($operation, path.as_ref(), |path| fs::$name(path))
            }
        )*
    };
}

calls! {
    /// The whole contents of a file.
    read -> Vec<u8>, "read";
    /// The whole contents of a file, which must be UTF-8.
    read_to_string -> String, "read";
    /// Makes a directory.
    create_dir -> (), "create directory";
    /// Makes a directory and those above it.
    create_dir_all -> (), "create directory";
    /// Removes an empty directory.
    remove_dir -> (), "remove directory";
    /// Removes a directory with all that is in it.
    remove_dir_all -> (), "remove directory";
    /// Removes a file.
    remove_file -> (), "remove";
    /// What is known of a file; of what a symbolic link leads to.
    metadata -> Metadata, "stat";
    /// What is known of a file, or of a symbolic link.
    symlink_metadata -> Metadata, "stat";
    /// The path without links, from the root.
    canonicalize -> PathBuf, "canonicalize";
    /// What a symbolic link leads to.
    read_link -> PathBuf, "read link";
    /// Whether there is something.
    exists -> bool, "stat";
}

/// Makes `contents` the contents of a file, which is made or replaced.
///
/// # Errors
/// The system's, named: also that the disk is full, and then part of it may have been written.
///
/// # Blocking
/// See the [module](self).
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let contents = contents.as_ref();
    at("write", path.as_ref(), |path| fs::write(path, contents))
}

/// Copies a file with its permissions; how many bytes there were.
///
/// # Errors
/// The system's, named.
///
/// # Blocking
/// See the [module](self).
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    between("copy", from.as_ref(), to.as_ref(), |from, to| fs::copy(from, to))
}

/// Renames, and replaces what was there.
///
/// # Errors
/// The system's, named.
///
/// # Blocking
/// See the [module](self).
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    between("rename", from.as_ref(), to.as_ref(), |from, to| fs::rename(from, to))
}

/// Gives a file another name.
///
/// # Errors
/// The system's, named.
///
/// # Blocking
/// See the [module](self).
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    between("link", original.as_ref(), link.as_ref(), |original, link| fs::hard_link(original, link))
}

/// Makes a symbolic link.
///
/// # Errors
/// The system's, named.
///
/// # Blocking
/// See the [module](self).
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    between("link", original.as_ref(), link.as_ref(), |original, link| {
        std::os::unix::fs::symlink(original, link)
    })
}

/// Changes who may do what with a file.
///
/// # Errors
/// The system's, named.
///
/// # Blocking
/// See the [module](self).
pub fn set_permissions<P: AsRef<Path>>(path: P, permissions: Permissions) -> io::Result<()> {
    at("change permissions of", path.as_ref(), |path| fs::set_permissions(path, permissions))
}

/// Changes to whom a file belongs, as far as they are given; of what a symbolic link leads to.
///
/// # Errors
/// The system's, named.
///
/// # Blocking
/// See the [module](self).
pub fn chown<P: AsRef<Path>>(path: P, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    at("change owner of", path.as_ref(), |path| std::os::unix::fs::chown(path, user, group))
}

/// [`chown`] of a symbolic link itself.
///
/// # Errors
/// The system's, named.
///
/// # Blocking
/// See the [module](self).
pub fn lchown<P: AsRef<Path>>(path: P, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    at("change owner of", path.as_ref(), |path| std::os::unix::fs::lchown(path, user, group))
}

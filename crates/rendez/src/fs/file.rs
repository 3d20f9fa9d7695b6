//! An open file.

use super::{FileTimes, Metadata, Permissions, at};
use crate::{blocking, fd::named};
use std::{
    fmt, fs,
    io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::fs::{FileExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::SystemTime,
};

/// An open file: [`std::fs::File`] whose calls are made off the workers. See the [module](super).
///
/// # Examples
/// ```
/// use rendez::fs::File;
/// use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
///
/// rendez::run(|| -> std::io::Result<()> {
///     let path = std::env::temp_dir().join(format!("rendez-file-example-{}", std::process::id()));
///     let mut file = BufWriter::new(File::options().read(true).write(true).create_new(true).open(&path)?);
///     for line in 1..=3 {
///         writeln!(file, "{line}")?;
///     }
///     let mut file = file.into_inner()?;
///     file.seek(SeekFrom::Start(0))?;
///     let mut text = String::new();
///     file.read_to_string(&mut text)?;
///     assert_eq!(text, "1\n2\n3\n");
///     rendez::fs::remove_file(&path)
/// })
/// # .unwrap();
/// ```
pub struct File {
    /// Shared by its clones.
    file: Arc<fs::File>,
    path: Arc<Path>,
}

impl File {
    /// Opens for reading.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<File> {
        File::options().read(true).open(path)
    }

    /// Opens for writing; makes the file, or empties it.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<File> {
        File::options().write(true).create(true).truncate(true).open(path)
    }

    /// Makes a file and opens it for reading and writing; there must be none.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        File::options().read(true).write(true).create_new(true).open(path)
    }

    /// How to open: all choices that there are.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Makes a call on the pool.
    pub(super) fn call<R: Send>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&fs::File) -> io::Result<R> + Send,
    ) -> io::Result<R> {
        let file = &*self.file;
        blocking(|| call(file)).map_err(|error| named(operation, &self.path.display(), error))
    }

    /// Has all that was written reach the disk.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn sync_all(&self) -> io::Result<()> {
        self.call("sync", fs::File::sync_all)
    }

    /// Has the contents reach the disk.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn sync_data(&self) -> io::Result<()> {
        self.call("sync", fs::File::sync_data)
    }

    /// Cuts it, or fills it up with zeros, to this length.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.call("set length of", |file| file.set_len(len))
    }

    /// What is known of it.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.call("stat", fs::File::metadata)
    }

    /// Changes who may do what with it.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.call("change permissions of", |file| file.set_permissions(permissions))
    }

    /// Reads from a place, without moving where the next read is.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call("read", |file| file.read_at(buf, offset))
    }

    /// Writes to a place, without moving where the next write is.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.call("write", |file| file.write_at(buf, offset))
    }

    /// Fills the whole buffer from a place, in one call of the pool.
    ///
    /// # Errors
    /// The system's, named; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if there is less.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.call("read", |file| file.read_exact_at(buf, offset))
    }

    /// Writes all of it to a place, in one call of the pool.
    ///
    /// # Errors
    /// The system's, named; part of it may have been written.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.call("write", |file| file.write_all_at(buf, offset))
    }

    /// Changes when it was last read and changed, as it is told.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.call("set times of", |file| file.set_times(times))
    }

    /// Changes when it was last changed, as it is told.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Another handle of the same open file.
    ///
    /// # Errors
    /// None; it is there to be like the standard library's.
    pub fn try_clone(&self) -> io::Result<File> {
        Ok(File { file: self.file.clone(), path: self.path.clone() })
    }
}

impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.call("read", |mut file| file.read(buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.call("read", |mut file| file.read_vectored(bufs))
    }

    /// In one call, and not piece by piece.
    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.call("read", |mut file| file.read_to_end(buf))
    }

    /// In one call, and not piece by piece.
    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.call("read", |mut file| file.read_to_string(buf))
    }

    /// In one call, and not piece by piece.
    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.call("read", |mut file| file.read_exact(buf))
    }
}

impl Write for &File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.call("write", |mut file| file.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.call("write", |mut file| file.write_vectored(bufs))
    }

    /// In one call, and not piece by piece.
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.call("write", |mut file| file.write_all(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // It touches no disk.
        (&*self.file).seek(to).map_err(|error| named("seek in", &self.path.display(), error))
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(buf)
    }
}

impl Write for File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        (&*self).write_all(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        (&*self).seek(to)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> File {
        File { file: Arc::new(file), path: Path::new("(a file that was opened elsewhere)").into() }
    }
}

/// # Panics
/// If there are other handles and the process is out of descriptors.
impl From<File> for fs::File {
    fn from(file: File) -> fs::File {
        Arc::try_unwrap(file.file)
            .unwrap_or_else(|shared| shared.try_clone().expect("a duplicate of a descriptor"))
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> OwnedFd {
        fs::File::from(file).into()
    }
}

/// The standard input, output or error of a process.
impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        fs::File::from(file).into()
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        fs::File::from(fd).into()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

/// How to open a file: [`std::fs::OpenOptions`], whose `open` is made off the workers.
#[derive(Clone, Debug)]
pub struct OpenOptions(fs::OpenOptions);

impl From<fs::OpenOptions> for OpenOptions {
    fn from(options: fs::OpenOptions) -> OpenOptions {
        OpenOptions(options)
    }
}

impl OpenOptions {
    /// Nothing chosen.
    #[allow(clippy::new_without_default, reason = "as in the standard library")]
    pub fn new() -> OpenOptions {
        OpenOptions(fs::OpenOptions::new())
    }

    /// To be read.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.0.read(read);
        self
    }

    /// To be written.
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.0.write(write);
        self
    }

    /// To be written at its end.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.0.append(append);
        self
    }

    /// To be emptied.
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.0.truncate(truncate);
        self
    }

    /// To be made if there is none.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.0.create(create);
        self
    }

    /// To be made; there must be none.
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.0.create_new(create_new);
        self
    }

    /// Who may do what with a file that is made, as for `chmod`.
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.0.mode(mode);
        self
    }

    /// Other flags of the system's `open`: `O_DIRECT`, `O_NOFOLLOW`, ...
    pub fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.0.custom_flags(flags);
        self
    }

    /// Opens.
    ///
    /// # Errors
    /// The system's, named.
    ///
    /// # Blocking
    /// See the [module](super).
    pub fn open<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let path: PathBuf = path.as_ref().into();
        let file = at("open", &path, |path| self.0.open(path))?;
        Ok(File { file: Arc::new(file), path: path.into() })
    }
}

//! Child processes, whose end and whose pipes are waited for as everything else is: by goroutines, OS threads and async
//! tasks, in a `select!`, for as long as a context lasts.
//!
//! The end of a process is told by a descriptor of the system's for it (`pidfd`, Linux 5.3); on older ones a thread of the
//! pool waits for it.
//!
//! # Examples
//! ```
//! use rendez::{Event, process::{Command, Stdio}, select, time};
//! use std::{io::{Read, Write}, time::Duration};
//!
//! rendez::run(|| -> std::io::Result<()> {
//!     let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
//!     child.stdin.take().unwrap().write_all(b"hello")?;
//!     let mut text = String::new();
//!     child.stdout.take().unwrap().read_to_string(&mut text)?;
//!     assert_eq!(text, "hello");
//!     let status = select! {
//!         wait(child.wait_event()) -> status => status?,
//!         wait(time::timer(Duration::from_secs(60))) -> _ => {
//!             child.kill()?;
//!             child.wait()?
//!         }
//!     };
//!     assert!(status.success());
//!     Ok(())
//! })
//! # .unwrap();
//! ```

use crate::{
    Event,
    blocking::{Kind, offload},
    fd::{Fd, IoEvent, Side, named},
    net::stream::{Endpoint, Readable, Writable, reads, writes},
    select::EventFuture,
};
use std::{
    ffi::OsStr,
    fmt, fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process,
    sync::{Mutex, PoisonError},
};

pub use std::process::{CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio};

/// How to start a process: [`std::process::Command`], whose children can be waited for.
///
/// # Examples
/// ```
/// let output = rendez::run(|| rendez::process::Command::new("echo").arg("hello").output())?;
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Command {
    command: process::Command,
    /// Whether standard input, output and error were chosen.
    chosen: [bool; 3],
}

impl Command {
    /// The program of that name, or at that path.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        process::Command::new(program).into()
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Command {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Command {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.command.env(key, value);
        self
    }

    /// Sets variables of its environment.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Command {
        self.command.envs(vars);
        self
    }

    /// Takes a variable out of its environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Command {
        self.command.env_remove(key);
        self
    }

    /// Takes all variables out of its environment.
    pub fn env_clear(&mut self) -> &mut Command {
        self.command.env_clear();
        self
    }

    /// Where it starts.
    pub fn current_dir(&mut self, dir: impl AsRef<Path>) -> &mut Command {
        self.command.current_dir(dir);
        self
    }

    /// Its standard input; by default this process's, but for [`output`](Self::output), nothing.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Command {
        self.command.stdin(stdin);
        self.chosen[0] = true;
        self
    }

    /// Its standard output; by default this process's.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Command {
        self.command.stdout(stdout);
        self.chosen[1] = true;
        self
    }

    /// Its standard error; by default this process's.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Command {
        self.command.stderr(stderr);
        self.chosen[2] = true;
        self
    }

    /// What it sees as its own name, in place of the program's.
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Command {
        self.command.arg0(arg);
        self
    }

    /// As which user it runs.
    pub fn uid(&mut self, id: u32) -> &mut Command {
        self.command.uid(id);
        self
    }

    /// As which group it runs.
    pub fn gid(&mut self, id: u32) -> &mut Command {
        self.command.gid(id);
        self
    }

    /// In which group of processes it runs; 0: in one of its own, so that a terminal's Ctrl-C does not end it.
    pub fn process_group(&mut self, group: i32) -> &mut Command {
        self.command.process_group(group);
        self
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        self.command.get_program()
    }

    /// The arguments.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.command.get_args()
    }

    /// What was set in the environment, and, with `None`, what was taken out of it.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.command.get_envs()
    }

    /// Where it starts, if that was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.command.get_current_dir()
    }

    /// The standard library's.
    pub fn as_std(&self) -> &process::Command {
        &self.command
    }

    /// What is set here and has no method, as what is done between fork and exec. (Standard input, output and error are chosen by the methods above.)
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.command
    }

    /// Starts it.
    ///
    /// # Errors
    /// The system's, named.
    pub fn spawn(&mut self) -> io::Result<Child> {
        // The child belongs to the thread that starts it (its parent's death is told when that ends), so this is done here.
        let child = self.command.spawn().and_then(|child| Child::of(child, pidfd));
        child.map_err(|error| named("start", &self.command.get_program().display(), error))
    }

    /// Starts it and waits until it has ended.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread.
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Starts it, and collects what it writes until it has ended. It has nothing to read, unless its standard input was chosen.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread.
    pub fn output(&mut self) -> io::Result<Output> {
        let [stdin, stdout, stderr] = self.chosen;
        if !stdin {
            self.command.stdin(Stdio::null());
        }
        if !stdout {
            self.command.stdout(Stdio::piped());
        }
        if !stderr {
            self.command.stderr(Stdio::piped());
        }
        self.spawn()?.wait_with_output()
    }
}

impl From<process::Command> for Command {
    fn from(command: process::Command) -> Command {
        Command { command, chosen: [false; 3] }
    }
}

/// A process, and what becomes readable when it has ended.
#[derive(Debug)]
pub struct Exit {
    end: OwnedFd,
    child: Mutex<process::Child>,
}

impl Exit {
    fn child(&self) -> std::sync::MutexGuard<'_, process::Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Exit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// The system's descriptor for a process.
fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else's. (It closes on exec by itself.)
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Something that becomes readable when the process has ended, by a thread that waits for that.
fn end_by_thread(pid: u32) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    drop(offload(Kind::Call, move || {
        // It is left to be waited for by its parent, so its number is not given to another one meanwhile.
        // SAFETY: the place for the answer is there.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            while libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT) != 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
        drop(theirs);
    }));
    Ok(ours.into())
}

/// A process that was started: [`std::process::Child`] whose end can be waited for in every way.
///
/// Dropping it neither ends the process nor waits for it.
pub struct Child {
    /// What it reads, if that was to be a pipe.
    pub stdin: Option<ChildStdin>,
    /// What it writes, if that was to be a pipe.
    pub stdout: Option<ChildStdout>,
    /// What it writes as errors, if that was to be a pipe.
    pub stderr: Option<ChildStderr>,
    exit: Fd<Exit>,
}

/// The event of [`Child::wait_event`].
pub type WaitEvent<'a> = IoEvent<'a, Exit, (), ExitStatus>;

impl Child {
    fn of(mut child: process::Child, end: impl FnOnce(u32) -> io::Result<OwnedFd>) -> io::Result<Child> {
        let pipe = |fd: Option<OwnedFd>, name| fd.map(|fd| Pipe::of(fd, name)).transpose();
        let stdin = pipe(child.stdin.take().map(Into::into), "standard input of a process")?;
        let stdout = pipe(child.stdout.take().map(Into::into), "standard output of a process")?;
        let stderr = pipe(child.stderr.take().map(Into::into), "standard error of a process")?;
        let end = end(child.id()).or_else(|error| match error.raw_os_error() {
            // Not there, or not allowed.
            Some(libc::ENOSYS | libc::EPERM) => end_by_thread(child.id()),
            _ => Err(error),
        });
        let end = match end {
            Ok(end) => end,
            // Nobody could wait for it.
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        Ok(Child {
            stdin: stdin.map(|inner| ChildStdin { inner }),
            stdout: stdout.map(|inner| ChildStdout { inner }),
            stderr: stderr.map(|inner| ChildStderr { inner }),
            exit: Fd::new(Exit { end, child: Mutex::new(child) }),
        })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.exit.io().child().id()
    }

    /// Has the system end it (`SIGKILL`).
    ///
    /// # Errors
    /// The system's. None if it has ended and has not been waited for.
    pub fn kill(&self) -> io::Result<()> {
        self.exit.io().child().kill()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The system's.
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.exit.io().child().try_wait()
    }

    /// Closes the pipe to it, if that is still here, and waits until it has ended.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread.
    ///
    /// # Cancellation
    /// A runtime's shutdown unwinds the goroutine; the process goes on.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.wait_event().wait()
    }

    /// The process's end as an event. (The pipe to it is left open.)
    pub fn wait_event(&self) -> WaitEvent<'_> {
        let name = |exit: &Exit, _: &(), error| named("wait for process", &exit.child().id(), error);
        IoEvent::new(&self.exit, Side::Read, name, (), |exit, ()| {
            let status = exit.child().try_wait()?;
            Ok((status.ok_or(io::ErrorKind::WouldBlock)?, false))
        })
    }

    /// [`wait`](Self::wait)'s twin for async tasks. (The pipe to it is left open.)
    pub fn wait_async(&self) -> EventFuture<WaitEvent<'_>> {
        self.wait_event().wait_async()
    }

    /// Waits until it has ended, and collects what it writes to its pipes.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Blocking
    /// Parks the goroutine, or the OS thread.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        let collect = |pipe: Option<&mut dyn Read>| {
            let mut bytes = Vec::new();
            pipe.map_or(Ok(0), |pipe| pipe.read_to_end(&mut bytes)).map(|_| bytes)
        };
        drop(self.stdin.take());
        let (mut out, mut err) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = crate::scope(|s| {
            // Both at the same time: a process waits for whoever reads the other.
            let stderr = s.go(move || collect(err.as_mut().map(|pipe| pipe as &mut dyn Read)));
            (collect(out.as_mut().map(|pipe| pipe as &mut dyn Read)), stderr.join())
        });
        let stderr = stderr.map_err(|error| io::Error::other(error.to_string()))??;
        Ok(Output { status: self.wait()?, stdout: stdout?, stderr })
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// This process's end of a pipe.
#[derive(Debug)]
pub struct Pipe {
    file: fs::File,
    name: &'static str,
}

impl Pipe {
    fn of(fd: OwnedFd, name: &'static str) -> io::Result<Fd<Pipe>> {
        set_nonblocking(&fd, true)?;
        Ok(Fd::new(Pipe { file: fd.into(), name }))
    }
}

/// Of this end of a pipe alone.
fn set_nonblocking(fd: &OwnedFd, nonblocking: bool) -> io::Result<()> {
    let mut nonblocking = libc::c_int::from(nonblocking);
    // SAFETY: the call reads one number.
    match unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut nonblocking) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Endpoint for Pipe {
    fn named(&self, operation: &'static str, error: io::Error) -> io::Error {
        named(operation, self.name, error)
    }
}

impl Readable for Pipe {
    fn source(&self) -> impl Read {
        &self.file
    }
}

impl Writable for Pipe {
    fn sink(&self) -> impl Write {
        &self.file
    }
}

macro_rules! pipes {
    ($($(#[$doc:meta])* $name:ident $how:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name {
                inner: Fd<Pipe>,
            }

            $how!($name, Pipe);

            #[cfg(feature = "futures-io")]
            impl $name {
                pub(crate) fn fd(&self) -> &Fd<Pipe> {
                    &self.inner
                }
            }

            impl AsFd for $name {
                fn as_fd(&self) -> BorrowedFd<'_> {
                    self.inner.as_fd()
                }
            }

            impl AsRawFd for $name {
                fn as_raw_fd(&self) -> RawFd {
                    self.inner.as_fd().as_raw_fd()
                }
            }

            /// The descriptor, which blocks again.
            impl From<$name> for OwnedFd {
                fn from(pipe: $name) -> OwnedFd {
                    let fd = OwnedFd::from(pipe.inner.into_io().file);
                    set_nonblocking(&fd, false).expect("a pipe can be made blocking");
                    fd
                }
            }

            /// For another process, as the standard library's: what one writes the other reads.
            impl From<$name> for Stdio {
                fn from(pipe: $name) -> Stdio {
                    OwnedFd::from(pipe).into()
                }
            }
        )*
    };
}

pipes! {
    /// The pipe to a process. Dropping it is the end of what the process reads.
    ChildStdin writes;
    /// The pipe from a process.
    ChildStdout reads;
    /// The pipe from a process for its errors.
    ChildStderr reads;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_descriptor_for_it_a_thread_waits_for_the_process() {
        crate::run(|| {
            let child = process::Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let mut child = Child::of(child, |_| Err(io::Error::from_raw_os_error(libc::ENOSYS))).unwrap();
            let timed_out = child.wait_event().wait_timeout(std::time::Duration::from_millis(10));
            assert!(timed_out.is_none(), "it reads");
            assert!(child.wait().unwrap().success());
            assert!(child.try_wait().unwrap().is_some_and(|status| status.success()));
        });
    }
}

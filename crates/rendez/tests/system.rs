//! Files, child processes, signals and standard input.
#![cfg(not(loom))]

mod child;
mod setup;

use child::{end, is_child, must_succeed_in_a_child, start};
use rendez::{
    Context, Event, chan,
    fs::{self, File, TryLockError},
    go, go_async,
    process::{Command, Stdio},
    select,
    signal::{self, Signal},
    stdin,
    time::timer,
};
use setup::{in_every_world, in_time, runtime};
use std::{
    env,
    future::Future,
    io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{self, Wake, Waker},
    time::{Duration, Instant},
};

/// A directory of its own.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("rendez-system-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_are_written_read_and_found() {
    in_every_world(|| {
        let dir = Scratch::new();
        let path = dir.0.join("file");
        let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.write_all(b"hello, world").unwrap();
        file.seek(SeekFrom::Start(7)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "world");
        let mut four = [0; 4];
        assert_eq!(file.read_at(&mut four, 1).unwrap(), 4);
        assert_eq!(&four, b"ello");
        file.set_len(5).unwrap();
        file.sync_all().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 5);
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        let other = dir.0.join("other");
        assert_eq!(fs::copy(&path, &other).unwrap(), 5);
        fs::rename(&other, dir.0.join("third")).unwrap();
        assert!(!fs::exists(&other).unwrap());
        fs::create_dir_all(dir.0.join("a/b")).unwrap();
        (0..200).for_each(|i| fs::write(dir.0.join("a").join(i.to_string()), "").unwrap());
        let names = fs::read_dir(dir.0.join("a")).unwrap().map(|entry| entry.unwrap());
        let (dirs, files): (Vec<_>, Vec<_>) = names.partition(|entry| entry.file_type().unwrap().is_dir());
        assert_eq!((dirs.len(), files.len()), (1, 200));
        fs::remove_dir_all(dir.0.join("a")).unwrap();
        fs::remove_file(&path).unwrap();
    });
}

#[test]
fn a_missing_file_and_a_full_disk_are_errors_that_name_the_path() {
    in_every_world(|| {
        let missing = env::temp_dir().join("rendez-is-not-there");
        let error = File::open(&missing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with(&format!("open {}: ", missing.display())), "{error}");
        let error = fs::read_dir(&missing).unwrap_err();
        assert!(error.to_string().starts_with("read directory "), "{error}");
        let error = fs::rename(&missing, "/tmp/x").unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("rename {} to /tmp/x: ", missing.display())),
            "{error}"
        );
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = full.write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("write /dev/full: "), "{error}");
    });
}

#[test]
fn a_full_disk_is_told_by_whatever_writes() {
    in_every_world(|| {
        let told = |error: std::io::Error| {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            assert!(error.to_string().contains("/dev/full"), "{error}");
        };
        told(fs::write("/dev/full", "x").unwrap_err());
        told(fs::copy("/proc/self/status", "/dev/full").unwrap_err());
        let full = File::options().write(true).open("/dev/full").unwrap();
        told(full.write_at(b"x", 0).unwrap_err());
        // By whom it is told when the buffer is emptied.
        let mut buffered = BufWriter::new(full);
        buffered.write_all(b"x").unwrap();
        told(buffered.flush().unwrap_err());
        // It has not gone.
        let (mut full, left) = buffered.into_parts();
        assert_eq!(left.unwrap(), b"x");
        told(std::io::copy(&mut &b"y"[..], &mut full).unwrap_err());
    });
}

#[test]
fn a_child_s_pipes_and_end_are_waited_for() {
    in_every_world(|| {
        let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut to, mut from) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
        // More than a pipe holds.
        let text = vec![b'x'; 300_000];
        let len = rendez::scope(|s| {
            let reader = s.go(move || {
                let mut all = Vec::new();
                from.read_to_end(&mut all).unwrap()
            });
            to.write_all(&text).unwrap();
            assert!(cat.try_wait().unwrap().is_none());
            drop(to);
            reader.join().unwrap()
        });
        assert_eq!(len, 300_000);
        assert!(cat.wait().unwrap().success());
        assert_eq!(Command::new("sh").args(["-c", "exit 7"]).status().unwrap().code(), Some(7));
        let both = Command::new("sh").args(["-c", "echo out; echo err >&2"]).output().unwrap();
        assert_eq!((&both.stdout[..], &both.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
        let error = Command::new("/there/is/none").spawn().unwrap_err();
        assert!(error.to_string().starts_with("start /there/is/none: "), "{error}");
    });
}

#[test]
fn what_one_child_writes_another_reads() {
    in_every_world(|| {
        let mut first = Command::new("sh");
        first.args(["-c", "sleep 0.01; echo hello; echo you"]).stdout(Stdio::piped());
        assert_eq!((first.get_program(), first.get_args().len()), ("sh".as_ref(), 2));
        let mut first = first.process_group(0).spawn().unwrap();
        // The end that the second gets blocks, as programs expect.
        let lines = first.stdout.take().unwrap();
        let output = Command::new("cat").stdin(lines).output().unwrap();
        assert_eq!(output.stdout, b"hello\nyou\n");
        assert!(output.status.success() && first.wait().unwrap().success());
    });
}

#[test]
fn files_have_times_places_owners_and_options() {
    in_every_world(|| {
        let scratch = Scratch::new();
        let path = scratch.0.join("deep/er");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).unwrap();
        let path = path.join("file");
        let file =
            File::options().read(true).write(true).create(true).custom_flags(libc::O_NOFOLLOW).open(&path);
        let file = file.unwrap();
        file.write_all_at(b"hello", 3).unwrap();
        let mut buf = [1; 8];
        file.read_exact_at(&mut buf, 0).unwrap();
        assert_eq!(&buf, b"\0\0\0hello");
        let error = file.read_exact_at(&mut buf, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(error.to_string().starts_with(&format!("read {}: ", path.display())), "{error}");
        let then = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        file.set_modified(then).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), then);
        fs::chown(&path, None, None).unwrap();
        let entry = fs::read_dir(path.parent().unwrap()).unwrap().next().unwrap().unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!(entry.ino(), fs::metadata(&path).unwrap().ino());
        let echo = Command::new("echo").arg("hi").stdout(file).status().unwrap();
        assert!(echo.success());
        assert_eq!(fs::read(&path).unwrap(), b"hi\nhello");
    });
}

#[test]
fn a_locked_file_is_locked_for_others_and_not_for_clones() {
    in_every_world(|| {
        let scratch = Scratch::new();
        let path = scratch.0.join("file");
        let (ours, theirs) = (File::create(&path).unwrap(), File::open(&path).unwrap());
        ours.lock().unwrap();
        ours.try_clone().unwrap().try_lock().unwrap();
        let refused = theirs.try_lock_shared().unwrap_err();
        assert!(matches!(refused, TryLockError::WouldBlock), "{refused}");
        assert_eq!(std::io::Error::from(refused).kind(), ErrorKind::WouldBlock);
        ours.unlock().unwrap();
        ours.unlock().unwrap();
        theirs.lock_shared().unwrap();
        ours.lock_shared().unwrap();
        assert!(matches!(ours.try_lock(), Err(TryLockError::WouldBlock)));
        // The last handle's end unlocks.
        let third = File::open(&path).unwrap();
        drop(ours);
        assert!(matches!(third.try_lock(), Err(TryLockError::WouldBlock)));
        drop(theirs);
        // (Not at once: a child that another test has just started has them until it is another program.)
        third.lock().unwrap();
        // Other processes are others.
        let another_can =
            || Command::new("flock").arg("--nonblock").arg(&path).arg("true").status().unwrap().success();
        assert!(!another_can());
        third.unlock().unwrap();
        assert!(another_can());
    });
}

#[test]
fn who_waits_for_a_locked_file_gets_it_when_it_is_unlocked_and_more_may_wait_than_the_pool_has_threads() {
    in_time(|| {
        runtime(1).run(|| {
            let scratch = Scratch::new();
            let path = scratch.0.join("file");
            let mut ours = File::create(&path).unwrap();
            ours.lock().unwrap();
            let (waits, waiting) = chan::unbounded();
            let others: Vec<_> = (0..600)
                .map(|_| {
                    let (path, waits) = (path.clone(), waits.clone());
                    go(move || {
                        let file = File::options().append(true).open(path).unwrap();
                        waits.send(()).unwrap();
                        file.lock_shared().map(|()| file.metadata().unwrap().len())
                    })
                })
                .collect();
            (0..600).for_each(|_| waiting.recv().unwrap());
            ours.write_all(b"done").unwrap();
            ours.unlock().unwrap();
            others.into_iter().for_each(|other| assert_eq!(other.join().unwrap().unwrap(), 4));
        });
    });
}

#[test]
fn a_shutdown_does_not_wait_for_a_locked_file() {
    in_time(|| {
        let scratch = Scratch::new();
        let path = scratch.0.join("file");
        let ours = File::create(&path).unwrap();
        ours.lock().unwrap();
        let runtime = runtime(1);
        let theirs = runtime.spawn(move || File::open(path).unwrap().lock());
        runtime.run(|| rendez::sleep(Duration::from_millis(2)));
        runtime.shutdown();
        assert!(theirs.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_child_that_goes_on_and_on_is_given_up_and_killed() {
    in_every_world(|| {
        let mut child = Command::new("sleep").arg("600").stdout(Stdio::piped()).spawn().unwrap();
        let ended = select! {
            wait(child.wait_event()) -> _ => true,
            wait(timer(Duration::from_millis(10))) -> _ => false,
        };
        assert!(!ended);
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(5));
        let out = child.stdout.take().unwrap();
        assert!(ctx.bound(out.read_event(&mut [0; 8])).wait().is_err());
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!((&out).read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn a_pipe_that_nobody_reads_is_broken() {
    in_every_world(|| {
        let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        assert!(child.wait_event().wait().unwrap().success());
        // Until it begins to run its program, a process that another test starts has the other end as well.
        let error = (0..1000).find_map(|_| {
            let written = pipe.write(b"x");
            if written.is_ok() {
                rendez::sleep(Duration::from_millis(1));
            }
            written.err()
        });
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::BrokenPipe));
    });
}

#[test]
fn signals_come_on_a_channel_until_nobody_receives_them() {
    if is_child() {
        rendez::run(|| {
            let stop = signal::notify([Signal::INTERRUPT, Signal::TERMINATE]).unwrap();
            let also = signal::notify([Signal::TERMINATE]).unwrap();
            let raise = |signal: Signal| {
                // SAFETY: no memory is passed.
                assert_eq!(unsafe { libc::kill(libc::getpid(), signal.as_raw()) }, 0);
            };
            for signal in [Signal::INTERRUPT, Signal::TERMINATE, Signal::INTERRUPT] {
                raise(signal);
                assert_eq!(stop.recv(), Ok(signal));
            }
            assert_eq!(also.recv().map(|signal| signal.to_string()), Ok("SIGTERM".into()));
            assert!(also.is_empty());
            assert!(signal::notify([Signal::from_raw(libc::SIGKILL)]).is_err());
            // A task is told as well.
            let task = go_async(async move { (stop.recv_async().await, stop) });
            raise(Signal::TERMINATE);
            let (got, stop) = task.join().unwrap();
            assert_eq!(got, Ok(Signal::TERMINATE));
            drop((stop, also));
            println!("now it is deadly");
            raise(Signal::TERMINATE);
            rendez::sleep(Duration::from_secs(20));
        });
    }
    use std::os::unix::process::ExitStatusExt;
    let ended = end(start("signals_come_on_a_channel_until_nobody_receives_them", &[]));
    assert!(ended.out.contains("now it is deadly"), "{ended:?}");
    assert_eq!(ended.status.signal(), Some(libc::SIGTERM), "{ended:?}");
}

/// Runs this test again as a child with a pipe as its standard input.
fn with_a_pipe(test: &str) -> std::process::Child {
    std::process::Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("RENDEZ_TEST_CHILD", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn standard_input_is_read_without_keeping_the_worker_and_nothing_of_it_is_lost() {
    if is_child() {
        return runtime(1).run(|| {
            // Nothing is there yet: whoever gives up loses nothing, and the others of this worker go on.
            let (tx, rx) = chan::bounded(1);
            go(move || tx.send(()).unwrap());
            let mut buf = [0; 8];
            assert!(stdin().read_event(&mut buf).wait_timeout(Duration::from_millis(5)).is_none());
            rx.recv().unwrap();
            println!("\nready");
            let lines: Vec<_> = BufReader::new(stdin()).lines().map(Result::unwrap).collect();
            assert_eq!(lines, ["one", "two"]);
            println!("\nread");
        });
    }
    in_time(|| {
        let mut child =
            with_a_pipe("standard_input_is_read_without_keeping_the_worker_and_nothing_of_it_is_lost");
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(out.any(|line| line.unwrap() == "ready"));
        child.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
        assert!(out.any(|line| line.unwrap() == "read"));
        out.for_each(drop);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_runtime_ends_while_somebody_waits_for_standard_input() {
    if is_child() {
        let start = Instant::now();
        rendez::run(|| {
            go(|| stdin().read(&mut [0; 8]));
            rendez::sleep(Duration::from_millis(5));
        });
        assert!(start.elapsed() < Duration::from_secs(5));
        return;
    }
    in_time(|| {
        let mut child = with_a_pipe("a_runtime_ends_while_somebody_waits_for_standard_input");
        // The pipe stays open until then. (`wait` closes it: so the answer is waited for first.)
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(child.wait().unwrap().success(), "{out}");
    });
}

#[test]
fn a_waker_that_a_signal_calls_may_ask_for_signals_itself() {
    struct Asks(mpsc::Sender<bool>);
    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            self.0.send(signal::notify([Signal::USER2]).is_ok()).unwrap();
        }
    }
    must_succeed_in_a_child(|| {
        let signals = signal::notify([Signal::USER1]).unwrap();
        let (tx, rx) = mpsc::channel();
        let waker = Waker::from(Arc::new(Asks(tx)));
        let mut receive = pin!(signals.recv_async());
        assert!(receive.as_mut().poll(&mut task::Context::from_waker(&waker)).is_pending());
        // SAFETY: it passes no memory.
        assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) }, 0);
        assert_eq!(rx.recv(), Ok(true));
        assert_eq!(rendez::block_on(receive), Ok(Signal::USER1));
    });
}

#[test]
fn a_process_that_only_reads_files_needs_no_runtime() {
    must_succeed_in_a_child(|| {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        assert!(fs::read("/proc/self/stat").is_ok_and(|text| !text.is_empty()));
        assert_eq!(threads(), before, "a thread was started for an OS thread's own call");
    });
}

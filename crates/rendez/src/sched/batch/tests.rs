use super::*;
use crate::{
    Runtime, block_on,
    chan::{self, Receiver, Sender, bounded, never},
    diag, go, go_async,
    net::{TcpListener, TcpStream, UnixStream},
    yield_now,
};
use std::{
    cell::Cell,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream as StdStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A pair of which one end is the system's, which a thread may read from: not for ever.
fn half() -> (UnixStream, StdStream) {
    let (ours, theirs) = StdStream::pair().unwrap();
    theirs.set_read_timeout(Some(PATIENCE)).unwrap();
    (UnixStream::from(ours), theirs)
}

/// Where goroutines wait until they are all to go on at the same time.
#[derive(Clone)]
struct Line {
    waiting: Arc<AtomicUsize>,
    begins: Receiver<()>,
}

impl Line {
    /// And who has them begin, by being dropped.
    fn new() -> (Line, Sender<()>) {
        let (begin, begins) = bounded(0);
        (Line { waiting: Arc::default(), begins }, begin)
    }

    fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.begins.recv();
    }

    async fn wait_async(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.begins.recv_async().await;
    }

    /// Until so many do.
    fn until(&self, number: usize) {
        while self.waiting.load(Ordering::Relaxed) < number {
            yield_now();
        }
        // To start them took long; nobody is put off before some bursts were short that were timed.
        (0..400).for_each(|_| yield_now());
    }
}

/// For tests of what goes on only if bursts are short, which they may not be this time.
const ROUNDS: usize = 10;

/// What becomes of one call of each kind that there is.
fn results(batch: &Batch) -> (Vec<i32>, u64) {
    let pair = || {
        let pair = StdStream::pair().unwrap();
        pair.0.set_nonblocking(true).unwrap();
        pair
    };
    let (full, _reader) = pair();
    while (&full).write(&[0; 4096]).is_ok() {}
    let (silent, _writer) = pair();
    let (ended, over) = pair();
    over.shutdown(Shutdown::Write).unwrap();
    let (broken, gone) = pair();
    drop(gone);
    let (one, other) = pair();
    other.set_nonblocking(true).unwrap();
    let mut rooms = [[0; 8]; 5];
    let [small, large, none, end, late] = rooms.each_mut().map(|room| room.as_mut_ptr());
    let word = b"word";
    let calls = [
        (one.as_raw_fd(), Transfer::Write(word.as_ptr(), 4)),
        (full.as_raw_fd(), Transfer::Write(word.as_ptr(), 4)),
        (other.as_raw_fd(), Transfer::Read(small, 3)),
        (other.as_raw_fd(), Transfer::Read(large, 8)),
        (silent.as_raw_fd(), Transfer::Read(none, 8)),
        (ended.as_raw_fd(), Transfer::Read(end, 8)),
        (broken.as_raw_fd(), Transfer::Write(word.as_ptr(), 4)),
        (-1, Transfer::Write(word.as_ptr(), 4)),
        (-1, Transfer::Read(late, 8)),
        (one.as_raw_fd(), Transfer::Write(word.as_ptr(), 0)),
        (one.as_raw_fd(), Transfer::Write(word.as_ptr(), 2)),
    ];
    let calls: Vec<_> = calls
        .into_iter()
        .enumerate()
        .map(|(index, (fd, transfer))| Call {
            fd,
            transfer,
            task: ptr::without_provenance_mut(index),
            result: Cell::new(None),
        })
        .collect();
    calls.iter().for_each(|call| assert!(!batch.add(call)));
    assert!(!batch.is_due() && batch.is_due());
    let mut shown = Vec::new();
    // SAFETY: the calls and their buffers stay where they are; nothing is done with the tasks but to count them.
    let together = unsafe { batch.make(|task| shown.push(task.addr())) };
    assert!(shown.into_iter().rev().eq(0..calls.len()));
    assert!(batch.is_empty());
    let mut rest = [0; 8];
    assert_eq!(((&other).read(&mut rest).unwrap(), &rest[..2]), (2, &b"wo"[..]));
    assert_eq!((&rooms[0][..3], &rooms[1][..1]), (&b"wor"[..], &b"d"[..]));
    (calls.iter().map(|call| call.result.get().unwrap()).collect(), together)
}

#[test]
fn what_is_made_together_ends_as_what_is_made_alone() {
    let again = -libc::EAGAIN;
    let expected = [4, again, 3, 1, again, 0, -libc::EPIPE, -libc::EBADF, -libc::EBADF, 0, 2];
    assert_eq!(results(&Batch::new(false)), (expected.to_vec(), 0));
    let batch = Batch::new(true);
    // Twice: the way is used again.
    for _ in 0..2 {
        let together = if open().is_ok() { expected.len() as u64 } else { 0 };
        assert_eq!(results(&batch), (expected.to_vec(), together));
    }
    assert_eq!(batch.is_closed(), open().is_err());
}

/// Pairs talk, all at the same time.
fn talk(workers: usize, pairs: Vec<[Box<dyn Stream>; 2]>) {
    const ROUNDS: u32 = 40;
    let runtime = Runtime::builder().workers(workers).build().unwrap();
    runtime.run(|| {
        let sides = pairs.into_iter().enumerate().flat_map(|(number, [mut one, mut other])| {
            let word = move |round: u32| [number as u32, round, !round].map(u32::to_le_bytes).concat();
            let asks = go(move || {
                for round in 0..ROUNDS {
                    one.write_all(&word(round)).unwrap();
                    let mut answer = [0; 12];
                    one.read_exact(&mut answer).unwrap();
                    assert_eq!(answer[..], word(round + 1000));
                }
            });
            let answers = go(move || {
                // With room for more than there is, so that no read is in vain.
                let mut question = [0; 100];
                for round in 0..ROUNDS {
                    assert_eq!(other.read(&mut question).unwrap(), 12);
                    assert_eq!(question[..12], word(round));
                    other.write_all(&word(round + 1000)).unwrap();
                }
            });
            [asks, answers]
        });
        sides.collect::<Vec<_>>().into_iter().for_each(|side| side.join().unwrap());
    });
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

#[test]
fn those_who_are_ready_write_together() {
    const WRITERS: usize = 40;
    Runtime::builder().workers(1).build().unwrap().run(|| {
        let (line, begin) = Line::new();
        let (mut writers, mut readers) = (Vec::new(), Vec::new());
        for _ in 0..WRITERS {
            let ((mut ours, theirs), line) = (half(), line.clone());
            readers.push(theirs);
            writers.push(go(move || {
                line.wait();
                // However slow this machine may be.
                crate::sched::with_worker(|worker| worker.unwrap().slow.set(0));
                ours.write_all(b"x").unwrap();
            }));
        }
        line.until(WRITERS);
        let before = diag::stats();
        drop(begin);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        readers.iter_mut().for_each(|reader| reader.read_exact(&mut [0]).unwrap());
        // Tests that run meanwhile may add some.
        let together = diag::stats().since(&before).counts.calls_together;
        assert!(open().is_err() || together >= 20, "{together}");
    });
}

#[test]
fn of_very_many_sockets_each_makes_its_own_calls() {
    const WRITERS: usize = 40;
    Runtime::builder().workers(1).build().unwrap().run(|| {
        // Whether somebody's write has let others run.
        let is_put_off = |crowd: usize| {
            let crowd: Vec<_> = (0..crowd)
                .map(|_| {
                    let (mut ours, theirs) = half();
                    (go(move || ours.read(&mut [0]).unwrap()), theirs)
                })
                .collect();
            let registered = || {
                crate::sched::with_worker(|worker| {
                    worker.unwrap().poller().map_or(0, crate::sched::Poller::sources)
                })
            };
            while registered() < crowd.len() {
                yield_now();
            }
            let (line, begin) = Line::new();
            let (mut writers, mut readers) = (Vec::new(), Vec::new());
            for _ in 0..WRITERS {
                let ((mut ours, theirs), line) = (half(), line.clone());
                readers.push(theirs);
                writers.push(go(move || {
                    line.wait();
                    let turn = crate::sched::with_worker(|worker| {
                        let worker = worker.unwrap();
                        worker.slow.set(0);
                        worker.shared.switches()
                    });
                    ours.write_all(b"x").unwrap();
                    crate::sched::with_worker(|worker| worker.unwrap().shared.switches()) != turn
                }));
            }
            line.until(WRITERS);
            drop(begin);
            let put_off = writers.into_iter().fold(false, |any, writer| writer.join().unwrap() | any);
            readers.iter_mut().for_each(|reader| reader.read_exact(&mut [0]).unwrap());
            crowd.into_iter().for_each(|(reader, theirs)| {
                drop(theirs);
                assert_eq!(reader.join().unwrap(), 0);
            });
            put_off
        };
        assert!(open().is_err() || (0..ROUNDS).any(|_| is_put_off(0)));
        (0..ROUNDS).for_each(|_| assert!(!is_put_off(MANY + 1)));
    });
}

#[test]
fn every_byte_arrives_where_it_should() {
    for workers in [1, 2, 4] {
        let unix = || {
            let (one, other) = UnixStream::pair().unwrap();
            [Box::new(one) as Box<dyn Stream>, Box::new(other)]
        };
        talk(workers, (0..150).map(|_| unix()).collect());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = || {
            let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            [Box::new(one) as Box<dyn Stream>, Box::new(listener.accept().unwrap().0)]
        };
        talk(workers, (0..150).map(|_| tcp()).collect());
    }
}

#[test]
fn a_call_is_made_though_others_are_always_ready() {
    Runtime::builder().workers(1).build().unwrap().run(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let busy: Vec<_> = (0..5)
            .map(|_| {
                let stop = stop.clone();
                go(move || {
                    while !stop.load(Ordering::Relaxed) {
                        yield_now();
                    }
                })
            })
            .collect();
        let (mut ours, mut theirs) = half();
        let reader = thread::spawn(move || {
            let mut word = [0; 4];
            let read = theirs.read_exact(&mut word);
            stop.store(true, Ordering::Relaxed);
            (read.is_ok(), word)
        });
        // They have started.
        (0..10).for_each(|_| yield_now());
        ours.write_all(b"word").unwrap();
        busy.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(reader.join().unwrap(), (true, *b"word"));
    });
}

#[test]
fn a_full_socket_is_waited_for_and_keeps_nobody() {
    const WRITERS: usize = 40;
    Runtime::builder().workers(1).build().unwrap().run(|| {
        let (mut ours, mut theirs) = half();
        ours.set_nonblocking(true).unwrap();
        let mut filled = 0;
        while let Ok(len) = ours.write(&[7; 4096]) {
            filled += len;
        }
        ours.set_nonblocking(false).unwrap();
        let (line, begin) = Line::new();
        let full = go({
            let line = line.clone();
            move || {
                line.wait();
                ours.write_all(&[8; 10]).unwrap();
            }
        });
        let (writers, mut readers): (Vec<_>, Vec<_>) = (0..WRITERS)
            .map(|_| {
                let ((mut ours, theirs), line) = (half(), line.clone());
                let writer = go(move || {
                    line.wait();
                    ours.write_all(b"x").unwrap();
                });
                (writer, theirs)
            })
            .unzip();
        line.until(WRITERS + 1);
        drop(begin);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        readers.iter_mut().for_each(|reader| reader.read_exact(&mut [0]).unwrap());
        assert!(!full.is_finished());
        let reader = thread::spawn(move || {
            let mut all = vec![0; filled + 10];
            theirs.read_exact(&mut all).map(|()| all)
        });
        full.join().unwrap();
        let all = reader.join().unwrap().unwrap();
        assert!(all[..filled].iter().all(|&byte| byte == 7) && all[filled..] == [8; 10]);
    });
}

#[test]
fn a_shutdown_waits_for_what_has_been_put_off() {
    const WRITERS: usize = 40;
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Buffer([u8; 4]);
    impl Drop for Buffer {
        fn drop(&mut self) {
            self.0 = [0; 4];
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    for workers in [1, 2] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let mut readers = runtime.run(|| {
            let (begin, begins) = bounded::<()>(0);
            let (ready, is_ready) = chan::unbounded();
            let readers: Vec<_> = (0..WRITERS)
                .map(|_| {
                    let ((mut ours, theirs), begins, ready) = (half(), begins.clone(), ready.clone());
                    go(move || {
                        ready.send(()).unwrap();
                        let _ = begins.recv();
                        let buffer = Buffer(*b"word");
                        ours.write_all(&buffer.0).unwrap();
                        let _ = never::<()>().recv();
                    });
                    theirs
                })
                .collect();
            is_ready.iter().take(WRITERS).for_each(drop);
            drop(begin);
            // Some have put off theirs, or all. All have been woken, so none is unwound before.
            yield_now();
            readers
        });
        runtime.shutdown();
        for reader in &mut readers {
            let mut word = Vec::new();
            reader.read_to_end(&mut word).unwrap();
            assert_eq!(word, b"word");
        }
    }
    assert_eq!(DROPPED.load(Ordering::Relaxed), 2 * WRITERS);
}

thread_local! {
    static SET: Cell<usize> = const { Cell::new(0) };
}

#[test]
fn nobody_is_put_off_in_the_midst_of_a_poll() {
    const WRITERS: usize = 40;
    let round = || {
        let (line, begin) = Line::new();
        let stop = Arc::new(AtomicBool::new(false));
        // While the async ones have their turn others are ready.
        let others: Vec<_> = (0..3)
            .map(|_| {
                let stop = stop.clone();
                go(move || {
                    while !stop.load(Ordering::Relaxed) {
                        yield_now();
                    }
                })
            })
            .collect();
        let (mut tasks, mut readers) = (Vec::new(), Vec::new());
        for number in 1..=WRITERS {
            let ((mut ours, theirs), line) = (half(), line.clone());
            readers.push(theirs);
            let future = async move {
                line.wait_async().await;
                SET.set(number);
                ours.write_all(b"word").unwrap();
                assert_eq!(SET.get(), number);
            };
            tasks.push(match number % 2 {
                0 => go_async(future),
                _ => go(move || block_on(future)),
            });
        }
        line.until(WRITERS);
        drop(begin);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        others.into_iter().for_each(|other| other.join().unwrap());
        readers.iter_mut().for_each(|reader| reader.read_exact(&mut [0; 4]).unwrap());
    };
    Runtime::builder().workers(1).build().unwrap().run(|| (0..ROUNDS).for_each(|_| round()));
}

#[test]
fn nobody_is_put_off_in_a_destructor_that_an_unwind_runs() {
    const WRITERS: usize = 20;
    struct Farewell(UnixStream);
    impl Drop for Farewell {
        fn drop(&mut self) {
            self.0.write_all(b"bye").unwrap();
        }
    }
    let round = || {
        let (line, begin) = Line::new();
        let (mut tasks, mut readers) = (Vec::new(), Vec::new());
        for number in 0..WRITERS {
            let ((mut ours, theirs), line) = (half(), line.clone());
            readers.push(theirs);
            tasks.push(go(move || {
                line.wait();
                if number % 2 == 0 {
                    let _farewell = Farewell(ours);
                    std::panic::resume_unwind(Box::new("of no interest"));
                }
                ours.write_all(b"bye").unwrap();
                assert!(!thread::panicking());
            }));
        }
        line.until(WRITERS);
        drop(begin);
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().is_err(), number % 2 == 0);
        }
        readers.iter_mut().for_each(|reader| reader.read_exact(&mut [0; 3]).unwrap());
    };
    Runtime::builder().workers(1).build().unwrap().run(|| (0..ROUNDS).for_each(|_| round()));
}

#[test]
fn those_whose_calls_have_been_made_go_on_before_others() {
    const WRITERS: usize = FULL + 6;
    let round = || {
        let (line, begin) = Line::new();
        let done = Arc::new(AtomicUsize::new(0));
        let write = || {
            let ((mut ours, theirs), line, done) = (half(), line.clone(), done.clone());
            let writer = go(move || {
                line.wait();
                ours.write_all(b"x").unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            });
            (writer, theirs)
        };
        let (mut writers, mut readers): (Vec<_>, Vec<_>) = (1..WRITERS).map(|_| write()).unzip();
        line.until(WRITERS - 1);
        let other = go({
            let (line, done) = (line.clone(), done.clone());
            move || {
                line.wait();
                done.load(Ordering::Relaxed)
            }
        });
        line.until(WRITERS);
        // Who is woken last goes first.
        let (writer, reader) = write();
        writers.push(writer);
        readers.push(reader);
        line.until(WRITERS + 1);
        drop(begin);
        let done = other.join().unwrap();
        // A full batch, or one that was due, which is so after half as many at least.
        assert!(done >= FULL / 4, "{done}");
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        readers.iter_mut().for_each(|reader| reader.read_exact(&mut [0]).unwrap());
    };
    Runtime::builder().workers(1).build().unwrap().run(|| (0..ROUNDS).for_each(|_| round()));
}

#[test]
fn who_writes_without_end_has_turns_that_end() {
    const WRITERS: usize = FULL + 10;
    const WRITES: usize = 1000;
    Runtime::builder().workers(1).build().unwrap().run(|| {
        let (line, begin) = Line::new();
        let written = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (writers, _readers): (Vec<_>, Vec<_>) = (0..WRITERS)
            .map(|_| {
                let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (line, written) = (line.clone(), written.clone());
                let writer = go(move || {
                    line.wait();
                    // There is room for all of it.
                    for _ in 0..WRITES {
                        ours.write_all(b"x").unwrap();
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                });
                (writer, listener.accept().unwrap())
            })
            .unzip();
        let theirs = line.clone();
        let other = go(move || {
            theirs.wait();
            let (mut most, mut before) = (0, 0);
            while before < WRITERS * WRITES {
                let now = written.load(Ordering::Relaxed);
                most = most.max(now - before);
                before = now;
                yield_now();
            }
            most
        });
        line.until(WRITERS + 1);
        drop(begin);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        // Others have their turn after one of each writer, in which it makes 64 calls.
        let most = other.join().unwrap();
        assert!(most <= 65 * WRITERS, "{most}");
    });
}

#[cfg(feature = "futures-io")]
#[test]
fn polls_that_may_be_suspended_write_together() {
    use crate::net::FuturesIo;
    use futures_util::{AsyncReadExt, AsyncWriteExt};
    const PAIRS: usize = 150;
    const ROUNDS: usize = 20;
    for workers in [1, 2, 4] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            let tasks = (0..PAIRS).flat_map(|number| {
                let (one, other) = UnixStream::pair().unwrap();
                let [mut one, mut other] =
                    [one, other].map(|stream| FuturesIo::new(stream).suspend_to_write());
                let word = move |round: usize| (number * 1000 + round).to_le_bytes();
                let asks = go_async(async move {
                    let mut answer = [0; 8];
                    for round in 0..ROUNDS {
                        one.write_all(&word(round)).await.unwrap();
                        one.read_exact(&mut answer).await.unwrap();
                        assert_eq!(answer, word(round + 500));
                    }
                });
                let answers = go_async(async move {
                    let mut question = [0; 8];
                    for round in 0..ROUNDS {
                        other.read_exact(&mut question).await.unwrap();
                        assert_eq!(question, word(round));
                        other.write_all(&word(round + 500)).await.unwrap();
                    }
                });
                [asks, answers]
            });
            tasks.collect::<Vec<_>>().into_iter().for_each(|task| task.join().unwrap());
        });
    }
}

#[test]
fn who_is_put_off_while_the_socket_is_closed_is_told_so() {
    const WRITERS: usize = 40;
    let round = || {
        let (line, begin) = Line::new();
        let (mut writers, mut sockets) = (Vec::new(), Vec::new());
        for _ in 0..WRITERS {
            let ((ours, theirs), line) = (half(), line.clone());
            sockets.push((ours.try_clone().unwrap(), theirs));
            writers.push(go(move || {
                line.wait();
                (&ours).write(b"x").map_err(|error| error.kind())
            }));
        }
        line.until(WRITERS);
        let closer = go({
            let line = line.clone();
            move || {
                line.wait();
                sockets.iter().for_each(|(socket, _)| assert!(socket.close()));
                sockets
            }
        });
        line.until(WRITERS + 1);
        // Who is woken last goes first.
        let first = go({
            let line = line.clone();
            move || line.wait()
        });
        line.until(WRITERS + 2);
        drop(begin);
        first.join().unwrap();
        let _sockets = closer.join().unwrap();
        for writer in writers {
            let result = writer.join().unwrap();
            assert!(matches!(result, Ok(1) | Err(io::ErrorKind::NotConnected)), "{result:?}");
        }
    };
    Runtime::builder().workers(1).build().unwrap().run(|| (0..ROUNDS).for_each(|_| round()));
}

#[test]
fn a_child_does_not_have_its_parents_ring() {
    let Ok(_ring) = open() else { return };
    // Of each mapping that is a ring's: whether a copy of the process does not have it.
    let are_apart = || {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (mut is_ring, mut are_apart) = (false, true);
        for line in maps.lines() {
            if line.contains("[io_uring]") {
                is_ring = true;
            } else if let Some(flags) = line.strip_prefix("VmFlags:")
                && std::mem::take(&mut is_ring)
            {
                are_apart &= flags.split(' ').any(|flag| flag == "dc");
            }
        }
        are_apart
    };
    // Another test may just be making one.
    assert!((0..100).any(|_| are_apart()));
}

#[cfg(feature = "futures-io")]
#[test]
fn a_shutdown_waits_for_polls_that_have_been_put_off() {
    use crate::net::FuturesIo;
    use futures_util::AsyncWriteExt;
    const WRITERS: usize = 40;
    for workers in [1, 2] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let ended = Arc::new(AtomicUsize::new(0));
        let mut readers = runtime.run(|| {
            let (begin, begins) = bounded::<()>(0);
            let (ready, is_ready) = chan::unbounded();
            let readers: Vec<_> = (0..WRITERS)
                .map(|number| {
                    let ((ours, theirs), begins, ready) = (half(), begins.clone(), ready.clone());
                    let (mut ours, ended) = (FuturesIo::new(ours).suspend_to_write(), ended.clone());
                    let future = async move {
                        ready.send(()).unwrap();
                        let _ = begins.recv_async().await;
                        let word = b"word".to_vec();
                        ours.write_all(&word).await.unwrap();
                        ended.fetch_add(1, Ordering::Relaxed);
                        never::<()>().recv_async().await
                    };
                    match number % 2 {
                        0 => drop(go_async(future)),
                        _ => drop(go(move || block_on(future))),
                    }
                    theirs
                })
                .collect();
            is_ready.iter().take(WRITERS).for_each(drop);
            drop(begin);
            yield_now();
            readers
        });
        runtime.shutdown();
        let mut written = 0;
        for reader in &mut readers {
            let mut word = Vec::new();
            reader.read_to_end(&mut word).unwrap();
            assert!(word.is_empty() || word == b"word", "{word:?}");
            written += usize::from(!word.is_empty());
        }
        assert_eq!(ended.load(Ordering::Relaxed), written);
    }
}

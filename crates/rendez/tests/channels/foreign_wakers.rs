//! Wakers of another executor at their worst: whenever one is cloned, called or dropped it panics, or uses the very channel.
//! No value is lost or dropped twice by that, nobody hangs, and the operation can be polled again.

use crate::worlds::{Watchdog, poll_with};
use rendez::{
    Runtime,
    chan::{self, Receiver, RecvError, SendError, Sender},
};
use std::{
    future::Future,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{RawWaker, RawWakerVTable, Waker},
};

/// What is done to a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Clone,
    Wake,
    Drop,
}

type Deed = Box<dyn FnOnce() + Send>;

/// An executor's task.
#[derive(Default)]
struct Foreign {
    /// What it does the next time, once.
    armed: Mutex<Option<(Moment, Deed)>>,
    clones: AtomicUsize,
}

impl Foreign {
    fn waker(self: &Arc<Self>) -> Waker {
        // SAFETY: the table's functions keep the contract of wakers: each waker has one reference of the `Arc`.
        unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(self.clone()).cast(), &TABLE)) }
    }

    fn arm(&self, moment: Moment, deed: Deed) {
        *self.armed.lock().unwrap() = Some((moment, deed));
    }

    fn is_armed(&self) -> bool {
        self.armed.lock().unwrap().is_some()
    }

    fn at(&self, moment: Moment) {
        let deed = {
            let mut armed = self.armed.lock().unwrap();
            if armed.as_ref().is_some_and(|(at, _)| *at == moment) { armed.take() } else { None }
        };
        if let Some((_, deed)) = deed {
            deed();
        }
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_one);

/// # Safety
/// As for all functions of the table: `data` came out of `Arc::into_raw`, and the reference is still there.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: by contract; the reference is left alone.
    let foreign = ManuallyDrop::new(unsafe { Arc::from_raw(data.cast::<Foreign>()) });
    foreign.clones.fetch_add(1, Ordering::SeqCst);
    foreign.at(Moment::Clone);
    RawWaker::new(Arc::into_raw(Arc::clone(&foreign)).cast(), &TABLE)
}

/// # Safety
/// As for `clone`; the reference is given up.
unsafe fn wake(data: *const ()) {
    // SAFETY: by contract.
    unsafe { Arc::from_raw(data.cast::<Foreign>()) }.at(Moment::Wake);
}

/// # Safety
/// As for `clone`.
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: by contract; the reference is left alone.
    ManuallyDrop::new(unsafe { Arc::from_raw(data.cast::<Foreign>()) }).at(Moment::Wake);
}

/// # Safety
/// As for `wake`.
unsafe fn drop_one(data: *const ()) {
    // SAFETY: by contract.
    unsafe { Arc::from_raw(data.cast::<Foreign>()) }.at(Moment::Drop);
}

struct Value {
    number: usize,
    book: Arc<Book>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.book.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// What has become of the values of one channel.
#[derive(Default)]
struct Book {
    made: AtomicUsize,
    dropped: AtomicUsize,
    /// Sends have said so.
    sent: Mutex<Vec<usize>>,
    received: Mutex<Vec<usize>>,
}

impl Book {
    fn value(self: &Arc<Self>) -> Value {
        Value { number: self.made.fetch_add(1, Ordering::SeqCst), book: self.clone() }
    }

    fn try_send(self: &Arc<Self>, tx: &Sender<Value>) {
        let value = self.value();
        let number = value.number;
        if tx.try_send(value).is_ok() {
            self.sent.lock().unwrap().push(number);
        }
    }

    fn try_recv(&self, rx: &Receiver<Value>) {
        if let Ok(value) = rx.try_recv() {
            self.received.lock().unwrap().push(value.number);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Panic,
    TrySend,
    TryRecv,
    Both,
    Close,
}

/// When it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    FirstClone,
    SecondClone,
    SecondDrop,
    Wake,
    LastDrop,
}

/// What happens to the operation in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Dropped,
    Served,
    ServedAndDropped,
    Closed,
}

const ACTS: [Act; 5] = [Act::Panic, Act::TrySend, Act::TryRecv, Act::Both, Act::Close];
const WHENS: [When; 5] = [When::FirstClone, When::SecondClone, When::SecondDrop, When::Wake, When::LastDrop];
const ENDS: [End; 4] = [End::Dropped, End::Served, End::ServedAndDropped, End::Closed];

/// One course of events.
#[derive(Clone, Copy, Debug)]
struct Course {
    act: Act,
    when: When,
    end: End,
}

struct Stage {
    course: Course,
    tx: Sender<Value>,
    rx: Receiver<Value>,
    book: Arc<Book>,
    foreign: Arc<Foreign>,
}

impl Stage {
    fn arm(&self, when: When, moment: Moment) {
        if self.course.when != when {
            return;
        }
        let (act, tx, rx, book) = (self.course.act, self.tx.clone(), self.rx.clone(), self.book.clone());
        let deed = move || match act {
            Act::Panic => resume_unwind(Box::new("a waker that panics")),
            Act::TrySend => book.try_send(&tx),
            Act::TryRecv => book.try_recv(&rx),
            Act::Both => {
                book.try_send(&tx);
                book.try_recv(&rx);
                book.try_send(&tx);
            }
            Act::Close => _ = tx.close(),
        };
        self.foreign.arm(moment, Box::new(deed));
    }

    /// Polls; what it was, unless it panicked, which only the waker does.
    fn poll<F: Future>(&self, future: Pin<&mut F>) -> Option<F::Output> {
        let waker = self.foreign.waker();
        // The one that is dropped here is not the operation's.
        let waker = ManuallyDrop::new(waker);
        let armed = self.foreign.is_armed();
        let polled = catch_unwind(AssertUnwindSafe(|| poll_with(future, &waker)));
        // SAFETY: it came out of `into_raw`, and is not used any more; so nothing but its count goes.
        drop(unsafe { Arc::from_raw(waker.data().cast::<Foreign>()) });
        polled.unwrap_or_else(|_| {
            assert!(armed && self.course.act == Act::Panic, "{:?}: it panics by itself", self.course);
            None
        })
    }

    fn play<F: Future>(&self, future: F, serve: impl Fn(), note: impl Fn(F::Output)) {
        let mut future = Box::pin(future);
        let ended = (|| {
            self.arm(When::FirstClone, Moment::Clone);
            if let Some(output) = self.poll(future.as_mut()) {
                return Some(output);
            }
            self.arm(When::SecondClone, Moment::Clone);
            self.arm(When::SecondDrop, Moment::Drop);
            // Twice, for the first one may have been in vain.
            for _ in 0..2 {
                if let Some(output) = self.poll(future.as_mut()) {
                    return Some(output);
                }
            }
            self.arm(When::Wake, Moment::Wake);
            match self.course.end {
                End::Dropped => None,
                End::ServedAndDropped => {
                    serve();
                    None
                }
                End::Served => {
                    serve();
                    let output = self.poll(future.as_mut());
                    let output = output.or_else(|| {
                        // Another one was served, in the waker.
                        serve();
                        self.poll(future.as_mut())
                    });
                    assert!(output.is_some(), "{:?}: it was served", self.course);
                    output
                }
                End::Closed => {
                    self.tx.close();
                    let output = self.poll(future.as_mut());
                    assert!(output.is_some(), "{:?}: it is closed", self.course);
                    output
                }
            }
        })();
        if let Some(output) = ended {
            note(output);
        }
        self.arm(When::LastDrop, Moment::Drop);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        assert!(dropped.is_ok() || self.course.act == Act::Panic, "{:?}", self.course);
        // What has not come to pass holds its ends.
        *self.foreign.armed.lock().unwrap() = None;
    }
}

fn stage(course: Course, capacity: Option<usize>, closed: bool, habit: u32) -> Stage {
    let (tx, rx) = match capacity {
        Some(capacity) => chan::bounded(capacity),
        None => chan::unbounded(),
    };
    let (book, foreign) = (Arc::<Book>::default(), Arc::<Foreign>::default());
    // So often in a row that the lock becomes this worker's, who may then take it again while he has it.
    (0..habit).for_each(|_| assert!(rx.try_recv().is_err()));
    if closed {
        tx.close();
    }
    Stage { course, tx, rx, book, foreign }
}

/// Everything is where it belongs: what was sent has been received or is in the buffer; of the one of which its sender does not know
/// either is true.
fn check(stage: Stage, unsure: Option<usize>) {
    let Stage { course, tx, rx, book, foreign } = stage;
    tx.close();
    rx.try_iter().for_each(|value| book.received.lock().unwrap().push(value.number));
    let (mut sent, mut received) = (book.sent.lock().unwrap().clone(), book.received.lock().unwrap().clone());
    received.retain(|&number| Some(number) != unsure || sent.contains(&number));
    sent.sort_unstable();
    received.sort_unstable();
    assert_eq!(sent, received, "{course:?}");
    drop((tx, rx));
    assert_eq!(book.made.load(Ordering::SeqCst), book.dropped.load(Ordering::SeqCst), "{course:?}");
    assert_eq!(Arc::strong_count(&foreign), 1, "{course:?}: no waker is left");
}

fn every_course(play: impl Fn(Course, Option<usize>, bool) + Copy) {
    for act in ACTS {
        for when in WHENS {
            for end in ENDS {
                for capacity in [Some(0), Some(1), Some(3), None] {
                    for closed in [false, true] {
                        play(Course { act, when, end }, capacity, closed);
                    }
                }
            }
        }
    }
}

fn in_every_place(play: fn(Course, Option<usize>, bool, u32)) {
    let _watchdog = Watchdog::new("foreign wakers".to_string());
    every_course(|course, capacity, closed| play(course, capacity, closed, 0));
    for workers in [1, 2] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(move || every_course(|course, capacity, closed| play(course, capacity, closed, 2000)));
    }
}

#[test]
fn a_send_survives_a_waker_that_panics_or_uses_its_channel() {
    in_every_place(|course, capacity, closed, habit| {
        let stage = stage(course, capacity, closed, habit);
        (0..capacity.unwrap_or(0)).for_each(|_| stage.book.try_send(&stage.tx));
        let value = stage.book.value();
        let number = value.number;
        let serve = || {
            // All that was there before it, and it.
            (0..=capacity.unwrap_or(0)).for_each(|_| stage.book.try_recv(&stage.rx));
        };
        stage.play(stage.tx.send_async(value), serve, |result| {
            if result.is_ok() {
                stage.book.sent.lock().unwrap().push(number);
            }
        });
        check(stage, Some(number));
    });
}

#[test]
fn a_receive_survives_a_waker_that_panics_or_uses_its_channel() {
    in_every_place(|course, capacity, closed, habit| {
        let stage = stage(course, capacity, closed, habit);
        let serve = || stage.book.try_send(&stage.tx);
        stage.play(stage.rx.recv_async(), serve, |result| {
            if let Ok(value) = result {
                stage.book.received.lock().unwrap().push(value.number);
            }
        });
        check(stage, None);
    });
}

#[test]
fn an_operation_that_need_not_wait_clones_no_waker() {
    let foreign = Arc::<Foreign>::default();
    let waker = foreign.waker();
    let (tx, rx) = chan::bounded(1);
    assert_eq!(poll_with(pin!(tx.send_async(1)), &waker), Some(Ok(())));
    assert_eq!(poll_with(pin!(rx.recv_async()), &waker), Some(Ok(1)));
    tx.close();
    assert_eq!(poll_with(pin!(tx.send_async(2)), &waker), Some(Err(SendError(2))));
    assert_eq!(poll_with(pin!(rx.recv_async()), &waker), Some(Err(RecvError)));
    assert_eq!(foreign.clones.load(Ordering::SeqCst), 0);
}

//! Readiness of file descriptors: one poller for each worker, and one *service* for everybody else.
//!
//! # Parts
//!
//! * A [`Poller`] is an epoll of Linux's. A worker makes its own when one of its goroutines first waits for a source
//!   ([`Source`]), sleeps in it from then on instead of on its condition variable (see [`sleep`](super::sleep)), looks at it
//!   whenever it has nothing to run, and every few dozen switches while it has.
//! * A source is registered once, with the poller of whoever first waits for it, for both directions and by *edges*: the
//!   kernel tells when it becomes ready, and whoever uses it notes when it is not any more. So a wait costs no system call
//!   but that of the poller itself, which often brings news of many sources.
//! * The service is a thread that starts with the first wait of somebody who is no worker: an OS thread, an async task of
//!   another executor, a goroutine under test. It also watches the pollers of workers that have ended, as long as
//!   there are sources in them: a poller is itself a thing that an epoll can watch.
//!
//! # Why not the `polling` crate
//!
//! It reports each source once and then has to be told again (a system call for each wait), or keeps readiness as a level; it
//! arms a timer of the kernel's for each sleep that has a limit (two more calls), and takes a lock around each.
//! An echo over the loopback is some 3 us of system calls, so each one more is felt.
//!
//! # Who may touch what
//!
//! Anybody may poll any poller: an event goes to one of those who do, and is passed on under the source's own lock. An event may
//! be on its way, taken and not yet passed on, when its source is given up: sources are never freed but used again, so
//! it then makes another one look ready that is not. That costs whoever waits there one attempt in vain.
//!
//! The [bell](Bell) is for the worker alone: whoever else hears it rings it again, or the worker would sleep on. While a worker
//! has ended nobody hears its bell: it is taken out of the poller, which would else look ready to the service for ever.
//!
//! # Workers that don't come to it
//!
//! A worker that is kept by one goroutine does not look at its poller, and whoever waits there is not told. Goroutines of its
//! own could not run anyway; for others, the sentinel of the idle workers looks at the pollers of such workers, and
//! busy workers look at one other in turn, as often as [`OTHERS_EVERY`] if they look at their own: the kernel may have taken that one's
//! processor away. Beyond the runtime nobody does, so a source does not stay with the poller of another runtime than that of whoever
//! waits: it moves ([`Poller::is_near`]).

use super::{
    WorkerShared, bell::Bell, runtime::Shared, shared, sleep::Sleep, sources::Sources,
    waiting::WaitingThread, worker::Worker,
};
use crate::{
    fd::{Readiness, Source},
    time::Instant,
};
use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What an epoll tells at once.
const EVENTS: usize = 128;
/// In the events of the service: this is what a worker that has ended shared, and no source.
const NESTED: u64 = 1;
/// In the events of a worker's poller: its bell, which has no source.
const BELL: u64 = 0;
/// How the bell is watched.
const HEARD: i32 = libc::EPOLLIN | libc::EPOLLET;
/// Of goroutines that no goroutine has started.
const NO_FAMILY: u32 = 0;
/// In place of a runtime: the service.
const SERVICE_ALONE: usize = 0;
/// A worker that is busy and hears nothing looks at its poller at every so many-th round of maintenance only.
const SELDOM: u32 = 8;
/// The same if its rounds are long, of one switch each: when that much time has passed since. A look costs a hundredth of it. More looks
/// would find what is ready one by one, and each would cost what one that finds dozens does.
const LOOK_EVERY: Duration = Duration::from_micros(50);
/// A worker that looks at its own poller looks after another worker as often, at most.
const OTHERS_EVERY: Duration = Duration::from_micros(50);

/// One epoll.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    sources: Sources,
    /// Of its worker, which is told when there are sources again; the service has none, and is always there.
    sleep: Option<&'static Sleep>,
    /// Its worker has ended, and the service watches it.
    orphaned: AtomicBool,
    /// Which runtime's workers look at it: its address, or [`SERVICE_ALONE`].
    runtime: AtomicUsize,
}

/// What a look at a poller brought.
pub(super) struct Events {
    list: [MaybeUninit<libc::epoll_event>; EVENTS],
    len: usize,
}

impl Events {
    #[inline]
    pub(super) fn new() -> Events {
        Events { list: [const { MaybeUninit::uninit() }; EVENTS], len: 0 }
    }

    fn get(&self) -> &[libc::epoll_event] {
        // SAFETY: the kernel has written so many.
        unsafe { std::slice::from_raw_parts(self.list.as_ptr().cast(), self.len) }
    }

    /// Passes on what has been told: wakes those who wait for it. Whether the bell was among it.
    pub(super) fn pass_on(&self) -> bool {
        let mut rung = false;
        for event in self.get() {
            let (flags, data) = (event.events, event.u64);
            if data == BELL {
                rung = true;
            } else if data & NESTED != 0 {
                let shared = ptr::with_exposed_provenance::<WorkerShared>((data & !NESTED) as usize);
                // SAFETY: what workers share is never freed.
                unsafe { (*shared).look_for_worker() };
            } else {
                let source = ptr::with_exposed_provenance::<Source>(data as usize);
                // SAFETY: sources are never freed.
                unsafe { (*source).is_told(readiness(flags as i32)) };
            }
        }
        rung
    }
}

/// What an event says. (Whoever waits to read or to write wants to be told of an error or a hang-up, too.)
fn readiness(flags: i32) -> [Option<Readiness>; 2] {
    let ends = flags & (libc::EPOLLHUP | libc::EPOLLERR);
    let side = |ready: i32, lasting: i32| match flags {
        flags if flags & lasting != 0 || ends != 0 => Some(Readiness::Lasting),
        flags if flags & ready != 0 => Some(Readiness::Once),
        _ => None,
    };
    // After the end of a stream, or with urgent data in it, a short read does not mean that nothing is left.
    [side(libc::EPOLLIN, libc::EPOLLRDHUP | libc::EPOLLPRI), side(libc::EPOLLOUT, 0)]
}

impl Poller {
    fn new(runtime: usize, sleep: Option<&'static Sleep>) -> io::Result<Poller> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Poller {
            epoll,
            sources: Sources::new(),
            sleep,
            orphaned: AtomicBool::new(false),
            runtime: AtomicUsize::new(runtime),
        })
    }

    /// Whether whoever looks at `other`, if need be, looks at this one as well.
    pub(crate) fn is_near(&self, other: &Poller) -> bool {
        self.runtime.load(Ordering::Relaxed) == other.runtime.load(Ordering::Relaxed)
    }

    fn control(&self, operation: i32, fd: BorrowedFd<'_>, flags: i32, data: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: flags as u32, u64: data };
        // SAFETY: the event is read during the call alone.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn watch(&self, fd: BorrowedFd<'_>, flags: i32, data: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, flags, data)
    }

    /// Hears the bell, or does not, from now on. What has been rung before is heard as well, maybe for the second time.
    fn listen(&self, bell: &Bell, listens: bool) {
        let flags = if listens { HEARD } else { 0 };
        self.control(libc::EPOLL_CTL_MOD, bell.as_fd(), flags, BELL)
            .expect("it is there, and to change it takes no memory");
    }

    fn unwatch(&self, fd: BorrowedFd<'_>) {
        // It fails only if the descriptor is not watched, which is what is wanted.
        // SAFETY: no memory is passed.
        let _ = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), ptr::null_mut())
        };
    }

    /// Has this poller tell `source` of what becomes of `fd`. If that is ready now, it will tell so.
    pub(crate) fn register(&'static self, fd: BorrowedFd<'_>, source: &'static Source) -> io::Result<()> {
        let all = libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        // Counted first: who sleeps elsewhere than in a poller that has sources would not be told.
        let first = self.sources.add(self.sleep);
        let watched = self.watch(fd, all, ptr::from_ref(source).expose_provenance() as u64);
        if watched.is_err() {
            self.sources.remove();
        }
        if first {
            // From now on somebody has to look here if the worker does not. (If it was refused, somebody else's may have been counted since.)
            super::with_worker(|worker| worker.map_or((), Worker::pass_watch_on));
        }
        watched
    }

    /// Undoes [`register`](Self::register).
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) {
        self.unwatch(fd);
        self.sources.remove();
    }

    #[inline]
    fn has_sources(&self) -> bool {
        self.sources.any()
    }

    /// How many sources are registered.
    #[inline]
    pub(super) fn sources(&self) -> usize {
        self.sources.count()
    }

    /// Waits for events, for `timeout` or for ever.
    pub(super) fn wait(&self, events: &mut Events, timeout: Option<Duration>) {
        events.len = match self.wait_exactly(events, timeout) {
            len if len >= 0 => len as usize,
            // Interrupted; the caller looks around and comes back. No other error is possible.
            _ => 0,
        };
    }

    fn wait_exactly(&self, events: &mut Events, timeout: Option<Duration>) -> libc::c_int {
        /// Whether the system has the call (Linux 5.11).
        static IS_THERE: AtomicBool = AtomicBool::new(true);
        let (epoll, list) = (self.epoll.as_raw_fd(), events.list.as_mut_ptr().cast::<libc::epoll_event>());
        let whole = timeout.is_none_or(|timeout| timeout.is_zero());
        if !whole && IS_THERE.load(Ordering::Relaxed) {
            let timeout = timeout.unwrap_or_default();
            let limit = libc::timespec {
                tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            };
            // SAFETY: the list has room for so many, and the limit is read during the call.
            let len = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    epoll,
                    list,
                    EVENTS,
                    &raw const limit,
                    ptr::null::<libc::sigset_t>(),
                    0,
                )
            };
            if len >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS) {
                return len as libc::c_int;
            }
            IS_THERE.store(false, Ordering::Relaxed);
        }
        // Milliseconds, rounded up: who comes early would come again and again.
        let limit = timeout
            .map_or(-1, |timeout| i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        // SAFETY: the list has room for so many.
        unsafe { libc::epoll_wait(epoll, list, EVENTS as libc::c_int, limit) }
    }

    /// Passes on what there is now; whether there was something. For its worker, which hears the bell by being awake.
    fn look(&self) -> bool {
        let mut events = Events::new();
        self.wait(&mut events, Some(Duration::ZERO));
        events.pass_on();
        events.len > 0
    }
}

// ---- a worker's ----

/// A worker's view of its poller.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// In how many rounds of maintenance it is looked at again, and how many were skipped the last time.
    left: std::cell::Cell<u32>,
    skipped: std::cell::Cell<u32>,
    /// When it was looked at last.
    looked: std::cell::Cell<Option<Instant>>,
    /// When one of the others was looked after last.
    asked: std::cell::Cell<Option<Instant>>,
    /// The rounds, and which of the other workers was seen last, after so many switches.
    rounds: std::cell::Cell<u32>,
    other: std::cell::Cell<(usize, u32)>,
}

impl Worker {
    /// The poller, if it has sources.
    #[inline(always)]
    pub(super) fn poller(&self) -> Option<&'static Poller> {
        self.shared.poller.get().filter(|poller| poller.has_sources())
    }

    /// Looks for events now; whether there is something to run.
    pub(super) fn poll_now(&self) -> bool {
        self.poller().is_some_and(|poller| self.look_at(poller)) && self.has_work()
    }

    /// A goroutine of this `family` is about to go to another worker, for this one has more of them. Those whose sockets are ready, or at
    /// their end, are not parked for long: whether there are some, which are to run before that is decided anew. (A server and its client that
    /// start in one process stay together by that, when the connections of before have just been closed.)
    ///
    /// Every other time at most, so that nobody waits for ever where sockets are always ready. And once for all that one burst has started: else
    /// they would go one by one, each after all that has become ready meanwhile, while the other worker has nothing to do.
    #[cold]
    pub(super) fn hears_first(&self, family: u32) -> bool {
        let (before, heard) = self.heard_first.get();
        let is_first = family != before || family == NO_FAMILY;
        let hears = is_first && !heard && self.poll_now();
        self.heard_first.set((family, hears));
        hears
    }

    fn look_at(&self, poller: &Poller) -> bool {
        self.shared.counters.poller_looks.add(1);
        let now = Instant::now();
        self.poll_turn.looked.set(Some(now));
        let heard = poller.look();
        if self.poll_turn.asked.get().is_none_or(|asked| now.duration_since(asked) >= OTHERS_EVERY) {
            self.poll_turn.asked.set(Some(now));
            self.poll_for_one();
        }
        heard
    }

    /// In the course of work: looks for events by time if what runs takes long, else by switches, more often if there are some.
    #[inline]
    pub(super) fn poll_in_turn(&self) {
        let turn = &self.poll_turn;
        if let Some(poller) = self.poller() {
            let left = turn.left.get();
            if self.slow.get() > 0 {
                if turn.looked.get().is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
                    self.look_at(poller);
                }
            } else if left > 0 {
                turn.left.set(left - 1);
            } else {
                let heard = self.look_at(poller);
                let skip = if heard { 0 } else { (turn.skipped.get() * 2 + 1).min(SELDOM - 1) };
                turn.skipped.set(skip);
                turn.left.set(skip);
            }
        }
        let rounds = self.poll_turn.rounds.get().wrapping_add(1);
        self.poll_turn.rounds.set(rounds);
        // Who has no sources does not look at his own.
        if rounds.is_multiple_of(SELDOM) && self.poller().is_none() {
            self.poll_for_one();
        }
    }

    /// If all are busy there is no sentinel: looks after one of the others, for a whole round, and then after the next.
    #[cold]
    fn poll_for_one(&self) {
        let (runtime, turn) = (&self.runtime, &self.poll_turn);
        let (index, seen) = turn.other.get();
        let switches = |index| match runtime.worker(index) {
            Some(shared) if index != self.index && shared.poller.get().is_some() => shared.switches(),
            _ => 0,
        };
        let now = switches(index);
        if now % 2 == 1
            && now == seen
            && let Some(shared) = runtime.worker(index)
        {
            // Stays with it as long as that is so.
            return shared.look_for_worker();
        }
        let next = if index + 1 < runtime.started_workers() { index + 1 } else { 0 };
        turn.other.set((next, switches(next)));
    }

    /// Looks at the pollers of workers that have run the same goroutine since the last such look, for those who wait there and
    /// could go on elsewhere. Whether there was something for this worker.
    #[cold]
    pub(super) fn poll_for_others(&self, seen: &mut Vec<u32>) -> bool {
        let runtime = &self.runtime;
        seen.resize(runtime.started_workers(), 0);
        for (index, seen) in seen.iter_mut().enumerate().filter(|&(index, _)| index != self.index) {
            let Some(shared) = runtime.worker(index) else { continue };
            let switches = shared.switches();
            let kept = switches % 2 == 1 && *seen == switches;
            *seen = switches;
            if kept {
                shared.look_for_worker();
            }
        }
        self.has_work()
    }

    /// Whether another one looks for somebody who waits for the system, and does not sleep there.
    pub(super) fn others_have_sources(&self) -> bool {
        (0..self.runtime.started_workers())
            .filter(|&index| index != self.index)
            .filter_map(|index| self.runtime.worker(index))
            .any(|shared| !shared.sleep.looks_asleep() && shared.has_sources())
    }
}

/// The poller for whoever calls: of its worker, or of another one of its runtime; or the service's.
pub(crate) fn poller_here() -> io::Result<&'static Poller> {
    super::with_worker(|worker| match worker {
        // One under test is never in its poller: its clock would stand in for the kernel's.
        Some(worker) if worker.harness.is_none() => match worker.shared.poller.get() {
            Some(poller) => Ok(poller),
            // Where that can't be had, for want of descriptors, whoever has one will do.
            None => {
                worker.shared.make_poller(&worker.runtime).or_else(|e| worker.runtime.any_poller().ok_or(e))
            }
        },
        _ => service(),
    })
}

impl Shared {
    /// Whether a worker looks for somebody who waits for the system.
    pub(super) fn has_sources(&self) -> bool {
        (0..self.started_workers()).filter_map(|index| self.worker(index)).any(WorkerShared::has_sources)
    }

    /// The poller of some worker that looks there: one without sources may sleep elsewhere. What if the last one goes now: see
    /// [`sources`](super::sources).
    fn any_poller(&self) -> Option<&'static Poller> {
        (0..self.started_workers())
            .find_map(|index| self.worker(index)?.poller.get().filter(|poller| poller.has_sources()))
    }
}

impl super::WorkerShared {
    #[cold]
    fn make_poller(&'static self, runtime: &Arc<Shared>) -> io::Result<&'static Poller> {
        let poller = Poller::new(address(runtime), Some(&self.sleep))?;
        // It may be there from an attempt that failed later.
        let bell = match self.sleep.bell() {
            Some(bell) => bell,
            None => self.sleep.hang(Bell::new()?),
        };
        poller.watch(bell.as_fd(), HEARD, BELL)?;
        Ok(self.poller.get_or_init(|| poller))
    }

    /// Passes on what there is now, in place of the worker.
    fn look_for_worker(&self) {
        if let Some(poller) = self.poller.get().filter(|poller| poller.has_sources()) {
            let mut events = Events::new();
            poller.wait(&mut events, Some(Duration::ZERO));
            if events.pass_on()
                && let Some(bell) = self.sleep.bell()
            {
                bell.ring();
            }
        }
    }

    pub(super) fn switches(&self) -> u32 {
        self.published.switches.load(Ordering::Relaxed)
    }

    /// Its worker has ended, or has not come to be. Whoever waits for a source that is registered here goes on waiting.
    pub(super) fn orphan_poller(&'static self) {
        if let (Some(poller), Some(bell)) = (self.poller.get(), self.sleep.bell())
            && poller.has_sources()
            && !poller.orphaned.load(Ordering::Relaxed)
            && let Ok(service) = service()
        {
            poller.runtime.store(SERVICE_ALONE, Ordering::Relaxed);
            poller.listen(bell, false);
            let data = ptr::from_ref(self).expose_provenance() as u64 | NESTED;
            let watched = service.watch(poller.epoll.as_fd(), libc::EPOLLIN, data);
            poller.orphaned.store(watched.is_ok(), Ordering::Relaxed);
        }
    }

    /// A worker of `runtime` has this again, and calls this. (One under test does not: it never looks at a poller.)
    pub(super) fn adopt_poller(&self, runtime: &Arc<Shared>) {
        if let (Some(poller), Some(bell)) = (self.poller.get(), self.sleep.bell()) {
            poller.runtime.store(address(runtime), Ordering::Relaxed);
            if poller.orphaned.swap(false, Ordering::Relaxed)
                && let Ok(service) = service()
            {
                service.unwatch(poller.epoll.as_fd());
            }
            poller.listen(bell, true);
        }
    }

    /// Whether there are sources whose events it would tell.
    pub(super) fn has_sources(&self) -> bool {
        self.poller.get().is_some_and(Poller::has_sources)
    }
}

fn address(runtime: &Arc<Shared>) -> usize {
    Arc::as_ptr(runtime).addr()
}

// ---- the service ----

static SERVICE: OnceLock<&'static Poller> = OnceLock::new();

/// Whether somebody may be waiting for the system: at the service, or where the workers of these runtimes look, or those that have ended.
pub(super) fn has_sources(runtimes: &[Arc<Shared>]) -> bool {
    SERVICE.get().is_some_and(|service| service.has_sources())
        || runtimes.iter().any(|runtime| runtime.has_sources())
        || shared::any_retired(WorkerShared::has_sources)
}

/// The poller of those who have none, and whose thread runs.
fn service() -> io::Result<&'static Poller> {
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(service) = SERVICE.get() {
        return Ok(service);
    }
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(service) = SERVICE.get() {
        return Ok(service);
    }
    let made = Box::into_raw(Box::new(Poller::new(SERVICE_ALONE, None)?));
    // SAFETY: it is freed below alone, and then there is no thread that knows of it.
    let poller: &'static Poller = unsafe { &*made };
    let run = || {
        let mut events = Events::new();
        loop {
            let waiting = WaitingThread::new();
            poller.wait(&mut events, None);
            drop(waiting);
            events.pass_on();
        }
    };
    let started = std::thread::Builder::new().name("rendez-poller".into()).spawn(run);
    match started {
        Ok(_) => Ok(SERVICE.get_or_init(|| poller)),
        Err(error) => {
            // SAFETY: made above, and nobody else knows of it.
            drop(unsafe { Box::from_raw(made) });
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Event, Runtime,
        fd::{Fd, Side},
        go, go_local,
        net::UnixStream,
        time::sleep,
        yield_now,
    };
    use std::io::{Read, Write};

    /// What `any_poller` can't rule out: a goroutine of another worker comes when the last source has gone, and the worker sleeps elsewhere.
    #[test]
    fn a_newcomer_is_heard_though_the_worker_sleeps_elsewhere() {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let poller = runtime.run(|| {
            let (ours, _theirs) = UnixStream::pair().unwrap();
            assert!(ours.read_event(&mut [0]).wait_timeout(Duration::from_millis(1)).is_none());
            poller_here().unwrap()
        });
        assert!(!poller.has_sources());
        // After that it has nothing to look after any more, and no limit to its sleep.
        sleep(Duration::from_secs(1));
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        theirs.write_all(b"x").unwrap();
        let ours = Fd::new(ours);
        let before = ours.source().look(Side::Read);
        poller.register(ours.io().as_fd(), ours.source()).unwrap();
        let start = std::time::Instant::now();
        while ours.source().look(Side::Read) == before {
            assert!(start.elapsed() < Duration::from_secs(10), "nobody looks there");
            sleep(Duration::from_millis(1));
        }
        poller.deregister(ours.io().as_fd());
    }

    /// Chains of readers, each of which makes the next one's socket ready: so a look always finds something.
    #[test]
    fn those_that_one_burst_has_started_go_to_another_worker_together_though_sockets_are_always_ready() {
        const STARTED: u32 = 24;
        const CHAINS: usize = 4;
        const STEPS: usize = 16;
        Runtime::builder().workers(2).build().unwrap().run(|| {
            let here = crate::sched::with_worker(|worker| worker.unwrap().index);
            let runtime = crate::sched::with_worker(|worker| worker.unwrap().runtime.clone());
            // Keeps the other worker, so that what it is given stays there.
            let (stop, (begun, begins)) = (Arc::new(AtomicBool::new(false)), std::sync::mpsc::channel());
            let busy = go({
                let stop = stop.clone();
                move || {
                    begun.send(()).unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                }
            });
            begins.recv().unwrap();
            let given = move || runtime.worker(1 - here).unwrap().burden.incoming.load(Ordering::Relaxed);
            let (mut firsts, mut readers) = (Vec::new(), Vec::new());
            for _ in 0..CHAINS {
                let mut next = None;
                for _ in 0..STEPS {
                    let (mut ours, theirs) = UnixStream::pair().unwrap();
                    let (given, after) = (given.clone(), next.replace(theirs));
                    readers.push(go_local(move || {
                        assert_eq!(ours.read(&mut [0]).unwrap(), 1);
                        let given = given();
                        if let Some(mut after) = after {
                            after.write_all(b"x").unwrap();
                        }
                        given
                    }));
                }
                firsts.extend(next);
            }
            // Until all wait, and this worker does not take its bursts for long ones, after which it would look all the time.
            (0..2000).for_each(|_| yield_now());
            let started: Vec<_> = (0..STARTED).map(|_| go(|| ())).collect();
            firsts.iter_mut().for_each(|first| first.write_all(b"x").unwrap());
            let mut given: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
            // Who has read first comes first.
            given.sort_unstable();
            stop.store(true, Ordering::Relaxed);
            busy.join().unwrap();
            started.into_iter().for_each(|one| one.join().unwrap());
            assert!(given[CHAINS * STEPS / 4 * 3] == STARTED, "one by one: {given:?}");
        });
    }
}

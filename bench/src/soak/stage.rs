//! Where a scene plays: it starts roles there, in whichever world, and waits for them.

use super::ledger::{Ledger, Part};
use rendez::{Context, sync::WaitGroup};
use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

pub(crate) type Rng = fastrand::Rng;

/// A role that can be played in all worlds.
pub(crate) trait Role: Send + 'static {
    /// With calls that block.
    fn play(self, rng: Rng);
    /// With calls that are awaited.
    fn play_async(self, rng: Rng) -> impl Future<Output = ()> + Send;
}

/// A role that blocks, and so is played by a goroutine or a thread.
impl<F: FnOnce(Rng) + Send + 'static> Role for F {
    fn play(self, rng: Rng) {
        self(rng);
    }

    async fn play_async(self, rng: Rng) {
        // A poll that blocks becomes a goroutine until it ends.
        self(rng);
    }
}

/// One scene of one round.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) ledger: Arc<Ledger>,
    /// Ends soon, and at the latest with the round.
    pub(crate) ctx: Context,
    seed: u64,
    /// The runtime is being shut down: roles are ended wherever they are.
    cut: Arc<AtomicBool>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    roles: WaitGroup,
}

/// A role's, until it ends in whatever way.
struct Cast {
    _part: Part,
    roles: WaitGroup,
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.roles.done();
    }
}

impl Stage {
    pub(crate) fn new(
        seed: u64,
        ctx: Context,
        cut: Arc<AtomicBool>,
        threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    ) -> Stage {
        Stage { ledger: Arc::default(), ctx, seed, cut, threads, roles: WaitGroup::new() }
    }

    pub(crate) fn rng(&self) -> Rng {
        Rng::with_seed(self.seed)
    }

    /// Starts `role` in a world that `rng` chooses.
    pub(crate) fn start(&self, rng: &mut Rng, role: impl Role) {
        let theirs = rng.fork();
        match rng.u32(..5) {
            0 | 1 => self.go(move || role.play(theirs)),
            2 | 3 => {
                let cast = self.cast();
                drop(rendez::go_async(async move {
                    let _cast = cast;
                    role.play_async(theirs).await;
                }));
            }
            _ => self.thread(move || {
                if theirs.clone().bool() {
                    role.play(theirs);
                } else {
                    rendez::block_on(role.play_async(theirs));
                }
            }),
        }
    }

    /// Starts a goroutine.
    pub(crate) fn go(&self, f: impl FnOnce() + Send + 'static) {
        let cast = self.cast();
        drop(rendez::go(move || {
            let _cast = cast;
            f();
        }));
    }

    /// Starts an OS thread, which the round joins.
    pub(crate) fn thread(&self, f: impl FnOnce() + Send + 'static) {
        let cast = self.cast();
        let handle = thread::spawn(move || {
            let _cast = cast;
            f();
        });
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }

    fn cast(&self) -> Cast {
        self.roles.add(1);
        Cast { _part: self.ledger.part(), roles: self.roles.clone() }
    }

    /// Waits until every role has ended.
    pub(crate) fn wait(&self) {
        self.roles.wait();
    }

    /// Whether nobody has been ended from outside, so that what all have done together can be asked about.
    pub(crate) fn is_whole(&self) -> bool {
        !self.cut.load(SeqCst)
    }
}

/// A moment of up to `most` microseconds, often none.
pub(crate) fn moment(rng: &mut Rng, most: u64) -> Duration {
    Duration::from_micros(if rng.bool() { 0 } else { rng.u64(..most) })
}

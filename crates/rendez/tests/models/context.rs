//! A tree of contexts in virtual time: who has ended, how, and what ran by that.

use super::Script;
use rendez::{
    CancelFunc, Context, StopFunc,
    chan::Receiver,
    context::ContextError,
    testing::virtual_time,
    time::{Instant, sleep},
};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

struct Node {
    /// Whose end is its own, too.
    above: Option<usize>,
    /// Whether it was made with something that could end it, or something above was.
    endable: bool,
    /// Its own, in milliseconds. Odd: nobody looks at that moment.
    deadline: Option<u64>,
    ended: Option<ContextError>,
    ctx: Option<Context>,
    cancel: Option<CancelFunc>,
    /// It outlives the context.
    done: Option<Receiver<Infallible>>,
}

struct Function {
    node: usize,
    ran: Arc<AtomicBool>,
    stop: StopFunc,
    stopped: bool,
}

struct Tree {
    nodes: Vec<Node>,
    functions: Vec<Function>,
    start: Instant,
    /// In milliseconds, even.
    now: u64,
}

/// Plays the script.
pub(crate) fn contexts(bytes: &[u8]) {
    let bytes = bytes.to_vec();
    virtual_time(move || {
        let mut script = Script::new(&bytes);
        let mut tree = Tree { nodes: Vec::new(), functions: Vec::new(), start: Instant::now(), now: 0 };
        tree.add(None, None, |_| {
            let (ctx, cancel) = Context::background().with_cancel();
            (ctx, Some(cancel))
        });
        while let Some(kind) = script.step(12)
            && tree.nodes.len() < 40
        {
            tree.step(kind, &mut script);
            tree.settle();
            tree.check();
        }
    });
}

impl Tree {
    fn add(
        &mut self,
        above: Option<usize>,
        deadline: Option<u64>,
        make: impl FnOnce(&Context) -> (Context, Option<CancelFunc>),
    ) {
        let background = Context::background();
        let parent = above.and_then(|above| self.nodes[above].ctx.as_ref());
        let (ctx, cancel) = make(parent.unwrap_or(&background));
        let mut ended = above.and_then(|above| self.nodes[above].ended);
        if ended.is_none() && deadline.is_some_and(|deadline| deadline <= self.now) {
            ended = Some(ContextError::DeadlineExceeded);
        }
        let endable = cancel.is_some() || above.is_some_and(|above| self.nodes[above].endable);
        self.nodes.push(Node { above, endable, deadline, ended, ctx: Some(ctx), cancel, done: None });
    }

    fn step(&mut self, kind: usize, script: &mut Script<'_>) {
        let at = script.below(self.nodes.len());
        let alive = self.nodes[at].ctx.is_some();
        match kind {
            0 | 1 if alive => self.add(Some(at), None, |parent| {
                let (ctx, cancel) = parent.with_cancel();
                (ctx, Some(cancel))
            }),
            2 | 3 if alive => {
                let limit = 2 * script.below(8) as u64 + 1;
                self.add(Some(at), Some(self.now + limit), |parent| {
                    let (ctx, cancel) = parent.with_timeout(Duration::from_millis(limit));
                    (ctx, Some(cancel))
                });
            }
            4 if alive => self.add(Some(at), None, |parent| (parent.with_value(7_u8), None)),
            5 if alive => {
                // Nothing above ends it.
                let ctx = self.nodes[at].ctx.as_ref().expect("alive").without_cancel();
                self.add(None, None, |_| (ctx, None));
            }
            6 => {
                if let Some(cancel) = &self.nodes[at].cancel {
                    cancel.cancel();
                    self.end(at, ContextError::Canceled);
                }
            }
            7 => {
                if let Some(cancel) = self.nodes[at].cancel.take() {
                    // One that is detached, and whose `done` or child outlives its last handle, stays in memory until its parent
                    // ends: for ever, if nothing can end that either. LeakSanitizer tells.
                    if script.below(2) == 0 && !cfg!(rendez_sanitize) {
                        cancel.detach();
                    } else {
                        drop(cancel);
                        self.end(at, ContextError::Canceled);
                    }
                }
            }
            // That has no effect, unless nothing above could end it: then, once it is detached, its `done` closes with the last handle.
            8 if self.nodes[at].above.is_some_and(|above| self.nodes[above].endable) => {
                self.nodes[at].ctx = None;
            }
            9 => self.nodes[at].done = self.nodes[at].ctx.as_ref().map(|ctx| ctx.done().clone()),
            10 if alive => {
                if script.below(3) == 0 {
                    for function in self.functions.iter_mut().filter(|function| function.node == at) {
                        let is_there = self.nodes[at].ended.is_none() && !function.stopped;
                        assert_eq!(function.stop.stop(), is_there);
                        function.stopped |= is_there;
                    }
                } else {
                    let ran = Arc::new(AtomicBool::new(false));
                    let ctx = self.nodes[at].ctx.as_ref().expect("alive");
                    let stop = ctx.after_func({
                        let ran = ran.clone();
                        move || assert!(!ran.swap(true, SeqCst), "a function ran twice")
                    });
                    self.functions.push(Function { node: at, ran, stop, stopped: false });
                }
            }
            11 => self.advance(2 * (1 + script.below(4) as u64)),
            _ => {}
        }
    }

    fn end(&mut self, at: usize, how: ContextError) {
        if self.nodes[at].ended.is_some() {
            return;
        }
        self.nodes[at].ended = Some(how);
        for below in at + 1..self.nodes.len() {
            if self.nodes[below].above == Some(at) {
                self.end(below, how);
            }
        }
    }

    fn advance(&mut self, by: u64) {
        self.now += by;
        sleep(Duration::from_millis(by));
        let mut due: Vec<(u64, usize)> = (0..self.nodes.len())
            .filter_map(|at| self.nodes[at].deadline.map(|deadline| (deadline, at)))
            .filter(|&(deadline, _)| deadline <= self.now)
            .collect();
        due.sort_unstable();
        due.into_iter().for_each(|(_, at)| self.end(at, ContextError::DeadlineExceeded));
    }

    /// The earliest of its own and of those above.
    fn deadline(&self, at: usize) -> Option<u64> {
        let above = self.nodes[at].above.and_then(|above| self.deadline(above));
        [above, self.nodes[at].deadline].into_iter().flatten().min()
    }

    /// Functions run on goroutines of their own, which get their turn in time: a worker that has others to run starts one every 32 turns at least.
    fn settle(&self) {
        for _ in 0..1000 + 32 * self.functions.len() {
            if self.functions.iter().all(|function| self.is_right(function)) {
                return;
            }
            rendez::yield_now();
        }
    }

    fn is_right(&self, function: &Function) -> bool {
        let runs = self.nodes[function.node].ended.is_some() && !function.stopped;
        function.ran.load(SeqCst) == runs
    }

    fn check(&self) {
        for (at, node) in self.nodes.iter().enumerate() {
            if let Some(ctx) = &node.ctx {
                assert_eq!(ctx.err(), node.ended);
                let deadline = self.deadline(at).map(|ms| self.start + Duration::from_millis(ms));
                assert_eq!(ctx.deadline(), deadline);
            }
            if let Some(done) = &node.done {
                assert_eq!(done.is_closed(), node.ended.is_some());
            }
        }
        assert!(self.functions.iter().all(|function| self.is_right(function)));
    }
}

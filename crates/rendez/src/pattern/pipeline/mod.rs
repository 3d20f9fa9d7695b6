//! Several stages as one thing.
//!
//! A [`Pipeline`] is a closure that starts its stages, and each method that adds one wraps it in another. The stage before is started with the queue that is to be
//! behind it, so a buffer is the capacity of a channel and no goroutine.

mod launch;
mod report;
mod run;

pub use report::{Report, StageReport};
pub use run::{PipelineError, Run};

use super::{
    batch::gather,
    linear::{Step, pass_on, pass_on_each},
    ordered::{AHEAD, Ordered},
    source::{Source, generate, source},
};
use crate::{
    Context,
    chan::{self, Receiver},
    time::Instant,
};
use launch::{Launch, Outcome};
use std::{error::Error, fmt, sync::Arc, time::Duration};

/// A sequence of stages that is built step by step and started by [`run`](Self::run), which returns its output, its end and its report.
///
/// * Each stage has a parallelism of its own, and passes its results on in order unless its name says otherwise.
/// * Memory is bounded: between two stages there is what [`buffer`](Self::buffer) allows, by default nothing; a stage of *n* workers that keeps the order
///   has up to 5 *n* values in hand.
/// * The first error of a [`try_map`](Self::try_map) ends every stage, and so do the end of the context, a panic in a stage and dropping the output.
/// * [`Run::finish`] tells: the error, the panic (it goes on in the caller), or the [`Report`].
///
/// The functions are plain closures that may block; see the [module](super).
///
/// # Examples
/// ```
/// use rendez::{Context, pattern::Pipeline};
/// let run = Pipeline::from(1..=1000_u64)
///     .map(4, |n| n * n)
///     .filter(|n| n % 2 == 0)
///     .buffer(16)
///     .try_map(2, |n| n.checked_mul(3).ok_or("too large"))
///     .run(&Context::background());
/// let first: Vec<u64> = run.output().iter().take(3).collect();
/// assert_eq!(first, [12, 48, 108]);
/// run.finish()?; // we have had enough, which is no error
/// # Ok::<(), rendez::pattern::PipelineError>(())
/// ```
#[must_use = "a pipeline does nothing until it is run"]
pub struct Pipeline<T> {
    /// With the length of the queue behind the last stage.
    start: Start<T>,
    queue: usize,
    /// There is no stage yet that watches the context.
    is_bare: bool,
}

type Start<T> = Box<dyn FnOnce(&mut Launch, usize) -> Receiver<T> + Send>;
type BoxedError = Box<dyn Error + Send + Sync>;

impl<T: Send + 'static> Pipeline<T> {
    /// Begins with the values of an iterator, which gets a stage of its own, or of a [`Receiver`].
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, chan, pattern::Pipeline};
    /// let (tx, rx) = chan::bounded(4);
    /// (0..3).for_each(|n| tx.send(n).unwrap());
    /// drop(tx);
    /// let (values, _) = Pipeline::from(rx).map(1, |n| n * 10).run(&Context::background()).collect()?;
    /// assert_eq!(values, [0, 10, 20]);
    /// # Ok::<(), rendez::pattern::PipelineError>(())
    /// ```
    pub fn from<I>(values: I) -> Pipeline<T>
    where
        I: IntoIterator<Item = T> + 'static,
        I::IntoIter: Send + 'static,
    {
        match source(values) {
            Source::Channel(input) => {
                Pipeline { start: Box::new(move |_, _| input), queue: 0, is_bare: true }
            }
            Source::Values(values) => {
                let start = move |launch: &mut Launch, queue: usize| {
                    let (lanes, ctx) = (launch.stage("source", 1), launch.ctx.clone());
                    let (tx, output) = chan::bounded(queue);
                    let meter = lanes.meter(0);
                    launch.start(async move { generate(&ctx, Source::Values(values), &tx, meter).await });
                    launch.tell(&output);
                    output
                };
                Pipeline { start: Box::new(start), queue: 0, is_bare: false }
            }
        }
    }

    /// Adds a stage. `start` is given what the stage before sends and the length of the queue behind this one.
    fn then<U>(
        self,
        start: impl FnOnce(&mut Launch, Receiver<T>, usize) -> Receiver<U> + Send + 'static,
    ) -> Pipeline<U> {
        let Pipeline { start: before, queue, is_bare } = self;
        let all = move |launch: &mut Launch, queue_behind: usize| {
            let mut input = before(launch, queue);
            if is_bare && queue > 0 {
                input = super::buffer(&launch.ctx, input, queue);
            }
            let output = start(launch, input, queue_behind);
            launch.tell(&output);
            output
        };
        Pipeline { start: Box::new(all), queue: 0, is_bare: false }
    }

    /// A stage whose workers each get a function of their own, and pass on results as they come.
    fn unordered<U, F>(
        self,
        name: &'static str,
        workers: usize,
        functions: impl Fn(&Arc<Outcome>) -> F + Send + 'static,
    ) -> Pipeline<U>
    where
        U: Send + 'static,
        F: FnMut(T) -> Step<U> + Send + 'static,
    {
        self.then(move |launch, input, queue| {
            let lanes = launch.stage(name, workers);
            let (tx, output) = chan::bounded(queue);
            for worker in 0..workers {
                let (ctx, input, tx, meter) =
                    (launch.ctx.clone(), input.clone(), tx.clone(), lanes.meter(worker));
                let f = functions(&launch.outcome);
                launch.start(async move { pass_on(&ctx, &input, &tx, meter, f).await });
            }
            output
        })
    }

    /// As [`unordered`](Self::unordered), in order. A function that returns nothing ends the stage.
    fn ordered<U, F>(
        self,
        name: &'static str,
        workers: usize,
        functions: impl Fn(&Arc<Outcome>) -> F + Send + 'static,
    ) -> Pipeline<U>
    where
        U: Send + 'static,
        F: FnMut(T) -> Option<U> + Send + 'static,
    {
        if workers == 1 {
            return self.unordered(name, 1, move |outcome| {
                let mut f = functions(outcome);
                move |value| f(value).map_or(Step::Stop, Step::Send)
            });
        }
        self.then(move |launch, input, queue| {
            let lanes = launch.stage(name, workers);
            // Without room for a result each, workers would wait for the reader in the midst of their work.
            let (tx, output) = chan::bounded(queue.max(workers));
            let shared = Arc::new(Ordered::new(input, AHEAD * workers + queue));
            for worker in 0..workers {
                let (ctx, shared, tx, meter) =
                    (launch.ctx.clone(), shared.clone(), tx.clone(), lanes.meter(worker));
                let f = functions(&launch.outcome);
                launch.start(async move { shared.work(&ctx, &tx, meter, f).await });
            }
            output
        })
    }

    /// What `f` makes of each value, of which up to `workers` are worked on at a time; in order.
    ///
    /// # Panics
    /// If `workers` is zero.
    #[track_caller]
    pub fn map<U, F>(self, workers: usize, f: F) -> Pipeline<U>
    where
        U: Send + 'static,
        F: Fn(T) -> U + Send + Sync + 'static,
    {
        self.map_with(workers, || (), move |(), value| f(value))
    }

    /// As [`map`](Self::map), in whatever order the results come.
    ///
    /// # Panics
    /// If `workers` is zero.
    #[track_caller]
    pub fn map_unordered<U, F>(self, workers: usize, f: F) -> Pipeline<U>
    where
        U: Send + 'static,
        F: Fn(T) -> U + Send + Sync + 'static,
    {
        require(workers);
        let f = Arc::new(f);
        self.unordered("map", workers, move |_| {
            let f = f.clone();
            move |value| Step::Send(f(value))
        })
    }

    /// As [`map`](Self::map), where each worker has something of its own, made by `init`: a buffer, a connection.
    ///
    /// # Panics
    /// If `workers` is zero.
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, pattern::Pipeline};
    /// let lines = Pipeline::from(["b", "a"]).map_with(2, String::new, |line, word| {
    ///     line.clear();
    ///     line.push_str(word);
    ///     line.to_uppercase()
    /// });
    /// assert_eq!(lines.run(&Context::background()).collect()?.0, ["B", "A"]);
    /// # Ok::<(), rendez::pattern::PipelineError>(())
    /// ```
    #[track_caller]
    pub fn map_with<S, U, F>(self, workers: usize, init: impl Fn() -> S + Send + 'static, f: F) -> Pipeline<U>
    where
        S: Send + 'static,
        U: Send + 'static,
        F: Fn(&mut S, T) -> U + Send + Sync + 'static,
    {
        require(workers);
        let f = Arc::new(f);
        self.ordered("map", workers, move |_| {
            let (f, mut state) = (f.clone(), init());
            move |value| Some(f(&mut state, value))
        })
    }

    /// As [`map`](Self::map), for what can fail: the first error ends every stage, and is what [`Run::finish`] returns. To carry on instead, let
    /// [`map`](Self::map) pass on `Result`s.
    ///
    /// # Panics
    /// If `workers` is zero.
    #[track_caller]
    pub fn try_map<U, E, F>(self, workers: usize, f: F) -> Pipeline<U>
    where
        U: Send + 'static,
        E: Into<BoxedError>,
        F: Fn(T) -> Result<U, E> + Send + Sync + 'static,
    {
        require(workers);
        let f = Arc::new(f);
        self.ordered("try_map", workers, move |outcome| {
            let (f, outcome) = (f.clone(), outcome.clone());
            move |value| f(value).map_err(|error| outcome.fail(error.into())).ok()
        })
    }

    /// As [`try_map`](Self::try_map), in whatever order the results come.
    ///
    /// # Panics
    /// If `workers` is zero.
    #[track_caller]
    pub fn try_map_unordered<U, E, F>(self, workers: usize, f: F) -> Pipeline<U>
    where
        U: Send + 'static,
        E: Into<BoxedError>,
        F: Fn(T) -> Result<U, E> + Send + Sync + 'static,
    {
        require(workers);
        let f = Arc::new(f);
        self.unordered("try_map", workers, move |outcome| {
            let (f, outcome) = (f.clone(), outcome.clone());
            move |value| match f(value) {
                Ok(result) => Step::Send(result),
                Err(error) => {
                    outcome.fail(error.into());
                    Step::Stop
                }
            }
        })
    }

    /// All that the iterators give which `f` makes of the values, in order. They may block, and are asked for the next thing when the one before has been
    /// taken, or lies in the [`buffer`](Self::buffer).
    ///
    /// # Examples
    /// ```
    /// use rendez::{Context, fs::File, pattern::Pipeline};
    /// use std::io::{self, BufRead, BufReader};
    ///
    /// fn lines(path: &str) -> Box<dyn Iterator<Item = io::Result<String>> + Send> {
    ///     match File::open(path) {
    ///         Ok(file) => Box::new(BufReader::new(file).lines()),
    ///         Err(error) => Box::new([Err(error)].into_iter()),
    ///     }
    /// }
    ///
    /// let lengths = |paths: &'static [&'static str]| {
    ///     let lines = Pipeline::from(paths.iter().copied()).flat_map(lines);
    ///     lines.try_map(2, |line| line.map(|line| line.len())).run(&Context::background()).collect()
    /// };
    /// assert!(lengths(&["/proc/version", "/proc/meminfo"])?.0.len() > 10);
    /// assert!(lengths(&["/proc/version", "/nowhere"]).unwrap_err().to_string().contains("/nowhere"));
    /// # Ok::<(), rendez::pattern::PipelineError>(())
    /// ```
    pub fn flat_map<I, F>(self, f: F) -> Pipeline<I::Item>
    where
        I: IntoIterator + 'static,
        I::IntoIter: Send + 'static,
        I::Item: Send + 'static,
        F: FnMut(T) -> I + Send + 'static,
    {
        self.then(move |launch, input, queue| {
            let (lanes, ctx, (tx, output)) =
                (launch.stage("flat_map", 1), launch.ctx.clone(), chan::bounded(queue));
            let meter = lanes.meter(0);
            launch.start(async move { pass_on_each(&ctx, &input, &tx, meter, f).await });
            output
        })
    }

    /// Those values of which `keep` says so.
    pub fn filter<F>(self, keep: F) -> Pipeline<T>
    where
        F: Fn(&T) -> bool + Send + Sync + 'static,
    {
        let keep = Arc::new(keep);
        self.unordered("filter", 1, move |_| {
            let keep = keep.clone();
            move |value| if keep(&value) { Step::Send(value) } else { Step::Skip }
        })
    }

    /// Batches of up to `size` values; one that is not full is passed on when its first value has waited for `patience`, or the input ends.
    ///
    /// # Panics
    /// If `size` is zero.
    #[track_caller]
    pub fn batch(self, size: usize, patience: Duration) -> Pipeline<Vec<T>> {
        assert!(size > 0, "a batch of a Pipeline needs room for at least one value");
        self.then(move |launch, input, queue| {
            let (lanes, ctx, (tx, output)) =
                (launch.stage("batch", 1), launch.ctx.clone(), chan::bounded(queue));
            let meter = lanes.meter(0);
            launch.start(async move { gather(&ctx, &input, &tx, size, patience, meter).await });
            output
        })
    }

    /// Lets up to `capacity` values wait here, which the stage before is then ahead; if that keeps the order, as many again wait in it
    /// behind one that takes long. Of two buffers in a row, the latter counts.
    pub fn buffer(mut self, capacity: usize) -> Pipeline<T> {
        self.queue = capacity;
        self
    }

    /// Names the last stage, for the report, and for what is told of those that wait in it.
    pub fn named(self, name: impl Into<String>) -> Pipeline<T> {
        let (Pipeline { start: before, queue, is_bare }, name) = (self, name.into());
        let start = move |launch: &mut Launch, queue: usize| {
            let count = launch.stages.len();
            let output = before(launch, queue);
            if launch.stages.len() > count
                && let Some(last) = launch.stages.last_mut()
            {
                last.name = name;
                launch.tell(&output);
            }
            output
        };
        Pipeline { start: Box::new(start), queue, is_bare }
    }

    /// Starts it. Every stage ends when `ctx` does.
    pub fn run(self, ctx: &Context) -> Run<T> {
        let (mut launch, started) = (Launch::new(ctx), Instant::now());
        let Pipeline { start, queue, is_bare } = self;
        let mut output = start(&mut launch, queue);
        if is_bare {
            output = super::buffer(&launch.ctx, output, queue);
        }
        Run::new(ctx, launch, started, output)
    }
}

#[track_caller]
fn require(workers: usize) {
    assert!(workers > 0, "a stage of a Pipeline needs at least one worker");
}

impl<T> fmt::Debug for Pipeline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("queue", &self.queue).finish_non_exhaustive()
    }
}

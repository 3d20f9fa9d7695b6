//! What a pipeline's stages did with their time.

use super::launch::Stage;
use std::{fmt, time::Duration};

/// What the stages of a [`Pipeline`](super::Pipeline) have done, and which one holds the others up.
///
/// # Examples
/// ```
/// use rendez::{Context, pattern::Pipeline, sleep};
/// use std::time::Duration;
/// let run = Pipeline::from(0..20)
///     .map(1, |n| n + 1)
///     .map(2, |n| { sleep(Duration::from_millis(1)); n }).named("slow")
///     .run(&Context::background());
/// let (values, report) = run.collect().unwrap();
/// assert_eq!(values.len(), 20);
/// assert_eq!(report.bottleneck().unwrap().name, "slow");
/// println!("{report}");
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    /// From the start to the end, or to when the report was asked for.
    pub elapsed: Duration,
    /// The stages, the first one first. A channel that is the source is none, nor is a buffer.
    pub stages: Vec<StageReport>,
}

/// What one stage has done. Times are sums over its workers.
#[derive(Clone, Debug)]
pub struct StageReport {
    /// What it is called: what it does, or what [`named`](super::Pipeline::named) says.
    pub name: String,
    /// How many values it works on at a time.
    pub workers: usize,
    /// Values that it has received. A source receives none.
    pub received: u64,
    /// Values that it has sent.
    pub sent: u64,
    /// Time in the functions that it was given, waits in them included.
    pub busy: Duration,
    /// Time spent on waiting for values.
    pub blocked_on_input: Duration,
    /// Time spent on waiting for somebody to take values, or for the slowest of several workers whose results are kept in order.
    pub blocked_on_output: Duration,
}

impl StageReport {
    /// Which part of its workers' time it was busy, of a run that took `elapsed`: between 0 and 1.
    pub fn utilisation(&self, elapsed: Duration) -> f64 {
        let available = elapsed.as_secs_f64() * self.workers as f64;
        if available > 0.0 { (self.busy.as_secs_f64() / available).min(1.0) } else { 0.0 }
    }
}

impl Report {
    pub(super) fn new(elapsed: Duration, stages: &[Stage]) -> Report {
        let stages = stages.iter().map(|stage| {
            let sums = stage.lanes.sums();
            StageReport {
                name: stage.name.clone(),
                workers: stage.lanes.workers(),
                received: sums.received,
                sent: sums.sent,
                busy: sums.busy,
                blocked_on_input: sums.input,
                blocked_on_output: sums.output,
            }
        });
        Report { elapsed, stages: stages.collect() }
    }

    /// The stage that was busy for the largest part of its time: making that one faster, or giving it more workers, is what makes the
    /// whole faster. If all are busy for little of it, the reader or the source is what they wait for.
    pub fn bottleneck(&self) -> Option<&StageReport> {
        let busiest = |a: &&StageReport, b: &&StageReport| {
            a.utilisation(self.elapsed).total_cmp(&b.utilisation(self.elapsed))
        };
        self.stages.iter().max_by(busiest)
    }
}

/// A table, with an arrow at the bottleneck.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or(0).max(5);
        writeln!(f, "  {:<width$}  workers   received       sent   busy  no input  no room", "stage")?;
        let bottleneck = self.bottleneck().map(std::ptr::from_ref);
        for stage in &self.stages {
            let mark = if bottleneck == Some(std::ptr::from_ref(stage)) { "->" } else { "  " };
            let part = |of: Duration| {
                let available = self.elapsed.as_secs_f64() * stage.workers as f64;
                if available > 0.0 { of.as_secs_f64() / available * 100.0 } else { 0.0 }
            };
            let (busy, input) = (part(stage.busy), part(stage.blocked_on_input));
            writeln!(
                f,
                "{mark}{:<width$}  {:>7}  {:>9}  {:>9}  {busy:>4.0}%  {input:>7.0}%  {:>6.0}%",
                stage.name,
                stage.workers,
                stage.received,
                stage.sent,
                part(stage.blocked_on_output),
            )?;
        }
        write!(f, "  in {:.1?}", self.elapsed)
    }
}

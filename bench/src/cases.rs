//! What is measured: every case, its unit, its size and its definition, in this one place.
//!
//! The programs in `peer/*.rs` and `go/*.go` follow these texts; `bench list` prints them.

use std::{fmt, str::FromStr, time::Duration};

/// What a reading is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds for each operation.
    NsPerOp,
    /// Nanoseconds for the whole run.
    Ns,
    /// Milliseconds for the whole run, or of CPU time.
    Ms,
    /// Bytes for each goroutine.
    Bytes,
    /// Mebibytes.
    MiB,
    /// Requests answered in a second.
    RequestsPerSecond,
    /// Microseconds.
    Us,
    /// A pure number.
    Times,
    /// Schedules run in a second.
    SchedulesPerSecond,
}

impl Unit {
    /// The name in tables and JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::NsPerOp => "ns/op",
            Unit::Ns => "ns",
            Unit::Ms => "ms",
            Unit::Bytes => "B",
            Unit::MiB => "MiB",
            Unit::RequestsPerSecond => "req/s",
            Unit::Us => "us",
            Unit::Times => "x",
            Unit::SchedulesPerSecond => "schedules/s",
        }
    }

    /// Turns "`count` operations took `elapsed`" into a reading.
    pub(crate) fn of(self, count: u64, elapsed: Duration) -> f64 {
        let ns = elapsed.as_nanos() as f64;
        match self {
            Unit::NsPerOp => ns / count.max(1) as f64,
            Unit::Ms => ns / 1e6,
            Unit::SchedulesPerSecond => count as f64 * 1e9 / ns.max(1.0),
            _ => ns,
        }
    }
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    /// Less is better: times and memory.
    Lower,
    /// More is better: speed-ups.
    Higher,
}

impl Better {
    /// The name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Better::Lower => "lower",
            Better::Higher => "higher",
        }
    }
}

/// How many operations a case has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    /// A stream: as many operations as fill the time, found while warming up.
    Steady,
    /// A number that belongs to the case; warmed up with a tenth, then repeated until the time is filled.
    Repeat { full: u64, quick: u64 },
    /// The same, but run once, in a process that has done nothing before, warmed up with a handful.
    Once { full: u64, quick: u64 },
    /// `Once` with `small` and with `full` operations; the reading is the second's ns/op over the first's.
    Flat { small: u64, full: u64, quick: u64 },
}

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    /// The name on the command line and in JSON.
    pub(crate) name: &'static str,
    /// What its readings are counted in.
    pub(crate) unit: Unit,
    /// Which way is good.
    pub(crate) better: Better,
    /// How many operations.
    pub(crate) size: Size,
    /// What one operation is and what is timed.
    pub(crate) definition: &'static str,
}

impl Case {
    /// Readings below this are noise: in ratios they count as this much.
    pub(crate) fn floor(&self) -> f64 {
        match self.name {
            "idle_cpu" => 1.0,
            "rss_after" => 1.0,
            _ => f64::MIN_POSITIVE,
        }
    }
}

/// What a contestant is told to do, the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Grow the number of operations until a run fills `target_ms`, more or less: that run counts.
    Steady { target_ms: u64 },
    /// Warm up with a tenth, then run `count` operations, again and again until `target_ms` are filled.
    Repeat { count: u64, target_ms: u64 },
    /// Warm up with a handful, then run `count` operations once.
    Once { count: u64 },
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scale::Steady { target_ms } => write!(f, "steady,0,{target_ms}"),
            Scale::Repeat { count, target_ms } => write!(f, "repeat,{count},{target_ms}"),
            Scale::Once { count } => write!(f, "once,{count},0"),
        }
    }
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Scale, String> {
        let wrong = || format!("`{text}` is not MODE,COUNT,MILLISECONDS");
        let mut parts = text.split(',');
        let mode = parts.next().ok_or_else(wrong)?;
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or_else(wrong);
        let (count, target_ms) = (number()?, number()?);
        match mode {
            "steady" => Ok(Scale::Steady { target_ms }),
            "repeat" => Ok(Scale::Repeat { count, target_ms }),
            "once" => Ok(Scale::Once { count }),
            _ => Err(wrong()),
        }
    }
}

impl Size {
    /// What a child is told. `Flat` has two: this is the larger.
    pub(crate) fn scale(self, quick: bool) -> Scale {
        let pick = |full, reduced| if quick { reduced } else { full };
        match self {
            Size::Steady => Scale::Steady { target_ms: pick(600, 100) },
            Size::Repeat { full, quick } => {
                Scale::Repeat { count: pick(full, quick), target_ms: pick(400, 60) }
            }
            Size::Once { full, quick } | Size::Flat { full, quick, .. } => {
                Scale::Once { count: pick(full, quick) }
            }
        }
    }
}

/// A case whose readings are better when lower, which is nearly all of them.
const fn lower(name: &'static str, unit: Unit, size: Size, definition: &'static str) -> Case {
    Case { name, unit, better: Better::Lower, size, definition }
}

/// How many schedules of a small program are run in a second.
const fn explored(name: &'static str, definition: &'static str) -> Case {
    let (unit, size) = (Unit::SchedulesPerSecond, Size::Steady);
    Case { name, unit, better: Better::Higher, size, definition }
}

/// A speed-up from one worker to two.
const fn speedup(name: &'static str, full: u64, quick: u64, definition: &'static str) -> Case {
    let size = Size::Once { full, quick };
    Case { name, unit: Unit::Times, better: Better::Higher, size, definition }
}

const MILLION: u64 = 1_000_000;
/// A channel that fills up with all of them.
const FILLED: Size = Size::Repeat { full: MILLION, quick: MILLION / 10 };
/// Goroutines by the million, and by the hundred thousand when in a hurry.
const MANY: Size = Size::Once { full: MILLION, quick: MILLION / 10 };

/// A load from outside, in milliseconds.
const LOAD: Size = Size::Once { full: 3000, quick: 1000 };

/// Wake-ups under load.
const WAKES: Size = Size::Once { full: 5000, quick: 500 };

/// Every case, in the order of the table.
pub(crate) const CASES: &[Case] = &[
    lower(
        "spawn_batch",
        Unit::NsPerOp,
        Size::Repeat { full: MILLION, quick: MILLION / 10 },
        "Start 1,000,000 goroutines (quick: 100,000) that end at once and wait for all of them in one WaitGroup. \
         One operation is one goroutine.",
    ),
    lower(
        "spawn_seq",
        Unit::NsPerOp,
        Size::Steady,
        "Start a goroutine, take the one value it hands over (by its join handle where there is one, in Go by a \
         channel of its own), and only then start the next.",
    ),
    lower(
        "yield_2",
        Unit::NsPerOp,
        Size::Steady,
        "Two goroutines that do nothing but yield. One operation is one yield.",
    ),
    lower("yield_1000", Unit::NsPerOp, Size::Steady, "The same with 1000 goroutines."),
    lower(
        "once",
        Unit::NsPerOp,
        Size::Steady,
        "One goroutine calls a Once whose call has ended. One operation is one call.",
    ),
    lower(
        "pool_8",
        Unit::NsPerOp,
        Size::Steady,
        "Eight goroutines take a buffer of 1 KiB out of one Pool, write a byte to it and put it back. One operation is all \
         three; the reading is the time over the operations of all eight.",
    ),
    lower(
        "mutex_8",
        Unit::NsPerOp,
        Size::Steady,
        "Eight goroutines lock one Mutex, add one to the number in it and unlock it. One operation is all three; the reading \
         is the time over the operations of all eight.",
    ),
    lower(
        "rwlock_8",
        Unit::NsPerOp,
        Size::Steady,
        "The same with a read-write lock: of ten operations, one adds one, and the others read.",
    ),
    lower(
        "cond_2",
        Unit::NsPerOp,
        Size::Steady,
        "Two goroutines pass a turn to and fro, each waiting for it at a condition variable of its own, with one Mutex. One \
         operation is one turn.",
    ),
    lower(
        "ping_pong",
        Unit::NsPerOp,
        Size::Steady,
        "A number goes to a second goroutine over one rendezvous channel and comes back over another. One operation \
         is one round trip.",
    ),
    lower(
        "seq_1",
        Unit::NsPerOp,
        Size::Steady,
        "One goroutine sends to a channel of capacity 1 and receives from it. One operation is both.",
    ),
    lower(
        "seq_n",
        Unit::NsPerOp,
        FILLED,
        "One goroutine makes a channel that holds 1,000,000 messages (quick: 100,000), sends as many, and then receives them. One operation \
         is one message, sent and received.",
    ),
    lower("seq_unbounded", Unit::NsPerOp, FILLED, "The same with a channel without a bound."),
    lower(
        "spsc_0",
        Unit::NsPerOp,
        Size::Steady,
        "One sender, one receiver, a rendezvous channel of machine words; the sender closes, the receiver takes until \
         closed. One operation is one message.",
    ),
    lower("spsc_1", Unit::NsPerOp, Size::Steady, "The same with capacity 1."),
    lower("spsc_128", Unit::NsPerOp, Size::Steady, "The same with capacity 128."),
    lower(
        "spsc_n",
        Unit::NsPerOp,
        FILLED,
        "The same with a channel that holds all of 1,000,000 messages (quick: 100,000).",
    ),
    lower("spsc_unbounded", Unit::NsPerOp, FILLED, "The same with a channel without a bound."),
    lower(
        "mpsc_0",
        Unit::NsPerOp,
        Size::Steady,
        "Four senders, one receiver, capacity 0; closed when the last sender ends.",
    ),
    lower("mpsc_1", Unit::NsPerOp, Size::Steady, "The same with capacity 1."),
    lower("mpsc_128", Unit::NsPerOp, Size::Steady, "The same with capacity 128."),
    lower(
        "mpsc_n",
        Unit::NsPerOp,
        FILLED,
        "The same with a channel that holds all of 1,000,000 messages (quick: 100,000).",
    ),
    lower("mpsc_unbounded", Unit::NsPerOp, FILLED, "The same with a channel without a bound."),
    lower(
        "mpmc_0",
        Unit::NsPerOp,
        Size::Steady,
        "Four senders, four receivers, capacity 0; closed when the last sender ends.",
    ),
    lower("mpmc_1", Unit::NsPerOp, Size::Steady, "The same with capacity 1."),
    lower("mpmc_128", Unit::NsPerOp, Size::Steady, "The same with capacity 128."),
    lower(
        "mpmc_n",
        Unit::NsPerOp,
        FILLED,
        "The same with a channel that holds all of 1,000,000 messages (quick: 100,000).",
    ),
    lower("mpmc_unbounded", Unit::NsPerOp, FILLED, "The same with a channel without a bound."),
    lower(
        "select_0",
        Unit::NsPerOp,
        Size::Steady,
        "Four senders, each on a rendezvous channel of its own, one receiver that selects over the four, leaving out \
         those that have closed, until all have. One operation is one message.",
    ),
    lower("select_1", Unit::NsPerOp, Size::Steady, "The same with capacity 1."),
    lower("select_128", Unit::NsPerOp, Size::Steady, "The same with capacity 128."),
    lower(
        "select_n",
        Unit::NsPerOp,
        FILLED,
        "The same with channels each of which holds all of 1,000,000 messages (quick: 100,000).",
    ),
    lower("select_unbounded", Unit::NsPerOp, FILLED, "The same with channels without a bound."),
    lower(
        "select_both_0",
        Unit::NsPerOp,
        Size::Steady,
        "Four senders and four receivers, each of whom selects over the same four rendezvous channels: a sender for one that takes its \
         message, a receiver for one that has a message. One operation is one message.",
    ),
    lower("select_both_1", Unit::NsPerOp, Size::Steady, "The same with capacity 1."),
    lower(
        "select_both_n",
        Unit::NsPerOp,
        FILLED,
        "The same with channels each of which holds all of 1,000,000 messages (quick: 100,000).",
    ),
    lower("select_both_unbounded", Unit::NsPerOp, FILLED, "The same with channels without a bound."),
    lower(
        "async_ping_pong",
        Unit::NsPerOp,
        Size::Steady,
        "ping_pong by async tasks that await. One operation is one round trip.",
    ),
    lower("async_spsc_0", Unit::NsPerOp, Size::Steady, "spsc_0 by async tasks that await."),
    lower("async_spsc_128", Unit::NsPerOp, Size::Steady, "spsc_128 by async tasks that await."),
    lower("async_mpsc_128", Unit::NsPerOp, Size::Steady, "mpsc_128 by async tasks that await."),
    lower(
        "arms_1",
        Unit::NsPerOp,
        Size::Steady,
        "A select made at run time over one channel of capacity 1, which is filled before (Go: reflect.Select). One \
         operation is a send and a choice.",
    ),
    lower("arms_4", Unit::NsPerOp, Size::Steady, "The same over 4 channels, of which one is filled."),
    lower("arms_64", Unit::NsPerOp, Size::Steady, "The same over 64."),
    lower("arms_1024", Unit::NsPerOp, Size::Steady, "The same over 1024."),
    lower(
        "arms_wait_1",
        Unit::NsPerOp,
        Size::Steady,
        "A select made at run time over one rendezvous channel, to which another goroutine sends. One operation is one \
         message.",
    ),
    lower(
        "arms_wait_4",
        Unit::NsPerOp,
        Size::Steady,
        "The same over 4 channels, to which one goroutine sends by turns.",
    ),
    lower("arms_wait_64", Unit::NsPerOp, Size::Steady, "The same over 64."),
    lower("arms_wait_1024", Unit::NsPerOp, Size::Steady, "The same over 1024."),
    lower(
        "sieve",
        Unit::Ns,
        Size::Once { full: 2000, quick: 2000 },
        "The prime sieve: a generator of 2, 3, 4, .. and one filter goroutine a prime, chained by rendezvous \
         channels, until the 2000th prime has been received. The time is the whole run's, without ending the chain.",
    ),
    lower(
        "skynet",
        Unit::NsPerOp,
        Size::Repeat { full: MILLION, quick: MILLION / 10 },
        "A tree of goroutines, ten children a node, 1,000,000 leaves (quick: 100,000); each leaf sends its number \
         to its parent over the parent's rendezvous channel, each node sends the sum of its ten. One operation is one leaf.",
    ),
    lower(
        "daisy",
        Unit::NsPerOp,
        Size::Repeat { full: MILLION / 10, quick: MILLION / 100 },
        "A chain of 100,000 goroutines (quick: 10,000), each receiving a number from its right, adding one and sending \
         it left, over rendezvous channels; built, then run through once. One operation is one goroutine.",
    ),
    lower(
        "pipeline_8",
        Unit::NsPerOp,
        Size::Steady,
        "Eight stages, each adds one, joined by rendezvous channels; all are started before the first item. One \
         operation is one item through all eight.",
    ),
    lower(
        "stage",
        Unit::NsPerOp,
        Size::Steady,
        "A generator, one stage that adds one, and a consumer, joined by rendezvous channels and all to be cancelled from outside (Go: \
         `select` with a done channel at each send). One operation is one item.",
    ),
    lower(
        "ordered_20us",
        Unit::NsPerOp,
        Size::Steady,
        "Items of 20 us of work from a generator, as many at a time as there are CPUs; the results come out in the order of the \
         items and are collected. One operation is one item.",
    ),
    lower("ordered_1us", Unit::NsPerOp, Size::Steady, "The same with 1 us of work."),
    lower(
        "sleepers",
        Unit::NsPerOp,
        Size::Repeat { full: 200_000, quick: 20_000 },
        "Start 200,000 goroutines (quick: 20,000), each of which sleeps once, for 1 to 2 ms (1,000 lengths by turns), and \
         wait for all of them in one WaitGroup. One operation is one goroutine.",
    ),
    lower(
        "async_sleepers",
        Unit::NsPerOp,
        Size::Repeat { full: 200_000, quick: 20_000 },
        "sleepers by async tasks that await.",
    ),
    lower(
        "echo_1",
        Unit::NsPerOp,
        Size::Steady,
        "A TCP connection over the loopback, without delay, both ends in the process: a goroutine writes 64 bytes and reads \
         64, another writes back what it reads into a buffer of 4096. One operation is one round trip.",
    ),
    lower(
        "echo_100",
        Unit::NsPerOp,
        Size::Steady,
        "The same with 100 connections at once, which share the round trips.",
    ),
    lower(
        "echo_10k",
        Unit::NsPerOp,
        Size::Repeat { full: 200_000, quick: 40_000 },
        "The same with 10,000 connections, or as many as the limit of open files allows for: half of that, less 100.",
    ),
    Case {
        name: "http",
        unit: Unit::RequestsPerSecond,
        better: Better::Higher,
        size: LOAD,
        definition: "HTTP/1.1 over the loopback: a server answers every request with \"Hello, World!\". 64 connections each send a request, \
            wait for the response, and send the next; they are another process, the same for all (`bench load`), with a thread \
            for each CPU. The reading is the responses in a second, over 3 s (quick: 1 s).",
    },
    lower(
        "http_p50",
        Unit::Us,
        LOAD,
        "The time from a request to its response under that load: half of them take no longer.",
    ),
    lower("http_p99", Unit::Us, LOAD, "The same: 99 of 100 take no longer."),
    lower("http_p999", Unit::Us, LOAD, "The same: 999 of 1000 take no longer."),
    lower(
        "http_cpu",
        Unit::Us,
        LOAD,
        "CPU time, user's and system's, that the server uses for each request of that load: what is left of the rate where a machine \
         has other things to do.",
    ),
    Case {
        name: "http_plain",
        unit: Unit::RequestsPerSecond,
        better: Better::Higher,
        size: LOAD,
        definition: "The load of `http`, on a server of some dozen lines, as an ordinary program would have it: a goroutine for each connection \
            reads, has httparse parse the request, and writes the answer. (Go: net/http's parser alone. may_minihttp, \
            which stands in the row of `http` too, is just that, on may.)",
    },
    lower(
        "http_plain_p50",
        Unit::Us,
        LOAD,
        "The time from a request to its response under that load: half of them take no longer.",
    ),
    lower("http_plain_p99", Unit::Us, LOAD, "The same: 99 of 100 take no longer."),
    lower(
        "wake_p50",
        Unit::Us,
        WAKES,
        "Eight goroutines compute for 20 us and yield, over and over. Beside them one sends the time of day, and sleeps for 200 to 219 us (by turns), on a \
         channel without a buffer to another that waits for it. The time from before the send until the receiver has it: of 5000 wake-ups \
         (quick: 500), half take no longer.",
    ),
    lower("wake_p99", Unit::Us, WAKES, "The same: 99 of 100 take no longer."),
    lower("wake_p999", Unit::Us, WAKES, "The same: 999 of 1000 take no longer."),
    lower(
        "late_p50",
        Unit::Us,
        WAKES,
        "In the same program, by how much the sender is late: the time from when its sleep was to be over until it runs. Half of them are no \
         later.",
    ),
    lower("late_p99", Unit::Us, WAKES, "The same: 99 of 100 are no later."),
    lower("late_p999", Unit::Us, WAKES, "The same: 999 of 1000 are no later."),
    lower(
        "context_100k",
        Unit::NsPerOp,
        Size::Repeat { full: 100_000, quick: 10_000 },
        "100,000 goroutines (quick: 10,000) each make a child of one context and receive from its `done`; when all wait, the \
         parent is cancelled. Timed from there until the last of them has gone on. One operation is one child.",
    ),
    lower(
        "mem_conn",
        Unit::Bytes,
        Size::Once { full: 10_000, quick: 1000 },
        "10,000 idle TCP connections over the loopback, or as many as the limit of open files allows for (quick: 1000), each with a goroutine \
         that waits to read into a buffer of 4096 bytes. What the process has grown by (resident memory and page tables), for each; the other \
         ends are sockets of the same process, for which nobody waits, and what the kernel keeps for sockets is not counted.",
    ),
    lower(
        "mem_parked",
        Unit::Bytes,
        MANY,
        "Growth of resident memory and page tables (VmRSS + VmPTE) for each of 1,000,000 goroutines (quick: 100,000) \
         parked in a receive on one channel.",
    ),
    lower("mem_async", Unit::Bytes, MANY, "The same for async tasks that await a receive on one channel."),
    lower(
        "mem_unstarted",
        Unit::Bytes,
        MANY,
        "The same for goroutines that have been spawned and not started: one worker, kept busy by the spawner. Each \
         holds one reference. Where some start all the same, only the others are counted.",
    ),
    lower(
        "park_1m",
        Unit::Ms,
        MANY,
        "Wall time until 1,000,000 goroutines (quick: 100,000) have been started and have come to their receive on \
         one channel, in a fresh process.",
    ),
    speedup(
        "speedup_fork_join",
        38,
        34,
        "Time with 1 worker over time with 2: the Fibonacci tree of 38 (quick: 34), a goroutine for one half of each \
         node down to 22, plain recursion below.",
    ),
    speedup(
        "speedup_workers",
        8000,
        1500,
        "The same: four goroutines take 8000 jobs (quick: 1500) of 50 us off one rendezvous channel.",
    ),
    speedup(
        "speedup_pipeline",
        2500,
        500,
        "The same: pipeline_8 with 20 us of work a stage, 2500 items (quick: 500), every stage parked in its \
         receive before the first item arrives.",
    ),
    speedup(
        "speedup_primes",
        4000,
        1000,
        "The same: as many prime finders as workers share 4000 candidates (quick: 1000), odd numbers from 100,001 on, try every smaller \
         number, and have their outputs joined.",
    ),
    explored(
        "explore_small",
        "Schedules, chosen at random, that are run of one small program: two goroutines each add to a number in a mutex and send \
         it over a channel of capacity 1, twice; the main one receives until all have ended, and joins them. One operation is one schedule.",
    ),
    explored("explore_small_pct", "The same with probabilistic concurrency testing, depth 3."),
    lower(
        "flat_1k_1m",
        Unit::Times,
        Size::Flat { small: 1000, full: MILLION, quick: MILLION / 10 },
        "ns per goroutine with 1,000,000 goroutines (quick: 100,000) over ns per goroutine with 1,000, each in a fresh \
         process: started, parked in a receive on one channel, released by closing it, all ended.",
    ),
    lower(
        "idle_cpu",
        Unit::Ms,
        Size::Once { full: MILLION / 10, quick: MILLION / 10 },
        "CPU time the process uses in 2 s (quick: too) while 100,000 goroutines are parked on one channel and nothing runs. \
         Below 1 ms counts as 1 ms in ratios.",
    ),
    lower(
        "rss_after",
        Unit::MiB,
        MANY,
        "Resident memory (VmRSS) above the start, one second after 1,000,000 goroutines (quick: 100,000) that were \
         parked on one channel have been released and have ended. Below 1 MiB counts as 1 MiB in ratios.",
    ),
];

/// The case of that name.
pub(crate) fn find(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

/// The cases that any of the globs matches, in the table's order; all of them when there is no glob.
///
/// # Errors
/// Says which glob is malformed, or matches nothing, and lists what there is.
pub(crate) fn choose(globs: &[String]) -> Result<Vec<&'static Case>, String> {
    let mut patterns = Vec::new();
    for text in globs {
        let pattern = glob::Pattern::new(text).map_err(|error| format!("case `{text}`: {error}"))?;
        if !CASES.iter().any(|case| pattern.matches(case.name)) {
            let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
            return Err(format!("no case matches `{text}`; there are: {}", names.join(", ")));
        }
        patterns.push(pattern);
    }
    let wanted = |case: &&Case| patterns.is_empty() || patterns.iter().any(|p| p.matches(case.name));
    Ok(CASES.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_glob_means_every_case() {
        assert_eq!(choose(&[]).unwrap().len(), CASES.len());
    }

    #[test]
    fn globs_choose_in_the_order_of_the_table_and_each_case_once() {
        let globs = ["spsc_0".into(), "?p?c_?".into(), "spawn_*".into()];
        let names: Vec<_> = choose(&globs).unwrap().iter().map(|case| case.name).collect();
        let expected = [
            "spawn_batch",
            "spawn_seq",
            "spsc_0",
            "spsc_1",
            "spsc_n",
            "mpsc_0",
            "mpsc_1",
            "mpsc_n",
            "mpmc_0",
            "mpmc_1",
            "mpmc_n",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn an_unknown_case_is_told_with_what_there_is() {
        let told = choose(&["spsc_9".into()]).unwrap_err();
        assert!(told.contains("spsc_9") && told.contains("spawn_batch, spawn_seq"), "{told}");
        assert!(choose(&["[".into()]).unwrap_err().contains("case `[`"));
    }

    #[test]
    fn names_are_unique() {
        for (i, case) in CASES.iter().enumerate() {
            assert!(CASES[..i].iter().all(|other| other.name != case.name), "{} twice", case.name);
        }
    }

    #[test]
    fn scales_survive_the_command_line() {
        for case in CASES {
            for quick in [false, true] {
                let scale = case.size.scale(quick);
                assert_eq!(scale.to_string().parse(), Ok(scale));
            }
        }
        assert!("sometimes,1,2".parse::<Scale>().is_err());
        assert!("once".parse::<Scale>().is_err());
    }

    #[test]
    fn a_time_becomes_a_reading_in_the_case_s_unit() {
        let elapsed = Duration::from_millis(3);
        assert_eq!(Unit::NsPerOp.of(1000, elapsed), 3000.0);
        assert_eq!(Unit::Ns.of(1000, elapsed), 3e6);
        assert_eq!(Unit::Ms.of(1000, elapsed), 3.0);
    }
}

//! What the kernel says about this process, and the CPU work that the speed-up cases share out.

use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

/// Resident bytes of this process: `VmRSS`.
pub(crate) fn resident() -> u64 {
    status("VmRSS:")
}

/// Resident bytes and the page tables that map them: `VmRSS` + `VmPTE`.
pub(crate) fn footprint() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&text, "VmRSS:") + field(&text, "VmPTE:")
}

fn status(name: &str) -> u64 {
    field(&fs::read_to_string("/proc/self/status").unwrap_or_default(), name)
}

/// A field of `/proc/self/status`, which counts in KiB, in bytes.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Connections with both ends in this process: as many as are wanted, or as its limit of open files allows for.
pub(crate) fn connections(wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the calls read and write the struct, which is there.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            // As Go's runtime does by itself.
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
    wanted.min((limit.rlim_cur / 2).saturating_sub(100)).max(1)
}

/// `after - before` for each of `count`.
pub(crate) fn growth_each(before: u64, after: u64, count: u64) -> f64 {
    after.saturating_sub(before) as f64 / count.max(1) as f64
}

/// CPU time, user's and system's, that all threads of this process have used, those that have ended included.
pub(crate) fn cpu_time() -> Duration {
    // SAFETY: `rusage` is plain old data, for which all zeroes is a value; the call only writes into it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let part = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    part(usage.ru_utime) + part(usage.ru_stime)
}

/// Steps of [`work`] that take a microsecond on this machine.
///
/// A fixed number of steps, unlike a loop that watches the clock, is the same work when the machine is busy with
/// something else.
pub(crate) fn steps_per_us() -> u64 {
    const STEPS: u64 = 2_000_000;
    let best = (0..5).map(|_| {
        let start = Instant::now();
        black_box(work(STEPS));
        start.elapsed()
    });
    let best = best.min().unwrap_or_default();
    (STEPS as f64 * 1000.0 / best.as_nanos().max(1) as f64).max(1.0) as u64
}

/// `steps` steps of a linear congruential generator: each waits for the one before, so no compiler and no
/// processor can do them side by side.
pub(crate) fn work(steps: u64) -> u64 {
    let mut x = black_box(1_u64);
    for _ in 0..steps {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    }
    black_box(x)
}

/// The goroutines that compute in `wake_p50` and its like, for how many microseconds each before it yields.
pub(crate) const BUSY: (u64, u64) = (8, 20);

/// What `wake_p50` and `late_p50` and their like tell of the same program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    /// From a send until the receiver has it.
    Wake,
    /// From when a sleep was to be over until it was.
    Late,
}

/// In microseconds: what so large a share of the waits does not exceed.
pub(crate) fn within(share: f64, mut waits: Vec<Duration>) -> f64 {
    let last = waits.len().checked_sub(1).expect("there are some");
    let (_, wait, _) = waits.select_nth_unstable(((last + 1) as f64 * share) as usize);
    wait.as_nanos() as f64 / 1e3
}

/// How many CPUs' worth of work the machine gives to as many threads as it says it has CPUs, just now.
///
/// A virtual machine may give less than it says: then nothing that needs two CPUs at once can be fast.
pub(crate) fn cpus_given(cpus: usize) -> f64 {
    const STEPS: u64 = 8_000_000;
    let run = |threads: usize| {
        let start = Instant::now();
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(|| work(STEPS)))));
        start.elapsed().as_secs_f64()
    };
    let alone = run(1).min(run(1));
    cpus as f64 * alone / run(cpus)
}

/// The Fibonacci number by the plain recursion.
pub(crate) fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

/// From here down the fork-join tree is plain recursion.
pub(crate) const FIB_CUT_OFF: u64 = 22;

/// Time with one worker over time with two: each is run three times, in turn, and the medians are divided.
pub(crate) fn speedup(mut run: impl FnMut(usize) -> Duration) -> f64 {
    let (mut one, mut two) = ([0.0; 3], [0.0; 3]);
    for round in 0..3 {
        one[round] = run(1).as_secs_f64();
        two[round] = run(2).as_secs_f64();
    }
    crate::report::median(&one) / crate::report::median(&two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_status_are_read_in_bytes() {
        let text = "Name:\tbench\nVmRSS:\t    2048 kB\nVmPTE:\t      64 kB\n";
        assert_eq!((field(text, "VmRSS:"), field(text, "VmPTE:")), (2048 * 1024, 64 * 1024));
        assert_eq!(field(text, "VmHWM:"), 0);
    }

    #[test]
    fn this_process_has_memory_and_uses_cpu() {
        assert!(resident() > 0 && footprint() > resident());
        let before = cpu_time();
        work(20_000_000);
        assert!(cpu_time() > before);
    }

    #[test]
    fn a_share_of_waits_is_within_what_is_told() {
        let waits: Vec<_> = (1..=1000).rev().map(Duration::from_micros).collect();
        assert_eq!([0.5, 0.99, 0.999].map(|share| within(share, waits.clone())), [501.0, 991.0, 1000.0]);
    }

    #[test]
    fn the_machine_gives_some_cpu() {
        assert!(cpus_given(1) > 0.0);
    }

    #[test]
    fn a_speedup_is_the_time_with_one_over_the_time_with_two() {
        assert_eq!(speedup(|workers| Duration::from_millis(20 / workers as u64)), 2.0);
    }
}

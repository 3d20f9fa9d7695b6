//! Resident memory by who holds it, told when it steps.

use super::vitals::MIB;
use rendez::diag;
use std::{fmt, fs};

/// Bytes that resident memory steps by.
const STEP: u64 = 8 << 20;
/// The level that it steps from is a mean of about so many looks.
const LOOKS: u64 = 64;

/// In bytes, but for the numbers of stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holdings {
    /// Of files: the program, libraries, and both once more by whoever names the calls of a backtrace.
    files: u64,
    /// Of stacks, which alone are mapped for no large pages: goroutines', and, since Linux 6.7, threads'.
    stacks: u64,
    /// Of the runtime's blocks, in classes so large that they ask for large pages, as nobody else does.
    large: u64,
    /// The heap of the main thread.
    heap: u64,
    /// `malloc`'s other heaps and its large blocks, the runtime's other blocks.
    rest: u64,
    stacks_used: u64,
    /// Free ones that hold memory.
    stacks_kept: u64,
    malloc: Malloc,
}

/// What the C library's allocator has of the system, resident or not, and has given out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Malloc {
    held: u64,
    used: u64,
}

impl Malloc {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn now() -> Malloc {
        // SAFETY: it takes the locks of the heaps, one after the other, and reads.
        let info = unsafe { libc::mallinfo2() };
        let mapped = info.hblkhd as u64;
        Malloc { held: info.arena as u64 + mapped, used: info.uordblks as u64 + mapped }
    }

    /// Others don't say.
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    fn now() -> Malloc {
        Malloc::default()
    }
}

impl Holdings {
    fn now() -> Holdings {
        let pools = diag::stats().stacks;
        Holdings {
            stacks_used: pools.iter().map(|pool| pool.in_use).sum(),
            stacks_kept: pools.iter().map(|pool| pool.cached).sum(),
            malloc: Malloc::now(),
            ..Holdings::of(&fs::read_to_string("/proc/self/smaps").unwrap_or_default())
        }
    }

    /// By mappings, of which each is some lines of `smaps`: its place and name, figures, and flags last.
    fn of(smaps: &str) -> Holdings {
        let mut holdings = Holdings::default();
        let (mut name, mut resident) = ("", 0);
        for line in smaps.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("Rss:") => {
                    resident = words.next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
                }
                Some("VmFlags:") => {
                    let has = |flag| words.clone().any(|other| other == flag);
                    let part = match name {
                        "[heap]" => &mut holdings.heap,
                        _ if name.starts_with('/') => &mut holdings.files,
                        _ if has("nh") => &mut holdings.stacks,
                        _ if has("hg") => &mut holdings.large,
                        _ => &mut holdings.rest,
                    };
                    *part += resident;
                }
                Some(first) if !first.ends_with(':') => name = words.nth(4).unwrap_or(""),
                _ => {}
            }
        }
        holdings
    }
}

impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holdings { files, stacks, large, heap, rest, stacks_used, stacks_kept, malloc } = *self;
        let [files, stacks, large, heap, rest, held, used] =
            [files, stacks, large, heap, rest, malloc.held, malloc.used].map(|bytes| bytes as f64 / MIB);
        write!(
            f,
            "files {files:.1}, stacks {stacks:.1} ({stacks_used} used, {stacks_kept} kept), blocks in large pages {large:.1}, \
             heap {heap:.1}, other {rest:.1}; malloc has {held:.1}, of which {used:.1} are used"
        )
    }
}

/// Looks whether resident memory has stepped.
pub(crate) struct Steps {
    level: u64,
    before: Holdings,
}

impl Steps {
    pub(crate) fn new(resident: u64) -> Steps {
        Steps { level: resident, before: Holdings::now() }
    }

    /// Remembers how things stand now.
    pub(crate) fn note(&mut self) {
        self.before = Holdings::now();
    }

    /// If it has stepped: from what to what, and who held it when that was noted last and holds it now.
    pub(crate) fn look(&mut self, resident: u64) -> Option<String> {
        let level = self.level;
        if resident <= level + STEP {
            self.level = level - level / LOOKS + resident / LOOKS;
            return None;
        }
        let (before, now) = (self.before, Holdings::now());
        *self = Steps { level: resident, before: now };
        let [level, resident] = [level, resident].map(|bytes| bytes as f64 / MIB);
        Some(format!(
            "resident memory has stepped from {level:.1} to {resident:.1} MiB\n  before: {before}\n  now:    {now}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_by_who_holds_it() {
        let smaps = "\
            7f0-7f1 r-xp 00000000 fe:00 42    /lib/libc.so.6\nSize: 8 kB\nRss:  8 kB\nVmFlags: rd ex mr\n\
            7f2-7f3 rw-p 00000000 00:00 0 \nRss:  1 kB\nVmFlags: rd wr nh\n\
            7f4-7f5 rw-p 00000000 00:00 0 \nRss:  2 kB\nVmFlags: rd wr hg\n\
            7f6-7f7 rw-p 00000000 00:00 0    [heap]\nRss:  3 kB\nVmFlags: rd wr\n\
            7f8-7f9 rw-p 00000000 00:00 0    [stack]\nRss:  4 kB\nVmFlags: rd wr gd\n\
            7fa-7fb rw-p 00000000 00:00 0 \nRss:  5 kB\nVmFlags: rd wr\n";
        let kib = |n: u64| n * 1024;
        let expected = Holdings {
            files: kib(8),
            stacks: kib(1),
            large: kib(2),
            heap: kib(3),
            rest: kib(9),
            ..Holdings::default()
        };
        assert_eq!(Holdings::of(smaps), expected);
    }

    #[test]
    fn who_holds_this_process_is_known() {
        let Holdings { files, heap, rest, malloc, .. } = Holdings::now();
        assert!(files > 0 && heap + rest > 0);
        assert!(malloc.used <= malloc.held && (malloc.used > 0 || cfg!(not(target_env = "gnu"))));
    }

    #[test]
    fn a_step_is_told_once_and_neither_noise_nor_a_warm_up_is() {
        let mut steps = Steps::new(10 << 20);
        assert!((0..500).all(|look| steps.look((10 + look / 50 + look % 5) << 20).is_none()));
        let told = steps.look(50 << 20).unwrap();
        assert!(told.contains(" to 50.0 MiB"), "{told}");
        assert!((0..500).all(|look| steps.look((50 + look % 5) << 20).is_none()));
    }
}

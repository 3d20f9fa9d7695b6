//! Which goroutines there are, and what they wait for.

use crate::sched::{self, Inhabitant};
use std::fmt;

/// The goroutines of the process at one moment; shown as Go does: `goroutine 7 "printer" [chan receive]:` and where each was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    goroutines: Vec<Inhabitant>,
    unstarted: u64,
}

/// Says which goroutines there are in all runtimes of the process.
///
/// Each worker answers for its own when it next looks around. One that is kept by a long burst for more than a second is left
/// out, and its goroutines with it. Those that have not started are counted only.
///
/// # Blocking
/// Parks the goroutine, or the OS thread, until the workers have answered.
///
/// # Examples
/// ```
/// use rendez::{chan, diag};
/// rendez::run(|| {
///     let (tx, rx) = chan::bounded::<i32>(0);
///     let printer = rendez::Builder::new().name("printer").spawn(move || rx.recv()).unwrap();
///     while !diag::dump().to_string().contains("\"printer\" [chan receive]") {
///         rendez::yield_now();
///     }
///     drop(tx);
///     assert!(printer.join().unwrap().is_err());
/// });
/// ```
pub fn dump() -> Dump {
    let (goroutines, unstarted) = sched::census_of_all();
    Dump { goroutines, unstarted }
}

impl Dump {
    /// How many goroutines there are: running, waiting, or not started.
    pub fn len(&self) -> usize {
        self.goroutines.len() + self.unstarted as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(f, &self.goroutines)?;
        match self.unstarted {
            0 => Ok(()),
            1 => f.write_str("1 goroutine has not started\n"),
            n => writeln!(f, "{n} goroutines have not started"),
        }
    }
}

/// Goroutines that were created at the same place and wait for the same are told once, with their number, when they are many.
pub(crate) fn write_all(f: &mut impl fmt::Write, all: &[Inhabitant]) -> fmt::Result {
    let mut groups: Vec<(&Inhabitant, usize)> = Vec::new();
    if all.len() <= MANY {
        groups.extend(all.iter().map(|inhabitant| (inhabitant, 1)));
    } else {
        let mut sorted: Vec<&Inhabitant> = all.iter().collect();
        let key = |i: &Inhabitant| (i.site.file(), i.site.line(), i.site.column(), i.state);
        sorted.sort_by_key(|i| (key(i), i.id));
        for inhabitant in sorted {
            match groups.last_mut() {
                Some((first, n)) if key(first) == key(inhabitant) => *n += 1,
                _ => groups.push((inhabitant, 1)),
            }
        }
        groups.sort_by_key(|(first, _)| first.id);
    }
    for (first, n) in groups {
        writeln!(f, "{first}")?;
        match n {
            1 => {}
            2 => writeln!(f, "\t(and 1 more like it)")?,
            n => writeln!(f, "\t(and {} more like it)", n - 1)?,
        }
        writeln!(f)?;
    }
    Ok(())
}

/// Up to so many are told one by one.
const MANY: usize = 20;

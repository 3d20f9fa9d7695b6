//! Which goroutines there are, and what they wait for.

use super::{
    backtrace,
    told::{Book, written_in},
};
use crate::sched::{self, Inhabitant};
use std::fmt;

/// The goroutines of the process at one moment; shown as Go does: `goroutine 7 "printer" [chan receive, 2 minutes]:`, the calls on its
/// stack, from the operation that it waits in to its closure, and by which function and where it was created. (By which is known of those
/// that were given a closure: it is the one in which that is written.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    goroutines: Vec<Inhabitant>,
    unstarted: u64,
    unseen: u64,
}

/// Says which goroutines there are in all runtimes of the process.
///
/// Each worker answers for its own when it next looks around. One that is kept by a long burst for more than a second is left
/// out, and its goroutines with it, of which only the number is told (`RENDEZ_STUCK` tells who keeps it). Those that have not
/// started are counted only. How long one has waited is said from a minute on.
///
/// Of a crowd that was created at one place and waits for the same kind of thing the first few are looked at, and the others told as
/// a number: a million goroutines make no longer text than a hundred. To be looked at, a goroutine's stack is resumed for a
/// moment, and may keep some kilobytes more of memory afterwards; one that has hardly any room left is not, and has no calls
/// shown. Nor has an async goroutine, which has no stack while it waits, or one that runs on another thread.
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
    let sched::Everybody { all, unstarted, unseen } = sched::census_of_all();
    Dump { goroutines: all, unstarted, unseen }
}

impl Dump {
    /// How many goroutines there are: running, waiting, or not started.
    pub fn len(&self) -> usize {
        (sched::count(&self.goroutines) + self.unstarted + self.unseen) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(f, &self.goroutines)?;
        match self.unseen {
            0 => {}
            n => writeln!(
                f,
                "{} not shown: one of them keeps their worker, which does not answer (with RENDEZ_STUCK=1000 in the environment that is told)",
                match n {
                    1 => "1 goroutine is".to_owned(),
                    n => format!("{n} goroutines are"),
                }
            )?,
        }
        match self.unstarted {
            0 => Ok(()),
            1 => f.write_str("1 goroutine has not started\n"),
            n => writeln!(f, "{n} goroutines have not started"),
        }
    }
}

/// Each with the frames of its stack, where they were looked at. When they are many, those that were created at the same place,
/// wait for the same kind of thing, and have the same frames, are told once, with their number.
pub(crate) fn write_all(f: &mut impl fmt::Write, all: &[Inhabitant]) -> fmt::Result {
    let book = Book::of(all);
    let stack = |inhabitant: &Inhabitant| {
        let mut stack = String::new();
        // Into a String, which takes all.
        let _ = backtrace::write(&mut stack, &inhabitant.frames);
        stack
    };
    let told: Vec<(&Inhabitant, String)> = all.iter().zip(all.iter().map(stack)).collect();
    for (first, stack, n) in groups(&told) {
        first.write_title(f)?;
        write!(f, "\n{stack}")?;
        book.write_things(f, first)?;
        match (first.site, first.type_name.and_then(written_in)) {
            (Some(site), Some(function)) => writeln!(f, "\tcreated by {function} at {site}")?,
            (Some(site), None) => writeln!(f, "\tcreated at {site}")?,
            (None, _) => {}
        }
        if n > 1 {
            writeln!(f, "\t(and {} more like it)", n - 1)?;
        }
        f.write_char('\n')?;
    }
    Ok(())
}

/// The first of each group, with its stack, and how many it has.
fn groups<'a>(all: &'a [(&'a Inhabitant, String)]) -> Vec<(&'a Inhabitant, &'a str, u64)> {
    if all.len() <= MANY {
        return all.iter().map(|(one, stack)| (*one, &**stack, 1 + one.alike)).collect();
    }
    let site =
        |i: &Inhabitant| (i.site.map(|site| (site.file(), site.line(), site.column())), i.state, i.awaited);
    // Those whose stacks are not known come after all others of their site, and are taken to be like those.
    let mut sorted: Vec<&(&Inhabitant, String)> = all.iter().collect();
    sorted.sort_by_key(|(one, stack)| (site(one), stack.is_empty(), stack, one.id));
    let mut groups: Vec<(&'a Inhabitant, &'a str, u64)> = Vec::new();
    for (one, stack) in sorted {
        match groups.last_mut() {
            Some((first, first_stack, n))
                if site(first) == site(one) && (first_stack == stack || stack.is_empty()) =>
            {
                *n += 1 + one.alike;
            }
            _ => groups.push((one, stack, 1 + one.alike)),
        }
    }
    groups.sort_by_key(|(first, ..)| first.id);
    groups
}

/// Up to so many are told one by one.
const MANY: usize = 20;

//! Every schedule once, depth first: the last decision that has an option left takes the next one, and what follows begins
//! anew by the habits. Stateless, as in VeriSoft (Godefroid, "Model checking for programming languages using VeriSoft", POPL
//! 1997): a schedule's beginning is run again each time.
//!
//! With a bound on preemptions (Musuvathi and Qadeer, "Iterative context bounding for systematic testing of multithreaded
//! programs", PLDI 2007) only schedules that take the processor from a goroutine that could go on at most so many times
//! are tried. Most bugs need two or three.

use super::{Options, Strategy};

#[derive(Debug)]
struct Branch {
    taken: usize,
    of: usize,
}

#[derive(Debug)]
pub(in crate::testing) struct Exhaustive {
    bound: Option<usize>,
    path: Vec<Branch>,
    at: usize,
    preemptions: usize,
}

impl Exhaustive {
    pub(in crate::testing) fn new(bound: Option<usize>) -> Self {
        Exhaustive { bound, path: Vec::new(), at: 0, preemptions: 0 }
    }

    fn decide(&mut self, of: usize) -> usize {
        if self.at == self.path.len() {
            self.path.push(Branch { taken: 0, of });
        }
        let branch = &self.path[self.at];
        assert_eq!(
            branch.of, of,
            "rendez: the program does not do the same again under the same schedule, so its schedules can't be searched: \
             does it depend on time, addresses, hash maps' order, or on threads that rendez does not schedule?"
        );
        self.at += 1;
        branch.taken
    }
}

impl Strategy for Exhaustive {
    fn begin(&mut self, _seed: u64) {
        self.at = 0;
        self.preemptions = 0;
    }

    fn schedule(&mut self, options: &Options<'_>) -> usize {
        if options.preempts(1) && self.bound.is_some_and(|bound| self.preemptions >= bound) {
            return 0;
        }
        let taken = self.decide(options.len());
        self.preemptions += usize::from(options.preempts(taken));
        taken
    }

    fn pick(&mut self, n: usize) -> usize {
        self.decide(n)
    }

    fn end(&mut self) -> bool {
        // What lies behind a branch that this schedule did not come to is of another one's: there is none.
        self.path.truncate(self.at);
        while let Some(last) = self.path.last_mut() {
            last.taken += 1;
            if last.taken < last.of {
                return true;
            }
            self.path.pop();
        }
        false
    }

    fn is_seeded(&self) -> bool {
        false
    }
}

//! What went in and what came out.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// The accounts of one scene.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    made: AtomicU64,
    received: AtomicU64,
    /// By an error, or by an operation that lost.
    returned: AtomicU64,
    /// Dropped on the way: by who went with values in hand, or with the last receiver.
    lost: AtomicU64,
    started: AtomicU64,
    ended: AtomicU64,
    /// Whether values may get lost here.
    rough: AtomicBool,
}

/// The same as numbers, of one scene or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) made: u64,
    pub(crate) received: u64,
    pub(crate) returned: u64,
    pub(crate) lost: u64,
    pub(crate) started: u64,
    pub(crate) ended: u64,
}

impl Ledger {
    pub(crate) fn make(self: &Arc<Self>) -> Value {
        self.made.fetch_add(1, Relaxed);
        Value { ledger: self.clone(), fate: Fate::Lost }
    }

    /// For whoever is about to start: to be kept until it ends, or is dropped unstarted.
    pub(crate) fn part(self: &Arc<Self>) -> Part {
        self.started.fetch_add(1, Relaxed);
        Part(self.clone())
    }

    /// From now on values may get lost.
    pub(crate) fn allow_loss(&self) {
        self.rough.store(true, Relaxed);
    }

    pub(crate) fn sums(&self) -> Sums {
        Sums {
            made: self.made.load(Relaxed),
            received: self.received.load(Relaxed),
            returned: self.returned.load(Relaxed),
            lost: self.lost.load(Relaxed),
            started: self.started.load(Relaxed),
            ended: self.ended.load(Relaxed),
        }
    }

    /// What does not add up.
    pub(crate) fn mismatch(&self) -> Option<String> {
        let Sums { made, received, returned, lost, started, ended } = self.sums();
        if made != received + returned + lost {
            return Some(format!(
                "{made} values were made, {received} received, {returned} returned and {lost} dropped on the way"
            ));
        }
        if lost != 0 && !self.rough.load(Relaxed) {
            return Some(format!("{lost} of {made} values were lost where none may be"));
        }
        (started != ended).then(|| format!("{started} were started and {ended} have ended"))
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.made += other.made;
        self.received += other.received;
        self.returned += other.returned;
        self.lost += other.lost;
        self.started += other.started;
        self.ended += other.ended;
    }
}

/// Counts as ended when it is dropped.
#[derive(Debug)]
pub(crate) struct Part(Arc<Ledger>);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Received,
    Returned,
    Lost,
}

/// A value on its way. Whoever gets it says so; if nobody does before it is dropped, it was lost.
#[derive(Debug)]
pub(crate) struct Value {
    ledger: Arc<Ledger>,
    fate: Fate,
}

impl Value {
    pub(crate) fn receive(mut self) {
        self.fate = Fate::Received;
    }

    pub(crate) fn give_back(mut self) {
        self.fate = Fate::Returned;
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        let count = match self.fate {
            Fate::Received => &self.ledger.received,
            Fate::Returned => &self.ledger.returned,
            Fate::Lost => &self.ledger.lost,
        };
        count.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_every_part_is_accounted_for() {
        let ledger = Arc::new(Ledger::default());
        let part = ledger.part();
        assert!(ledger.mismatch().unwrap().contains("1 were started"));
        ledger.make().receive();
        ledger.make().give_back();
        drop(part);
        assert_eq!(ledger.mismatch(), None);
        let value = ledger.make();
        assert!(ledger.mismatch().unwrap().starts_with("3 values were made"));
        drop(value);
        assert!(ledger.mismatch().unwrap().contains("1 of 3 values were lost"));
        ledger.allow_loss();
        assert_eq!(ledger.mismatch(), None);
    }
}

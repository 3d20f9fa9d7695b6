//! Goroutines that wait only for each other.
//!
//! # Who is dead
//!
//! At first all are taken to be that are parked without a time limit, at things that know who could end the wait
//! ([`End`]). Then whoever has a thing that somebody else could bring is not, and whoever can be helped by that one is not, and so
//! on, until nothing changes. Those who are left can be helped only by each other: they are dead, for ever. What can end
//! a wait:
//!
//! | for | who |
//! | --- | --- |
//! | a lock that a goroutine holds | that goroutine |
//! | the end of a goroutine; a function that is called once | that goroutine |
//! | the goroutines of a scope | all of them, so one that is dead is enough |
//! | a nil channel | nobody |
//! | a channel | whoever has one of its ends, of either side |
//! | a wait group | whoever has one of its handles |
//! | a condition, permits, readers, a context, time, the system | anybody |
//!
//! Who has the ends of a channel nobody keeps books of. But how many there are is counted, and a goroutine has, or had, those
//! that it was [given](super::given) when it was created, and one at which it waits. If those of the dead are exactly as many as there are,
//! and nobody who is alive was given one, nobody else has any. So one that lies in a vector, on a thread's stack, or with its maker keeps all alive
//! who wait for its channel, and so does one that was passed on to another goroutine as that was created: then they are more than there
//! are. Nothing is said then, which may be a miss.
//!
//! What is said of locks, ends and scopes is certain (but a guard that was sent to another goroutine is taken to be where it was
//! locked). What is said of channels and wait groups is *probable*: a goroutine may have passed on what it was given by other
//! ways, through a channel or a variable that is shared, and gone to sleep.
//!
//! # At one instant
//!
//! Workers are asked one after another, and meanwhile goroutines run. So who asks about a part of a process that goes on asks twice, and
//! takes only those who have not run in between, and had not been woken the second time: all of them were parked at the moment
//! between the two questions. What was read of their things is of later moments, each its own. That does no harm: let one of those who
//! are found be the first to be woken, after it was looked at. Who could do that was, when it was looked at, one of them, and would have to
//! run before; but he is parked until he is woken, which is not before.

use super::Inhabitant;
use crate::wait::End;
use std::collections::HashMap;

/// Of those who were given an end of one channel, so many are told, or followed.
const FOLLOWED: usize = 8;

/// Some who wait only for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Knot {
    /// By their places in the list, which rise.
    pub(crate) members: Vec<usize>,
    /// Nobody of them can be helped from elsewhere by what a thing does not know.
    pub(crate) is_certain: bool,
    /// Some of them in a circle, each waiting for the next, if there is one.
    pub(crate) ring: Vec<Edge>,
}

/// One waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    /// Which of the things that it waits for.
    pub(crate) thing: usize,
    pub(crate) to: usize,
}

/// Where they are in the list.
pub(crate) struct Places {
    by_number: HashMap<u64, usize>,
    /// By the low bits, which is all that locks know; `None` if several have them.
    by_low_bits: HashMap<u32, Option<usize>>,
}

impl Places {
    pub(crate) fn of(all: &[Inhabitant]) -> Places {
        let by_number = all.iter().enumerate().map(|(at, one)| (one.key, at)).collect();
        let mut by_low_bits = HashMap::new();
        for (at, one) in all.iter().enumerate() {
            by_low_bits.entry(one.key as u32).and_modify(|place| *place = None).or_insert(Some(at));
        }
        Places { by_number, by_low_bits }
    }

    /// Of the one goroutine that can end a wait, if it is one.
    pub(crate) fn of_end(&self, end: End) -> Option<usize> {
        match end {
            End::Goroutine(id) | End::Caller(id) => self.by_number.get(&id).copied(),
            End::Holder(id) => self.by_low_bits.get(&id).copied().flatten(),
            _ => None,
        }
    }
}

/// Those among whom the dead are looked for.
struct Search<'a> {
    all: &'a [Inhabitant],
    is_dead: Vec<bool>,
    places: Places,
    /// By a word that is waited for: who has it, with how many, and who waits for it.
    words: HashMap<usize, Word>,
    /// Who waits for a goroutine, by its place.
    waiting: HashMap<usize, Vec<usize>>,
    /// The words that each of the dead has, and how often.
    own: Vec<Vec<(usize, usize)>>,
}

#[derive(Default)]
struct Word {
    owners: Vec<usize>,
    /// How many those have that are dead.
    count: usize,
    /// How many others there are who may have one.
    others: usize,
    /// How many there are. With fewer there is somebody else who has one; with more, somebody has passed one on, or dropped it.
    needed: usize,
    waiting: Vec<usize>,
}

impl Word {
    /// Whether the dead have all there are, and nobody else could have one. It does not become so again.
    fn is_with_the_dead(&self) -> bool {
        self.others == 0 && self.count == self.needed
    }
}

fn word_of(end: End) -> Option<usize> {
    match end {
        End::Ends { word, .. } | End::Handles { word, .. } | End::Children { word, .. } => Some(word),
        _ => None,
    }
}

/// How many of its word all have together who could end a wait.
fn needed(end: End) -> usize {
    match end {
        End::Ends { senders, receivers, .. } => senders + receivers,
        End::Handles { handles, .. } => handles,
        _ => 1,
    }
}

/// Those of `all` who wait only for each other; only who `may` be is taken to be.
pub(crate) fn knots(all: &[Inhabitant], may: impl Fn(&Inhabitant) -> bool) -> Vec<Knot> {
    let mut search = Search::new(all, may);
    search.run();
    search.knots()
}

impl<'a> Search<'a> {
    fn new(all: &'a [Inhabitant], may: impl Fn(&Inhabitant) -> bool) -> Self {
        let is_dead: Vec<bool> =
            all.iter().map(|one| one.is_stuck && !one.things.is_empty() && may(one)).collect();
        let places = Places::of(all);
        let mut words: HashMap<usize, Word> = HashMap::new();
        let mut waiting: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, one) in all.iter().enumerate().filter(|(at, _)| is_dead[*at]) {
            for thing in &one.things {
                if let Some(other) = places.of_end(thing.end) {
                    waiting.entry(other).or_default().push(at);
                }
                if let Some(word) = word_of(thing.end) {
                    let word = words.entry(word).or_default();
                    word.waiting.push(at);
                    // (They are counted while some go.)
                    word.needed = word.needed.max(needed(thing.end));
                }
            }
        }
        let mut owned = vec![Vec::new(); all.len()];
        for (at, one) in all.iter().enumerate() {
            let mut own: Vec<(usize, usize)> = Vec::new();
            for &word in one.given.iter().filter(|word| words.contains_key(word)) {
                match own.iter_mut().find(|(other, _)| *other == word) {
                    Some((_, n)) => *n += 1,
                    None => own.push((word, 1)),
                }
            }
            // An end at which it waits may be one that it was given.
            for thing in &one.things {
                if let End::Ends { word, .. } | End::Handles { word, .. } = thing.end
                    && !own.iter().any(|(other, _)| *other == word)
                {
                    own.push((word, 1));
                }
            }
            for &(word, n) in &own {
                let Some(word) = words.get_mut(&word) else { continue };
                if is_dead[at] {
                    word.owners.push(at);
                    word.count += n;
                } else {
                    word.others += 1;
                }
            }
            owned[at] = own;
        }
        Search { all, is_dead, places, words, waiting, own: owned }
    }

    /// Whether somebody who is not dead may end its wait.
    fn has_hope(&self, at: usize) -> bool {
        let word = |word| self.words.get(&word).expect("it is waited for");
        !self.all[at].things.iter().all(|thing| match thing.end {
            End::Nobody => true,
            end @ (End::Goroutine(_) | End::Caller(_) | End::Holder(_)) => {
                self.places.of_end(end).is_some_and(|at| self.is_dead[at])
            }
            End::Children { word: key, .. } => word(key).count > 0,
            End::Ends { word: key, .. } | End::Handles { word: key, .. } => word(key).is_with_the_dead(),
            End::Anybody
            | End::Thread
            | End::Passing
            | End::Readers(_)
            | End::Permits { .. }
            | End::Arrivals { .. } => false,
        })
    }

    fn run(&mut self) {
        let mut doubtful: Vec<usize> = (0..self.all.len()).filter(|&at| self.is_dead[at]).collect();
        while let Some(at) = doubtful.pop() {
            if !self.is_dead[at] || !self.has_hope(at) {
                continue;
            }
            self.is_dead[at] = false;
            doubtful.extend(self.waiting.get(&at).into_iter().flatten());
            for (word, n) in std::mem::take(&mut self.own[at]) {
                let Some(word) = self.words.get_mut(&word) else { continue };
                let (was_with_them, had_any) = (word.is_with_the_dead(), word.count > 0);
                word.count -= n;
                word.others += 1;
                // (Of a scope one that is dead is enough.)
                if was_with_them || had_any && word.count == 0 {
                    doubtful.extend(&word.waiting);
                }
            }
        }
    }

    /// For whom the dead one at this place waits: those first of whom it is certain.
    fn edges(&self, from: usize) -> Vec<Edge> {
        let mut certain = Vec::new();
        let mut probable = Vec::new();
        for (index, thing) in self.all[from].things.iter().enumerate() {
            let edge = |to| Edge { from, thing: index, to };
            match self.places.of_end(thing.end) {
                Some(to) => certain.extend(Some(edge(to)).filter(|_| self.is_dead[to])),
                None => {
                    let end = thing.end;
                    let word = word_of(end).and_then(|word| self.words.get(&word));
                    let owners = word.into_iter().flat_map(|word| &word.owners).copied();
                    let others = owners.filter(|&to| to != from && self.is_dead[to]);
                    probable.extend(others.take(FOLLOWED).map(edge));
                }
            }
        }
        certain.extend(probable);
        certain
    }

    fn knots(&self) -> Vec<Knot> {
        let dead: Vec<usize> = (0..self.all.len()).filter(|&at| self.is_dead[at]).collect();
        // Trees of those who belong together, by who is above each.
        let mut above: Vec<usize> = (0..self.all.len()).collect();
        fn root(above: &mut [usize], mut at: usize) -> usize {
            while above[at] != at {
                above[at] = above[above[at]];
                at = above[at];
            }
            at
        }
        for &at in &dead {
            for edge in self.edges(at) {
                let (one, other) = (root(&mut above, at), root(&mut above, edge.to));
                above[one.max(other)] = one.min(other);
            }
        }
        let mut knots: Vec<Knot> = Vec::new();
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        for &at in &dead {
            let number = *numbers.entry(root(&mut above, at)).or_insert_with(|| {
                knots.push(Knot { members: Vec::new(), is_certain: true, ring: Vec::new() });
                knots.len() - 1
            });
            let knot = &mut knots[number];
            knot.members.push(at);
            let is_probable = |end| matches!(end, End::Ends { .. } | End::Handles { .. });
            knot.is_certain &= !self.all[at].things.iter().any(|thing| is_probable(thing.end));
        }
        for knot in &mut knots {
            knot.ring = self.ring(&knot.members);
        }
        knots
    }

    /// A circle among these, the shortest through one of those who are in any.
    fn ring(&self, members: &[usize]) -> Vec<Edge> {
        let mut walk_of: HashMap<usize, usize> = HashMap::new();
        for (walk, &start) in members.iter().enumerate() {
            let mut at = start;
            loop {
                match walk_of.insert(at, walk) {
                    // It has come back to where it was: from there, by the shortest way.
                    Some(before) if before == walk => return self.way_back(at),
                    // An earlier walk has been here, and has found none.
                    Some(_) => break,
                    None => match self.edges(at).first() {
                        Some(edge) => at = edge.to,
                        None => break,
                    },
                }
            }
        }
        Vec::new()
    }

    /// The shortest way from one to itself, of which there is one.
    fn way_back(&self, start: usize) -> Vec<Edge> {
        let mut came_by: HashMap<usize, Edge> = HashMap::new();
        let mut next = std::collections::VecDeque::from([start]);
        while let Some(at) = next.pop_front() {
            for edge in self.edges(at) {
                if edge.to == start {
                    let mut way = vec![edge];
                    while way[way.len() - 1].from != start {
                        way.push(came_by[&way[way.len() - 1].from]);
                    }
                    way.reverse();
                    return way;
                }
                came_by.entry(edge.to).or_insert_with(|| {
                    next.push_back(edge.to);
                    edge
                });
            }
        }
        Vec::new()
    }
}

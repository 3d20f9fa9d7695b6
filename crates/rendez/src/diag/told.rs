//! What goroutines wait for, in words.

use crate::{
    sched::{Edge, Inhabitant, Knot, Places},
    wait::{End, Thing},
};
use std::{
    borrow::Cow,
    collections::HashMap,
    fmt::{self, Write},
};

/// Of a select with more arms than this the others are told as a number.
const MOST_THINGS: usize = 8;
/// And so many of those who were given an end.
const MOST_OWNERS: usize = 3;
/// Of a circle that is longer so many are told.
const MOST_OF_A_RING: usize = 12;

/// Who is there, to be looked up.
pub(super) struct Book<'a> {
    all: &'a [Inhabitant],
    places: Places,
    /// Who was given a word that is waited for.
    owners: HashMap<usize, Vec<usize>>,
}

impl<'a> Book<'a> {
    pub(super) fn of(all: &'a [Inhabitant]) -> Self {
        let places = Places::of(all);
        let words = all.iter().flat_map(|one| &one.things).filter_map(|thing| match thing.end {
            End::Ends { word, .. } | End::Handles { word, .. } => Some((word, Vec::new())),
            _ => None,
        });
        let mut owners: HashMap<usize, Vec<usize>> = words.collect();
        for (at, one) in all.iter().enumerate() {
            for word in &one.given {
                if let Some(owners) = owners.get_mut(word)
                    && owners.last() != Some(&at)
                {
                    owners.push(at);
                }
            }
        }
        Book { all, places, owners }
    }

    /// Of the one who can end a wait.
    fn title(&self, end: End) -> Cow<'a, str> {
        match (self.places.of_end(end), end) {
            (Some(at), _) => Cow::Borrowed(&self.all[at].title),
            (_, End::Goroutine(id) | End::Caller(id)) => Cow::Owned(format!("goroutine {id}")),
            (_, End::Holder(id)) => Cow::Owned(format!("goroutine {id}")),
            _ => Cow::Borrowed("somebody"),
        }
    }

    /// What one of them waits for, a line for each thing.
    pub(super) fn lines(&self, one: &Inhabitant) -> Vec<String> {
        let told = one.things.iter().take(MOST_THINGS);
        let mut lines: Vec<String> =
            told.map(|thing| format!("waits for {}", self.thing(one, thing))).collect();
        if one.things.len() > MOST_THINGS {
            lines.push(format!("and for {} more", one.things.len() - MOST_THINGS));
        }
        lines.extend(one.awaited.map(|(why, made)| match made {
            Some(made) => format!("awaited last: {why}, at the channel made at {made}"),
            None => format!("awaited last: {why}"),
        }));
        lines
    }

    pub(super) fn write_things(&self, f: &mut impl Write, one: &Inhabitant) -> fmt::Result {
        self.lines(one).iter().try_for_each(|line| writeln!(f, "\t{line}"))
    }

    fn thing(&self, one: &Inhabitant, thing: &Thing) -> String {
        let mut text = name(thing);
        if let Some(of) = thing.of {
            let _ = write!(text, " of {}", short(of));
        }
        if let Some(made) = thing.made {
            let _ = write!(text, ", made at {made}");
        }
        let _ = match thing.end {
            End::Nobody if thing.of.is_some() => write!(text, ": nothing will ever come"),
            End::Nobody | End::Anybody => Ok(()),
            end @ End::Goroutine(_) => write!(text, " {}", self.title(end)),
            End::Caller(id) if id == one.key => write!(text, ", by itself"),
            end @ End::Caller(_) => write!(text, ", by {}", self.title(end)),
            End::Holder(id) if id == one.key as u32 => write!(text, ", which it holds itself"),
            end @ End::Holder(_) => write!(text, ", held by {}", self.title(end)),
            End::Thread => write!(text, ", held by a thread that is no goroutine"),
            End::Passing => write!(text, ", which is being handed on"),
            End::Readers(n) => write!(text, ", held by {}", number(n as usize, "reader")),
            End::Children { count, .. } => write!(text, ", of which {count} {} not ended", have(count)),
            End::Ends { senders, receivers, word } => {
                let ends = senders + receivers;
                let (senders, receivers) = (number(senders, "sender"), number(receivers, "receiver"));
                write!(text, "; it has {senders} and {receivers}")
                    .and(self.write_owners(&mut text, one, word, "an end"))
                    .and(self.write_others(&mut text, ends, word))
            }
            End::Handles { count, handles, word } => {
                let handles = number(handles, "handle");
                write!(text, ", whose counter is {count}; it has {handles}")
                    .and(self.write_owners(&mut text, one, word, "a handle"))
            }
            End::Arrivals { came, number } => write!(text, ": {came} of {number} have come"),
            End::Permits { wanted, free, total } => {
                write!(
                    text,
                    ": it wants {wanted} of its {}, and {free} {} free",
                    number(total, "permit"),
                    are(free)
                )
            }
        };
        text
    }

    /// Who else was given a word.
    fn write_owners(&self, text: &mut String, one: &Inhabitant, word: usize, what: &str) -> fmt::Result {
        let owners = self.owners.get(&word).into_iter().flatten().map(|&at| &self.all[at]);
        let owners: Vec<&Inhabitant> = owners.filter(|other| other.key != one.key).collect();
        for (index, owner) in owners.iter().take(MOST_OWNERS).enumerate() {
            match index {
                0 => write!(text, "; {what} was given to {}", owner.title)?,
                _ => write!(text, ", {}", owner.title)?,
            }
        }
        match owners.len().saturating_sub(MOST_OWNERS) {
            0 => Ok(()),
            more => write!(text, " and {more} more"),
        }
    }

    /// How many ends of a channel nobody was given, or waits at.
    fn write_others(&self, text: &mut String, ends: usize, word: usize) -> fmt::Result {
        let is_here = |thing: &Thing| matches!(thing.end, End::Ends { word: other, .. } if other == word);
        let with = |one: &Inhabitant| {
            let given = one.given.iter().filter(|other| **other == word).count();
            given.max(usize::from(one.things.iter().any(is_here)))
        };
        // (Who is only counted could have some.)
        match ends.saturating_sub(self.all.iter().map(with).sum()) {
            others if others > 0 && self.all.iter().all(|one| one.alike == 0) => {
                write!(
                    text,
                    "; {} {} left with its maker, or was passed on",
                    number(others, "end"),
                    are(others)
                )
            }
            _ => Ok(()),
        }
    }

    fn write_edge(&self, f: &mut impl Write, edge: Edge) -> fmt::Result {
        let (from, to) = (&self.all[edge.from], &self.all[edge.to]);
        let thing = &from.things[edge.thing];
        write!(f, "{} waits for {}", from.title, name(thing))?;
        if edge.from == edge.to {
            return f.write_str(match thing.end {
                End::Goroutine(_) => " itself",
                End::Caller(_) => ", by itself",
                End::Children { .. } => ", one of which it is itself",
                _ => ", which it holds itself",
            });
        }
        f.write_str(match thing.end {
            End::Goroutine(_) => " ",
            End::Holder(_) => ", held by ",
            End::Caller(_) => ", by ",
            End::Children { .. } => ", one of which is ",
            End::Handles { .. } => ", a handle of which was given to ",
            _ => ", an end of which was given to ",
        })?;
        f.write_str(&to.title)
    }
}

/// As `channel "jobs"`.
fn name(thing: &Thing) -> String {
    match &thing.name {
        Some(name) => format!("{} {name:?}", thing.what),
        None => thing.what.to_owned(),
    }
}

fn number(n: usize, of: &str) -> String {
    format!("{n} {of}{}", if n == 1 { "" } else { "s" })
}

fn have(n: i32) -> &'static str {
    if n == 1 { "has" } else { "have" }
}

fn are(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

/// A type's name without the modules where the types are.
fn short(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut word = String::new();
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ':' && chars.peek() == Some(&':') {
            chars.next();
            word.clear();
        } else if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            text.push_str(&word);
            word.clear();
            text.push(c);
        }
    }
    text + &word
}

/// The function in which a closure is written, by its type's name, in which it may be wrapped into closures of ours.
pub(super) fn written_in(type_name: &str) -> Option<&str> {
    let mut words = type_name.split(|c: char| !(c.is_alphanumeric() || "_:{}".contains(c)));
    words.find_map(|word| {
        let function = word.strip_suffix("::{{closure}}")?;
        let is_whole = function.starts_with(|c: char| c.is_alphabetic() || c == '_');
        (is_whole && !function.starts_with("rendez::")).then_some(function)
    })
}

/// The circles in which some wait for each other.
pub(crate) fn write_rings(f: &mut impl Write, all: &[Inhabitant], knots: &[Knot]) -> fmt::Result {
    let book = Book::of(all);
    for knot in knots.iter().filter(|knot| !knot.ring.is_empty()) {
        match knot.ring.len() {
            1 => f.write_str("it waits for itself:\n")?,
            _ => f.write_str("they wait for each other in a circle:\n")?,
        }
        for (index, &edge) in knot.ring.iter().take(MOST_OF_A_RING).enumerate() {
            f.write_char('\t')?;
            book.write_edge(f, edge)?;
            f.write_str(if index + 1 == knot.ring.len() { ".\n" } else { ";\n" })?;
        }
        if knot.ring.len() > MOST_OF_A_RING {
            writeln!(f, "\tand so on, through {} more.", knot.ring.len() - MOST_OF_A_RING)?;
        }
        f.write_char('\n')?;
    }
    Ok(())
}

/// For whom a line is enough: each with what it waits for, and after all of them the circles.
#[cfg(feature = "testing")]
pub(crate) fn write_waits(f: &mut impl Write, told: &[Inhabitant], all: &[Inhabitant]) -> fmt::Result {
    let book = Book::of(all);
    for one in told {
        write!(f, "\n\n{one}")?;
        book.lines(one).iter().try_for_each(|line| write!(f, "\n\t{line}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{short, written_in};

    #[test]
    fn a_closure_is_written_in_a_function_of_the_program() {
        assert_eq!(written_in("shop::main::{{closure}}"), Some("shop::main"));
        assert_eq!(written_in("shop::main::{{closure}}::{{closure}}"), Some("shop::main::{{closure}}"));
        let wrapped = "rendez::task::scope::Scope::go<shop::serve::{{closure}}, ()>::{{closure}}";
        assert_eq!(written_in(wrapped), Some("shop::serve"));
        assert_eq!(written_in("rendez::pattern::fan::map::{{closure}}"), None);
        assert_eq!(written_in("<shop::A as shop::B>::run::{{closure}}"), None);
        assert_eq!(written_in("fn()"), None);
    }

    #[test]
    fn types_are_told_without_their_modules() {
        assert_eq!(short("i32"), "i32");
        assert_eq!(
            short("alloc::vec::Vec<core::option::Option<alloc::string::String>>"),
            "Vec<Option<String>>"
        );
        assert_eq!(short("(a::B, &[c::d::E; 3])"), "(B, &[E; 3])");
        assert_eq!(short("dyn core::any::Any + core::marker::Send"), "dyn Any + Send");
    }
}

//! 1. Fork and join.
//!
//! **The notes:** `go` forks a child off its parent, and a join point brings them together again. Take care with
//! closures: the first version of the program shares the loop's variable with its goroutines, and before Go 1.22 they
//! all greeted with the last value.
//!
//! **In Rust** that first version does not compile: a goroutine may outlive the loop, so its closure has to own what it
//! uses (`move`), and each turn of the loop gives it a value of its own. `go` returns a handle, so joining needs no
//! `WaitGroup`, and it brings back the result, or the panic. A child that must end inside its parent's block may borrow:
//! that is what [`scope`] is for.

use rendez::{go, scope};

use crate::output::{Check, Output, ensure};

const SALUTATIONS: [&str; 3] = ["hello", "greetings", "good days"];

pub(crate) fn run(out: &Output) -> Check {
    // Owned: each goroutine has its own salutation and its own handle of the output.
    let mut handles = Vec::new();
    for salutation in SALUTATIONS {
        let out = out.clone();
        handles.push(go(move || out.say(salutation)));
    }
    for handle in handles {
        handle.join()?;
    }

    // Borrowed: all of them are joined where the scope ends, at the latest.
    let capitals = SALUTATIONS.map(str::to_uppercase);
    scope(|s| {
        for salutation in &capitals {
            s.go(move || out.say(salutation));
        }
    });

    let first_capital = out.lines().iter().position(|line| capitals.contains(line));
    ensure(first_capital == Some(3), "a join came before its goroutine's end")?;
    out.expect_in_any_order(SALUTATIONS.into_iter().chain(capitals.iter().map(String::as_str)))
}

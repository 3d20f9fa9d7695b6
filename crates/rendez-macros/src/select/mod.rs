//! `select!`: what may stand in it, and what it becomes.
//!
//! ```text
//! select  := [ "biased" ";" ] { arm }                      a "," after each arm; may be left out after a block
//! arm     := { "#[cfg(" P ")]" } head [ "->" PATTERN ] "=>" BODY
//! head    := "recv" "(" RX ")" | "send" "(" TX "," VALUE ")" | "send" "(" TX "," "take" SLOT ")" | "wait" "(" EVENT ")"
//! default := "default" [ "(" DURATION ")" ] "=>" BODY      in any place among the arms, once
//! ```
//!
//! `parse` reads that, with the help of `recover` where it is broken; `expand` writes this, where `private` stands for
//! `::rendez::__private` and the names are out of the user's sight (mixed-site hygiene):
//!
//! ```text
//! {
//!     enum __Chosen<T0, T1> { Arm0(T0), Arm1(T1) }
//!     let chosen;
//!     match (private::recv(&(RX)), private::send(&(TX), VALUE)) {
//!         (mut arm0, mut arm1) => chosen = match private::block(&mut [&mut arm0, &mut arm1], BIASED) {
//!             0 => __Chosen::Arm0(private::finish(&mut arm0)),
//!             _ => __Chosen::Arm1(private::finish(&mut arm1)),
//!         },
//!     };
//!     match chosen {
//!         __Chosen::Arm0(_) => {
//!             let value = match { chosen } { __Chosen::Arm0(value) => value, _ => unreachable!() };
//!             let PATTERN = value;
//!             BODY
//!         }
//!         __Chosen::Arm1(_) => { .. }                         and for `default`: { match { chosen } { _ => {} } BODY }
//!     }
//! }
//! ```
//!
//! Why in this shape:
//!
//! * The operands stand in one tuple, so they are evaluated once and in source order, and their temporaries live until
//!   the `;` of that `match`: through the wait, and not into the bodies. A lock guard in an operand is released before
//!   the body runs.
//! * The arms borrow from the operands and end with the same `;`. So a body may assign to what the arms looked at, which
//!   is Go's idiom of setting a channel to nil.
//! * `chosen` is there before the arms: a losing value whose drop panics does so when the result is safe in it. (As the value
//!   of the `match` it would be leaked by the compiler, rust-lang/rust#47949.)
//! * The bodies stand in no closure and no labelled block, so `return`, `break`, `continue` and `?` mean what they say.
//!   That is why the result travels in an enum, made anew for each use with the variants that it needs.
//! * A body begins by moving all of `chosen` away. Moving out only its own arm's value would leave the rest to be dropped
//!   at the end, and to the borrow checker that is a use of whatever the results of the other arms borrow.
//! * Nothing needs a trait on the tuple, so there may be any number of arms.
//! * `let PATTERN` and not a pattern in the arm of the `match`: what is said of a refutable pattern is said at the
//!   pattern, without a word of the enum.
//!
//! An arm under `#[cfg(P)]` keeps its place: where `P` doesn't hold, a receiver that is never ready stands in for it.

mod expand;
mod parse;
mod recover;

pub(crate) use expand::expand;

#[cfg(test)]
mod tests;

//! Switching between stacks: a [`Coroutine`] is a stack on which something runs that can be left and gone back to.
//!
//! On x86-64 the switch is written here, elsewhere it is the crate corosensei's. The reason is the processor's *return
//! stack*: it notes where each `call` comes from, and takes that for where the next `ret` goes. corosensei leaves the worker's
//! stack by a `call` and comes back by a `ret`, so that coroutines which are left and gone back to in the same function cost no wrong
//! guess. But a goroutine parks some calls deep: then its `ret` to the worker is guessed to go to the last of these calls, and its next
//! own `ret` to the worker. Here both ways are jumps, which the return stack does not see: what the last goroutine's calls have
//! noted is for the next one to return by, and it is often the same functions that both are in. (Measured by changing those two instructions of
//! corosensei alone, interleaved on a Zen 3 that was busy with other things, by the time of before: ping_pong .88, skynet .88, pipeline_8 .95, yields in a
//! function that is called .75, twice. This one against corosensei on a quieter one: ping_pong .84, pipeline_8 .76, cond_2 .81, sleepers 1.03.)
//!
//! # Contract
//!
//! A coroutine belongs to one thread, and is not moved while it runs. Its [entry](Entry) gets the word of the first [`resume`](Coroutine::resume), calls
//! [`begun`](Coroutine::begun) before anything else, and never returns or unwinds. Whoever resumes gets the word of the next
//! [`suspend`](Coroutine::suspend), and the other way round. A coroutine may be resumed from another one's stack; whoever
//! suspends goes back to who resumed it last; or he [leaves](Coroutine::leave) his stack for that of a next one, which goes back there in
//! its turn. Words are pointers, so that what they point to (or carry in their low bits)
//! keeps its provenance.

#[cfg_attr(all(target_arch = "x86_64", target_pointer_width = "64", unix), path = "x86_64.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", target_pointer_width = "64", unix)), path = "corosensei.rs")]
mod arch;

pub(crate) use arch::{CAN_PASS, Coroutine};

/// What goes to and fro.
pub(crate) type Word = *const ();

/// What runs on a coroutine's stack, with the first word and the data that it was made with.
pub(crate) type Entry = unsafe extern "C" fn(Word, *const ()) -> !;

#[cfg(test)]
mod tests;

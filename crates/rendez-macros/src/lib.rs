//! The procedural macros of rendez. Use them through the `rendez` crate, which re-exports them:
//! what they expand to names `::rendez`.
//!
//! | macro | parsed in | expands to |
//! | --- | --- | --- |
//! | [`macro@main`] | `options` (what stands in the parentheses), `entry` (the function) | a call of `rendez::run`, or of a `rendez::Runtime` of its own |
//!
//! A macro here parses and nothing more: what happens at run time is in plain functions of `rendez`.
//! Every error points at the token that is wrong and says what was expected in its place, and an
//! item that is refused is replaced by a stub, so that one mistake gives one error.

#![forbid(unsafe_code)]

mod entry;
mod options;
mod select;

use proc_macro::TokenStream;

/// Makes `main` the first goroutine, on a runtime with a worker for each CPU.
///
/// The rule at the end is Go's: when `main` returns, the program ends without waiting for the goroutines
/// that are still there. They are unwound, so that their destructors run.
///
/// ```
/// use rendez::chan;
///
/// #[rendez::main]
/// fn main() {
///     let (tx, rx) = chan::bounded(0);
///     rendez::go(move || tx.send("hello").unwrap());
///     assert_eq!(rx.recv(), Ok("hello"));
/// }
/// ```
///
/// `main` may return whatever a program's `main` may return. An error is printed and becomes the exit
/// status; it need not be `Send`, because it is reported inside the goroutine:
///
/// ```
/// #[rendez::main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let answer: u32 = "42".parse()?;
///     assert_eq!(rendez::go(move || answer + 1).join()?, 43);
///     Ok(())
/// }
/// ```
///
/// An `async fn main` is run by `rendez::block_on` on that goroutine. Its future need not be `Send`
/// either, and what it calls may block: it has a stack.
///
/// ```
/// #[rendez::main]
/// async fn main() {
///     let (tx, rx) = rendez::chan::bounded(0);
///     rendez::go_async(async move { tx.send_async(6 * 7).await });
///     assert_eq!(rx.recv_async().await, Ok(42));
/// }
/// ```
///
/// # Options
///
/// Each is an expression, and each sets what the method of that name of `rendez::RuntimeBuilder` sets:
///
/// | option | type | |
/// | --- | --- | --- |
/// | `workers` | `usize` | OS threads that run goroutines |
/// | `stack_size` | `usize` | address space for each goroutine's stack, in bytes |
/// | `seed` | `u64` | of the runtime's random choices |
/// | `panic_policy` | `rendez::PanicPolicy` | what a panic that nobody joins does |
///
/// ```
/// #[rendez::main(workers = 4, stack_size = 64 * 1024)]
/// fn main() {
///     assert_eq!(rendez::workers(), 4);
/// }
/// ```
///
/// # Panics
///
/// A panic of `main` goes on in the caller, after the runtime has been shut down. With options, `main` also
/// panics when the runtime cannot be built, for want of threads or memory.
///
/// # Errors
///
/// These do not compile: a function that is not called `main`, that takes arguments, has generic
/// parameters, or is `const`, `unsafe` or `extern`; an option that is unknown, has no value, is given twice,
/// or has a literal of the wrong kind.
///
/// ```compile_fail
/// #[rendez::main(worker = 4)] // there is no `worker`: it is `workers`
/// fn main() {}
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(options.into(), item.into()).into()
}

/// TODO
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into()
}

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

/// Waits for several operations at once and does the first that is ready: Go's `select`.
///
/// | here | in Go |
/// | --- | --- |
/// | `recv(rx) -> v => ..` | `case v, ok := <-rx: ..` |
/// | `send(tx, value) -> sent => ..` | `case tx <- value: ..` |
/// | `send(tx, take slot) -> sent => ..` | the same, and the value stays in the `Option` if another arm is chosen |
/// | `wait(event) -> out => ..` | whatever else can be waited for, as `case <-time.After(d)`, `case <-ctx.Done()` |
/// | `default => ..` | `default: ..` |
/// | `default(duration) => ..` | `case <-time.After(duration): ..` |
/// | `biased;` in front | none: the first ready arm in the order of the source, instead of a random one |
///
/// Operands are evaluated once, from top to bottom. If several arms are ready, one is chosen at random, each as likely as
/// the others; if none is, the goroutine (or OS thread) waits. An arm that is not chosen has no effect; the value of
/// a send that is not chosen is dropped. `default` is taken only if at one instant no arm was ready.
///
/// `-> PATTERN` binds the result, `Result<T, RecvError>` of a receive and `Result<(), SendError<T>>` of a send, and may be
/// left out. The bodies are those of a `match`: the chosen one's value is the macro's, and it may `return`, `break`,
/// `continue` and use `?`.
///
/// # Receiving and sending
///
/// ```
/// use rendez::{chan, select};
///
/// let (tx, numbers) = chan::bounded(1);
/// let (out, _words) = chan::bounded(0);
/// tx.send(7).unwrap();
/// let told = select! {
///     recv(numbers) -> n => format!("received {}", n.unwrap()),
///     send(out, "a word") -> sent => format!("sent: {}", sent.is_ok()),
/// };
/// assert_eq!(told, "received 7");
/// ```
///
/// ```go
/// select {
/// case n := <-numbers:
///     fmt.Println("received", n)
/// case out <- "a word":
///     fmt.Println("sent")
/// }
/// ```
///
/// # Nil channels
///
/// An endpoint may be an `Option`; `None` is Go's nil channel, an arm that is never ready.
///
/// ```
/// use rendez::{chan, select};
///
/// let (tx, rx) = chan::bounded(3);
/// (0..3).for_each(|i| tx.send(i).unwrap());
/// drop(tx);
/// let (mut rx, mut sum) = (Some(rx), 0);
/// while rx.is_some() {
///     select! {
///         recv(rx) -> v => match v {
///             Ok(v) => sum += v,
///             Err(_) => rx = None, // it has ended: not to be asked again
///         }
///     }
/// }
/// assert_eq!(sum, 3);
/// ```
///
/// # A value that is kept
///
/// `take` sends what is in an `Option`, and only if the arm is chosen; while there is nothing in it, the arm is not ready.
///
/// ```
/// use rendez::{chan, select};
///
/// let (tx, _rx) = chan::bounded::<String>(0);
/// let mut letter = Some("dear reader".to_string());
/// select! {
///     send(tx, take letter) -> _ => unreachable!("nobody receives"),
///     default => {}
/// }
/// assert!(letter.is_some(), "not sent, so still here");
/// ```
///
/// # Time-outs, and other events
///
/// ```
/// use rendez::{chan, go, select, sync::WaitGroup, time};
/// use std::time::Duration;
///
/// let silent = chan::never::<()>();
/// select! {
///     recv(silent) -> _ => unreachable!(),
///     default(Duration::from_millis(1)) => {}
/// }
///
/// let wg = WaitGroup::new();
/// wg.go(|| {});
/// let worker = go(|| 42);
/// select! {
///     wait(&wg) -> () => {}
///     wait(&worker) -> () => assert_eq!(worker.join().unwrap(), 42),
///     wait(time::timer(Duration::from_secs(60))) -> _ => panic!("too late"),
/// }
/// ```
///
/// # Order, and no arms
///
/// ```
/// use rendez::{chan, select};
///
/// let (closed, open) = (chan::bounded::<()>(0).1, chan::bounded::<()>(0).1);
/// for _ in 0..100 {
///     select! {
///         biased;
///         recv(closed) -> _ => {}
///         recv(open) -> _ => unreachable!("the first is always ready"),
///     }
/// }
/// ```
///
/// `select! {}` waits for ever.
///
/// # Blocking
/// Parks the calling goroutine, or blocks the OS thread; in async tasks use `choose` or `Select` with `wait_async`.
///
/// # Cancellation
/// A runtime's shutdown unwinds a parked goroutine; no arm has an effect then.
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into()
}

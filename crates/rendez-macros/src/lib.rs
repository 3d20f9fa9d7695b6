//! The procedural macros of rendez. Use them through the `rendez` crate, which re-exports them:
//! what they expand to names `::rendez`.
//!
//! | macro | parsed in | expands to |
//! | --- | --- | --- |
//! | [`select!`](macro@select) | `select::parse`, where it is broken with the help of `select::recover` | `select::expand`: calls of functions in `rendez::__private` around the user's expressions |
//! | [`macro@main`] | `options` (what stands in the parentheses), `entry` (the function) | a call of `rendez::run`, or of a `rendez::Runtime` of its own |
//! | [`macro@test`] | `options` and `test_options`, `test` (the function) | a `#[test]` that calls `rendez::__private::Test` |
//!
//! A macro here parses and nothing more: what happens at run time is in plain functions of `rendez`.
//! Every error points at the token that is wrong and says what was expected in its place, and an
//! item that is refused is replaced by a stub, so that one mistake gives one error.

#![forbid(unsafe_code)]

mod entry;
mod function;
mod options;
mod select;
mod test;
mod test_options;

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

/// Makes a function a test whose body is a goroutine: on real workers, in virtual time, or under many schedules.
///
/// | | |
/// | --- | --- |
/// | `#[rendez::test]` | on a runtime of its own, with a worker for each CPU or as many as `workers` says |
/// | `#[rendez::test(virtual_time)]` | under `rendez::testing::virtual_time`: one worker, and a clock that moves only when all wait |
/// | `#[rendez::test(explore = 1000)]` | under `rendez::testing::explore`: so many times, each under another schedule, in virtual time |
///
/// It is a `#[test]` otherwise, for `cargo test`, `cargo nextest run` and whatever else runs those.
///
/// ```test_harness
/// use rendez::{chan, time::{self, Instant}};
/// use std::time::Duration;
///
/// #[rendez::test(workers = 2)]
/// fn a_goroutine_answers() {
///     let (tx, rx) = chan::bounded(0);
///     rendez::go(move || tx.send(6 * 7));
///     assert_eq!(rx.recv(), Ok(42));
/// }
///
/// #[rendez::test(virtual_time)]
/// async fn a_day_takes_no_time() {
///     let start = Instant::now();
///     time::sleep_async(Duration::from_secs(24 * 3600)).await;
///     assert_eq!(start.elapsed(), Duration::from_secs(24 * 3600));
/// }
///
/// #[rendez::test(explore = 200, strategy = pct(3))]
/// fn no_schedule_loses_one() -> Result<(), rendez::JoinError> {
///     let (tx, rx) = chan::bounded(1);
///     let sender = rendez::go(move || (1..=3).for_each(|n| tx.send(n).unwrap()));
///     assert_eq!(rx.iter().sum::<i32>(), 6);
///     sender.join()
/// }
/// ```
///
/// # When it fails
///
/// * **The body panics**, or returns an error, which is told as its `Debug` has it.
/// * **A goroutine is left behind.** When the body has returned, the others get time to end: in virtual time all they need,
///   on real workers until nothing has moved for 200 ms, or for 10 s in all. Those that are left then are told with where
///   each was started and what it waits for, as by `rendez::testing::check_leaks`. With `leaks = allow` nobody looks, and
///   what is left is unwound.
/// * **A goroutine panics and nobody joins it.** (In Go this ends the process.) With `panics = allow` that is only printed.
/// * **All wait for ever**, in virtual time. On real workers such a test hangs, as tests with threads do: something that
///   rendez does not see might still wake somebody.
///
/// A failure under `explore` is one of a schedule, and is told with a line `RENDEZ_REPLAY=..` that names the test by its
/// file and line. Put before the command that runs the test, it runs that one schedule:
///
/// ```text
/// RENDEZ_REPLAY=src/lib.rs:20=4.1-0.2 cargo test no_schedule_loses_one
/// ```
///
/// # Options
///
/// | option | type | in tests | |
/// | --- | --- | --- | --- |
/// | `workers` | `usize` | on real workers | OS threads that run goroutines |
/// | `stack_size` | `usize` | on real workers | address space for each goroutine's stack, in bytes |
/// | `seed` | `u64` | on real workers, `explore` | of the runtime's random choices; of the first schedule |
/// | `leaks = allow`, `panics = allow` | | on real workers, `virtual_time` | see above |
/// | `virtual_time` | | | |
/// | `explore`, `explore = N` | `usize` | | how many schedules at most; without a number 1000, with `exhaustive` all |
/// | `strategy` | a word | `explore` | `random`, `pct(DEPTH)`, `exhaustive`, `exhaustive(PREEMPTIONS)` |
/// | `max_steps` | `u64` | `explore` | how many steps a schedule may take |
/// | `shrink` | `usize` | `explore` | how many schedules to try in search of a shorter one that fails |
/// | `early_timers` | | `explore` | time limits may pass although others could still run |
///
/// What has a type is an expression. The last four, and `seed`, set the field of that name of `rendez::testing::Config`; the
/// words are the variants of `rendez::testing::Strategy`.
///
/// # The function
///
/// It may be `async`, and is then run by `rendez::block_on` on its goroutine. It returns `()`, a `Result` whose error is
/// `Debug`, an `ExitCode`, or never. Neither has to be `Send`. Under `explore` it is run again and again, so it must do the
/// same under the same schedule and leave nothing behind: see `rendez::testing::explore`.
///
/// Other attributes stay, on whichever side they stand: `#[ignore]`, `#[cfg(..)]`, and `#[should_panic(expected = "..")]`,
/// which looks at the panic of the body, or under `explore` at the whole text of the failure. Don't write `#[test]` as well.
/// After `use rendez::test;`, `#[test]` is this macro in that module; after `use rendez::*;` it would be ambiguous, so write
/// `#[rendez::test]`, or import the one you mean by its name.
///
/// ```test_harness
/// #[rendez::test(explore = 100, seed = 1)]
/// #[should_panic(expected = "all goroutines are asleep - deadlock!")]
/// fn locks_in_both_orders_block_each_other() {
///     let (a, b) = (rendez::sync::Mutex::new(()), rendez::sync::Mutex::new(()));
///     rendez::scope(|s| {
///         s.go(|| drop((a.lock(), b.lock())));
///         s.go(|| drop((b.lock(), a.lock())));
///     });
/// }
/// ```
///
/// # Errors
///
/// These do not compile: a function that takes arguments, has generic parameters, or is `const`, `unsafe` or `extern`; a
/// second `test` attribute; an option that is unknown, is given twice, has no value or a literal of the wrong kind, or would
/// do nothing beside the others; `virtual_time` with `explore`.
///
/// ```compile_fail
/// #[rendez::test(strategy = random)] // of what? there is no `explore`
/// fn nothing_is_explored() {}
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    test::expand(options.into(), item.into()).into()
}

/// Waits until one of several operations can go on, does that one, and runs its body: Go's `select`.
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
/// ```
/// use rendez::{chan, select};
///
/// let (tx, rx) = chan::bounded(1);
/// let done = chan::never::<()>();
/// # tx.send(6).unwrap();
/// let text = select! {
///     recv(rx) -> number => format!("received {number:?}"),
///     send(tx, 7) -> sent => format!("sent: {sent:?}"),
///     recv(done) => String::from("told to stop"),
/// };
/// assert_eq!(text, "received Ok(6)"); // the buffer is full: there was no room to send
/// ```
///
/// Where several can go on, one of them is chosen at random; where none can, the caller waits, be it a goroutine or an OS
/// thread. The operations that are not chosen have no effect. The value of the body is the value of the macro, as in
/// `match`; a comma stands after each body and may be left out after a block. A body may `return`, `break` and `continue`
/// the loops around the macro, and use `?`.
///
/// # The arms, and what they are in Go
///
/// **`recv(rx) -> PATTERN => BODY`** receives. The pattern is matched with a `Result<T, RecvError>`, and has to match
/// whatever that may be: a channel that is closed and drained is ready, with `Err`. `v, ok := <-rx` and `v := <-rx` are
/// both told by it:
///
/// ```go
/// select {
/// case v, ok := <-rx:
///     if !ok { return }
///     fmt.Println(v)
/// case <-done:
///     return
/// }
/// ```
/// ```
/// # use rendez::{chan, select};
/// # fn next(rx: &chan::Receiver<i32>, done: &chan::Receiver<()>) {
/// select! {
///     recv(rx) -> v => {
///         let Ok(v) = v else { return };
///         println!("{v}");
///     }
///     recv(done) => return,
/// }
/// # }
/// ```
///
/// Without `-> PATTERN`, as for `done` there, the result is dropped before the body runs. With one, what the pattern does
/// not bind (`-> _`) lives until the body's end.
///
/// **`send(tx, VALUE) -> PATTERN => BODY`** sends; the result is a `Result<(), SendError<T>>`. The value is evaluated in
/// any case, as in Go, and dropped if another arm is chosen. A send to a closed channel panics in Go; here it gives the
/// value back in the error:
///
/// ```go
/// for _, s := range []string{"a", "b", "c"} {
///     select {
///     case <-done:
///         return
///     case stringStream <- s:
///     }
/// }
/// ```
/// ```
/// # use rendez::{chan, select};
/// # fn stream(string_stream: &chan::Sender<&'static str>, done: &chan::Receiver<()>) {
/// for s in ["a", "b", "c"] {
///     select! {
///         recv(done) => return,
///         send(string_stream, s) -> sent => {
///             if sent.is_err() {
///                 return; // nobody listens any more
///             }
///         }
///     }
/// }
/// # }
/// # let (tx, rx) = chan::bounded(3);
/// # stream(&tx, &chan::never());
/// # assert_eq!(rx.recv(), Ok("a"));
/// ```
///
/// **`send(tx, take SLOT) -> PATTERN => BODY`** sends what is in an `Option<T>`, and takes it out of there only if this
/// arm is chosen. It is never ready while the slot is empty. The slot is a place: a variable, a field, `*reference`.
/// (`take` is a word like any other where no place follows: `send(tx, take)` and `send(tx, take(x))` send the value of
/// that expression. Only a product needs parentheses: `send(tx, (take * x))`.) In Go this takes a nil channel and a
/// variable beside it:
///
/// ```go
/// var out chan<- Item             // nil while there is nothing to send
/// var pending Item
/// select {
/// case item := <-in:
///     pending, out = item, tx
/// case out <- pending:
///     out = nil
/// }
/// ```
/// ```
/// # use rendez::{chan, select};
/// # let (into, input) = chan::bounded(1);
/// # into.send(String::from("item")).unwrap();
/// # let (tx, rx) = chan::bounded(1);
/// let mut pending: Option<String> = None;
/// # for _ in 0..2 {
/// select! {
///     recv(pending.is_none().then_some(&input)) -> item => pending = item.ok(),
///     send(tx, take pending) -> sent => sent.unwrap(), // `pending` is `None` again
/// }
/// # }
/// # assert_eq!(rx.recv().unwrap(), "item");
/// # assert_eq!(pending, None);
/// ```
///
/// **`wait(EVENT) -> PATTERN => BODY`** waits for anything else that one can wait for, and gives its output. Go has that
/// for channels only, and makes a channel, and often a goroutine, of everything else:
///
/// ```go
/// finished := make(chan struct{})
/// go func() { group.Wait(); close(finished) }()
/// select {
/// case <-finished:
///     fmt.Println("all done")
/// case v := <-rx:
///     fmt.Println(v)
/// }
/// ```
/// ```
/// # use rendez::{chan, go, select, sync::WaitGroup, time};
/// # use std::time::Duration;
/// # let rx = chan::never::<i32>();
/// let group = WaitGroup::new();
/// group.go(|| {});
/// let worker = go(|| 42);
/// select! {
///     wait(&group) => println!("all done"),
///     recv(rx) -> v => println!("{v:?}"),
///     wait(&worker) => assert_eq!(worker.join().unwrap(), 42), // the end of a goroutine is an event too
///     wait(time::timer(Duration::from_secs(60))) -> now => panic!("too late: {now:?}"),
/// }
/// ```
///
/// **`default => BODY`** is chosen if at one instant no other arm could go on. It may stand in any place:
///
/// ```go
/// select {
/// case <-done:
///     return
/// default:
/// }
/// ```
/// ```
/// # use rendez::{chan, select};
/// # fn poll(done: &chan::Receiver<()>) {
/// select! {
///     recv(done) => return,
///     default => {}
/// }
/// # }
/// # poll(&chan::never());
/// ```
///
/// **`default(DURATION) => BODY`** is chosen if none can within that time. In place of `default`:
///
/// ```go
/// select {
/// case v := <-c:
///     fmt.Println(v)
/// case <-time.After(1 * time.Second):
///     fmt.Println("Timed out.")
/// }
/// ```
/// ```
/// # use rendez::{chan, select};
/// use std::time::Duration;
///
/// let c = chan::never::<i32>();
/// select! {
///     recv(c) -> v => println!("{v:?}"),
///     default(Duration::from_millis(10)) => println!("Timed out."),
/// }
/// ```
///
/// **No arms**: `select! {}` waits for ever, as `select {}` does, and is of any type.
///
/// **`biased;`** before the arms has the first of those that can go on chosen, in source order, where Go needs two
/// `select`s. An arm that can always go on then starves those below it.
///
/// ```
/// # use rendez::{chan, select};
/// # let (tx, urgent) = chan::bounded(1);
/// # tx.send(1).unwrap();
/// # let usual = urgent.clone();
/// let first = select! {
///     biased;
///     recv(urgent) -> v => v.map(|v| ("urgent", v)),
///     recv(usual) -> v => v.map(|v| ("usual", v)),
/// };
/// assert_eq!(first, Ok(("urgent", 1)));
/// ```
///
/// # Arms that are not there
///
/// A receiver or sender may stand as itself, as a reference, or in an `Option` of either. `None` is Go's nil channel: never
/// ready. So an arm can be switched off, and that is also its guard: `recv(condition.then_some(&rx))`. Nothing that the
/// arms look at is borrowed any more when a body runs, which may assign to it:
///
/// ```go
/// for a != nil || b != nil {
///     select {
///     case v, ok := <-a:
///         if !ok { a = nil; continue }
///         sum += v
///     case v, ok := <-b:
///         if !ok { b = nil; continue }
///         sum += v
///     }
/// }
/// ```
/// ```
/// # use rendez::{chan, select};
/// # let ((tx, a), (ty, b)) = (chan::bounded(2), chan::bounded(2));
/// # for v in [1, 2] { tx.send(v).unwrap(); ty.send(10 * v).unwrap(); }
/// # drop((tx, ty));
/// let (mut a, mut b) = (Some(a), Some(b));
/// let mut sum = 0;
/// while a.is_some() || b.is_some() {
///     select! {
///         recv(a) -> v => match v {
///             Ok(v) => sum += v,
///             Err(_) => a = None,
///         },
///         recv(b) -> v => match v {
///             Ok(v) => sum += v,
///             Err(_) => b = None,
///         },
///     }
/// }
/// assert_eq!(sum, 33);
/// ```
///
/// An arm (other than `default`) may also depend on the configuration: `#[cfg(unix)] recv(signals) -> s => ..`.
///
/// # Evaluation
///
/// Receivers, senders, values, slots, events and the duration are evaluated exactly once, from top to bottom, whichever arm
/// is chosen. What they borrow, a lock's guard for example, is held while waiting and given back before the body runs.
/// The names that the macro makes up are out of sight of the expressions in it.
///
/// Being evaluated together, the operands are borrowed together: one slot can't stand in two arms, nor can a value that is
/// made with `&mut self` stand below an arm that looks at `self.rx`. Put such a value into a variable above the macro.
///
/// # Blocking
///
/// Parks the calling goroutine, or blocks the OS thread, until an arm can go on; with `default` not at all, with
/// `default(DURATION)` for that long at most. In async tasks, use `choose` or `Select` with `wait_async`.
///
/// # Cancellation
///
/// A runtime's shutdown unwinds a parked goroutine; no arm has an effect then.
///
/// # Errors
///
/// Every arm that can't be understood is told, each at the token that is wrong. A pattern that does not always match is an
/// error, as in `let`:
///
/// ```compile_fail,E0005
/// # use rendez::{chan, select};
/// let rx = chan::never::<i32>();
/// select! { recv(rx) -> Ok(n) => println!("{n}") } // and if it is closed?
/// ```
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into()
}

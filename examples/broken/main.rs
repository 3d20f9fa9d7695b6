//! Programs that are broken, each in its own way, and say so themselves: `cargo run -p examples --bin broken -- NAME`. What each
//! prints, and how that is read, is in the README beside this.
#![forbid(unsafe_code)]

mod double_panic;
mod forgotten_close;
mod leak;
mod lock_order;
mod nil_channel;
mod overflow;
mod panic_detached;
mod partial_deadlock;
mod self_deadlock;
mod stuck_loop;

use std::process::ExitCode;

const PROGRAMS: &[(&str, fn())] = &[
    ("self-deadlock", self_deadlock::main),
    ("lock-order", lock_order::main),
    ("nil-channel", nil_channel::main),
    ("forgotten-close", forgotten_close::main),
    ("partial-deadlock", partial_deadlock::main),
    ("leak", leak::main),
    ("stuck-loop", stuck_loop::main),
    ("overflow", overflow::main),
    ("panic-detached", panic_detached::main),
    ("double-panic", double_panic::main),
];

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1);
    match PROGRAMS.iter().find(|(name, _)| Some(*name) == wanted.as_deref()) {
        Some((_, program)) => {
            rendez::run(program);
            ExitCode::SUCCESS
        }
        None => {
            let names: Vec<&str> = PROGRAMS.iter().map(|(name, _)| *name).collect();
            let usage = format!("usage: broken {}", names.join("|"));
            if matches!(wanted.as_deref(), Some("-h" | "--help")) {
                println!("{usage}");
                return ExitCode::SUCCESS;
            }
            eprintln!("{usage}");
            // Not 2, which is a deadlock's.
            ExitCode::from(64)
        }
    }
}

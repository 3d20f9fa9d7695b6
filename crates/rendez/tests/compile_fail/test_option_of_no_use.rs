//! Options that would do nothing: of what is not explored, and of workers that are not there.

#[rendez::test(workers = 2, strategy = pct(3))]
fn on_real_workers() {}

#[rendez::test(virtual_time, workers = 2)]
fn in_virtual_time() {}

#[rendez::test(explore, leaks = allow)]
fn explored() {}

fn main() {}

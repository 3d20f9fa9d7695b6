//! There are four ways to write one.

#[rendez::test(explore, strategy = pct)]
fn of_what_depth() {}

#[rendez::test(explore, strategy = dfs)]
fn by_another_name() {}

fn main() {}

//! A few goroutines over two channels, under schedules that the input chooses.
#![no_main]

#[allow(dead_code, reason = "one target plays one of them")]
#[path = "../../crates/rendez/tests/models/mod.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| models::crowd::crowd(bytes));

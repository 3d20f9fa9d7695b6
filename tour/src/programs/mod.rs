//! The programs, one a file, numbered as in the project's table of Go's semantics.
//!
//! A program is a function that runs as goroutine 1 of a fresh runtime, says its lines to an [`Output`], and returns
//! its [`Check`].

use std::fmt;

use crate::output::{Check, Output};

mod p01_fork_join;
mod p02_lightness;
mod p03_wait_group;
mod p04_mutex;
mod p05_rw_lock;
mod p06_cond_signal;
mod p07_cond_broadcast;
mod p08_once;
mod p09_pool;
mod p10_making_channels;
mod p11_closed_channel;
mod p12_range;
mod p13_close_as_signal;
mod p14_buffered_channel;
mod p15_nil_channels;
mod p16_table;
mod p17_channel_owner;
mod p18_select;
mod p19_for_select;
mod p20_workers;
mod p21_confinement;
mod p22_goroutine_leaks;
mod p23_or_channel;
mod p24_errors;
mod p25_pipeline;
mod p26_generators;
mod p27_fan_out_fan_in;
mod p28_or_done;
mod p29_tee;
mod p30_bridge;
mod p31_queueing;
mod p32_context;
mod p33_context_values;

/// A program of the tour.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) number: u32,
    pub(crate) title: &'static str,
    pub(crate) body: fn(&Output) -> Check,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>2}. {}", self.number, self.title)
    }
}

/// All of them, by number.
pub(crate) const ALL: &[Program] = &[
    Program { number: 1, title: "fork and join: three greetings, in any order", body: p01_fork_join::run },
    Program { number: 2, title: "lightness: a million goroutines, parked", body: p02_lightness::run },
    Program { number: 3, title: "WaitGroup: waits for all that were added", body: p03_wait_group::run },
    Program { number: 4, title: "Mutex: five up, five down", body: p04_mutex::run },
    Program { number: 5, title: "RwLock against Mutex: the readers' table", body: p05_rw_lock::run },
    Program { number: 6, title: "Cond, signal: a queue of no more than two", body: p06_cond_signal::run },
    Program { number: 7, title: "Cond, broadcast: a button and its handlers", body: p07_cond_broadcast::run },
    Program { number: 8, title: "Once: a hundred callers, one call", body: p08_once::run },
    Program { number: 9, title: "Pool: a million calls, a few buffers", body: p09_pool::run },
    Program { number: 10, title: "channels: declaring, making, narrowing", body: p10_making_channels::run },
    Program { number: 11, title: "reading a closed channel, again and again", body: p11_closed_channel::run },
    Program { number: 12, title: "range: receiving until the channel is closed", body: p12_range::run },
    Program {
        number: 13,
        title: "closing as a signal: five released at once",
        body: p13_close_as_signal::run,
    },
    Program {
        number: 14,
        title: "buffered channels, and the buffer bypassed",
        body: p14_buffered_channel::run,
    },
    Program { number: 15, title: "nil channels: arms that are never ready", body: p15_nil_channels::run },
    Program { number: 16, title: "the table: operation by state of the channel", body: p16_table::run },
    Program { number: 17, title: "a channel's owner and its consumer", body: p17_channel_owner::run },
    Program { number: 18, title: "select: fair, with time-out, with default", body: p18_select::run },
    Program { number: 19, title: "the for-select loop", body: p19_for_select::run },
    Program { number: 20, title: "GOMAXPROCS: with one worker and with all", body: p20_workers::run },
    Program { number: 21, title: "confinement: ad hoc and lexical", body: p21_confinement::run },
    Program { number: 22, title: "goroutine leaks, prevented", body: p22_goroutine_leaks::run },
    Program {
        number: 23,
        title: "the or-channel: done when the first of any number is",
        body: p23_or_channel::run,
    },
    Program { number: 24, title: "errors as values: the statuses of some URLs", body: p24_errors::run },
    Program {
        number: 25,
        title: "pipeline: add 1, times 2, and cancelled half-way",
        body: p25_pipeline::run,
    },
    Program { number: 26, title: "generators: repeat, repeat_with, take", body: p26_generators::run },
    Program { number: 27, title: "fan-out, fan-in: the slow prime finder", body: p27_fan_out_fan_in::run },
    Program { number: 28, title: "or_done: a loop over somebody else's channel", body: p28_or_done::run },
    Program { number: 29, title: "tee: every value twice, in order", body: p29_tee::run },
    Program { number: 30, title: "bridge: one channel of many", body: p30_bridge::run },
    Program { number: 31, title: "queueing: throughput and latency", body: p31_queueing::run },
    Program { number: 32, title: "context: cancellation and deadlines", body: p32_context::run },
    Program { number: 33, title: "context: values keyed by their type", body: p33_context_values::run },
];

/// The program with this number.
pub(crate) fn find(number: u32) -> Option<&'static Program> {
    ALL.iter().find(|program| program.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_numbered_in_rising_order() {
        assert!(ALL.is_sorted_by(|a, b| a.number < b.number));
    }
}

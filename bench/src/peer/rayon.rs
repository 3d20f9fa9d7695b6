//! rayon: parallel iterators over what is all there from the start. It has no channels.

use super::{
    Answer::{self, Cannot, Nearly},
    Body,
};
use crate::{gauge, peer::ordered_item};
use rayon::prelude::*;
use std::time::{Duration, Instant};

const AT_ONCE: &str =
    "`par_iter().map().collect()` over a range: no channel, and all is there from the start";

pub(super) fn find(case: &str) -> Answer {
    match case {
        "ordered_20us" => Nearly(AT_ONCE, ordered(20)),
        "ordered_1us" => Nearly(AT_ONCE, ordered(1)),
        _ => Cannot("it has neither channels nor tasks that wait"),
    }
}

fn ordered(us: u64) -> Body {
    let steps = us * gauge::steps_per_us();
    Body::timed(move |n| {
        let start = Instant::now();
        let results: Vec<u64> = (0..n).into_par_iter().map(|i| ordered_item(i, steps)).collect();
        let elapsed: Duration = start.elapsed();
        assert_eq!(results.len() as u64, n);
        elapsed
    })
}

//! 31. Queueing.
//!
//! **The notes:** a queue decouples two stages, so that the time which one takes at the moment does not become the other's. That can be good or bad
//! for the whole: it makes nothing faster that works steadily, and it hides that a stage is too slow.
//!
//! **Here** a pipeline of two stages runs with a queue of growing length, once between the two and once before both. Each stage takes as long as
//! the other on the whole, but not at the same time: when one is slow the other is fast. *Between* them a queue of a few places
//! evens that out, and half as much again comes through; more places bring nothing. *Before* them a queue brings nothing at all, and each item
//! is older when it comes out: by Little's law, as much older as there are more items in the pipeline.
//!
//! The stages sleep, in virtual time ([`testing::virtual_time`]): each sleep takes exactly what it says, so the table is the same on any machine,
//! whatever else that has to do.
//!
//! **In Rust** a queue is [`pattern::buffer`], put where it is wanted, or the capacity of a channel.

use std::time::Duration;

use rendez::chan::Receiver;
use rendez::time::Instant;
use rendez::{Context, pattern, sleep, testing};

use crate::output::{Check, Failure, Output, ensure};
use crate::picture::{Lines, draw};

const ITEMS: u32 = 96;
/// For so many items a stage is slow, and then for as many it is fast.
const SPELL: u32 = 4;
const SLOW: Duration = Duration::from_micros(800);
const FAST: Duration = Duration::from_micros(80);

#[derive(Clone, Copy, Debug)]
enum Place {
    Before,
    Between,
}

/// Items a second, and how many milliseconds one spent in the pipeline, in the middle.
#[derive(Clone, Copy, Debug)]
struct Measured {
    throughput: f64,
    latency: f64,
}

pub(crate) fn run(out: &Output) -> Check {
    out.say("          before both              between the two");
    out.say("Places   items/s  latency (ms)    items/s  latency (ms)");
    let mut rows = Vec::new();
    for places in [0_u16, 1, 2, 4, 8, 16, 32] {
        let measured = |place| testing::virtual_time(move || measure(place, places));
        let (before, between) = (measured(Place::Before)?, measured(Place::Between)?);
        out.say(format_args!(
            "{places:>6}  {:>8.0}  {:>12.1}   {:>8.0}  {:>12.1}",
            before.throughput, before.latency, between.throughput, between.latency
        ));
        rows.push((f64::from(places), before, between));
    }
    let line = |of: fn(&(f64, Measured, Measured)) -> f64| rows.iter().map(|row| (row.0, of(row))).collect();
    for (file, title, y, series) in [
        (
            "31-queueing-throughput",
            "What comes through",
            "items a second",
            [
                ("before both", line(|row| row.1.throughput)),
                ("between the two", line(|row| row.2.throughput)),
            ],
        ),
        (
            "31-queueing-latency",
            "How long an item is under way",
            "milliseconds",
            [("before both", line(|row| row.1.latency)), ("between the two", line(|row| row.2.latency))],
        ),
    ] {
        let picture =
            draw(&Lines { file, title, x: "places in the queue", y, log_x: false, series: &series })?;
        out.say(format_args!("drawn in {}", picture.display()));
    }

    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    ensure(last.2.throughput > 1.2 * first.2.throughput, "a queue between the two brings more through")?;
    ensure(last.1.latency > 2.0 * first.1.latency, "a queue before both makes its items old")?;
    ensure(last.1.throughput * 1.1 < last.2.throughput, "and brings less through than one between the two")
}

fn measure(place: Place, places: u16) -> Result<Measured, Failure> {
    let ctx = Context::background();
    let start = Instant::now();
    let mut items = pattern::generator(&ctx, (0..ITEMS).map(|number| (number, Instant::now())));
    let queue =
        |items, here| if here && places > 0 { pattern::buffer(&ctx, items, places.into()) } else { items };
    items = queue(items, matches!(place, Place::Before));
    items = queue(stage(&ctx, items, 0), matches!(place, Place::Between));
    let items = stage(&ctx, items, 1);
    let mut latencies: Vec<f64> = items.iter().map(|(_, made)| made.elapsed().as_secs_f64() * 1e3).collect();
    let throughput = f64::from(ITEMS) / start.elapsed().as_secs_f64();
    ensure(latencies.len() == ITEMS as usize, "all items come through")?;
    latencies.sort_by(f64::total_cmp);
    Ok(Measured { throughput, latency: latencies[latencies.len() / 2] })
}

/// Slow for a spell and fast for a spell; which first, says `phase`.
fn stage(ctx: &Context, items: Receiver<(u32, Instant)>, phase: u32) -> Receiver<(u32, Instant)> {
    pattern::map(ctx, items, move |(number, made)| {
        sleep(if (number / SPELL + phase).is_multiple_of(2) { SLOW } else { FAST });
        (number, made)
    })
}

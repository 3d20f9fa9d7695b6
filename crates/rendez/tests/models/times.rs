//! Timers, tickers and functions of later, in virtual time: what is due, what came, and what `stop` and `reset` say of it.

use super::Script;
use rendez::{
    testing::virtual_time,
    time::{Instant, Ticker, Timer, after_func, sleep},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

enum Clock {
    /// When its value is due, if it has not been received.
    Timer(Timer, Option<u64>),
    /// When the next tick is due, and the period.
    Ticker(Ticker, Option<u64>, u64),
    /// When it runs; how often it has, in the model and in fact.
    Function(Timer, Option<u64>, u64, Arc<AtomicU64>),
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Plays the script. Moments are looked at when they are even; what runs by itself is due at odd ones.
pub(crate) fn times(bytes: &[u8]) {
    let bytes = bytes.to_vec();
    virtual_time(move || {
        let mut script = Script::new(&bytes);
        let (start, mut now) = (Instant::now(), 0);
        let mut clocks: Vec<Clock> = Vec::new();
        while let Some(kind) = script.step(9) {
            let length = 2 * script.below(16) as u64 + 1;
            let at = script.below(clocks.len().max(1));
            match (kind, clocks.get_mut(at)) {
                (0, _) => clocks.push(Clock::Timer(Timer::new(ms(length)), Some(now + length))),
                (1, _) => clocks.push(Clock::Ticker(Ticker::new(ms(length)), Some(now + length), length)),
                (2, _) => {
                    let runs = Arc::new(AtomicU64::new(0));
                    let timer = after_func(ms(length), {
                        let runs = runs.clone();
                        move || _ = runs.fetch_add(1, SeqCst)
                    });
                    clocks.push(Clock::Function(timer, Some(now + length), 0, runs));
                }
                (3 | 4, Some(clock)) => look(clock, start, now),
                (5, Some(clock)) => stop(clock),
                (6, Some(clock)) => reset(clock, now, length),
                (7 | 8, _) => {
                    now += length + 1;
                    sleep(ms(length + 1));
                    assert_eq!(start.elapsed(), ms(now));
                    // Functions run on goroutines of their own.
                    (0..4).for_each(|_| rendez::yield_now());
                    clocks.iter_mut().for_each(|clock| run(clock, now));
                }
                _ => {}
            }
        }
    });
}

/// Receives, if there is something.
fn look(clock: &mut Clock, start: Instant, now: u64) {
    let (told, next, then) = match clock {
        Clock::Timer(timer, next) => (timer.c().try_recv(), next, None),
        Clock::Ticker(ticker, next, period) => {
            let due = next.unwrap_or(u64::MAX);
            // However late, one tick, and the next lies ahead.
            let ahead = (due <= now).then(|| due + *period * (1 + (now - due) / *period));
            (ticker.c().try_recv(), next, ahead)
        }
        Clock::Function(timer, ..) => return assert!(timer.c().try_recv().is_err()),
    };
    let due = next.filter(|&due| due <= now);
    assert_eq!(told.ok(), due.map(|due| start + ms(due)));
    if due.is_some() {
        *next = then;
    }
}

fn stop(clock: &mut Clock) {
    match clock {
        Clock::Timer(timer, next) => assert_eq!(timer.stop(), next.take().is_some()),
        Clock::Ticker(ticker, next, _) => {
            ticker.stop();
            *next = None;
        }
        Clock::Function(timer, next, ..) => assert_eq!(timer.stop(), next.take().is_some()),
    }
}

fn reset(clock: &mut Clock, now: u64, length: u64) {
    match clock {
        Clock::Timer(timer, next) | Clock::Function(timer, next, ..) => {
            assert_eq!(timer.reset(ms(length)), next.replace(now + length).is_some());
        }
        Clock::Ticker(ticker, next, period) => {
            ticker.reset(ms(length));
            (*next, *period) = (Some(now + length), length);
        }
    }
}

fn run(clock: &mut Clock, now: u64) {
    if let Clock::Function(_, next, runs, ran) = clock {
        if next.is_some_and(|next| next <= now) {
            *next = None;
            *runs += 1;
        }
        assert_eq!(ran.load(SeqCst), *runs);
    }
}

//! `tick` and `Ticker`.
#![cfg(not(loom))]

use crate::{
    setup::text,
    worlds::{Clock, Crew, Ops, in_both_times, in_every_world, in_worlds_of_time},
};
use rendez::{
    chan::{self, RecvError, RecvTimeoutError, TryRecvError},
    time::{self, Instant, Ticker},
};
use std::{
    panic::catch_unwind,
    sync::{Arc, Mutex},
    time::Duration,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// How many periods lie between two ticks; a fraction fails.
fn periods(from: Instant, to: Instant, period: Duration) -> u128 {
    assert!(to > from);
    let between = (to - from).as_nanos();
    assert_eq!(between % period.as_nanos(), 0, "a tick that drifts");
    between / period.as_nanos()
}

/// Six ticks, one period apart; where `clock` is the machine's, some may have been missed.
fn six_ticks(crew: &Crew) {
    let clock = crew.clock();
    let start = Instant::now();
    let ticker = Ticker::new(MS);
    let rx = ticker.c().clone();
    let role = crew.start(async move |ops: Ops| {
        let mut ticks = Vec::new();
        for i in 0..6 {
            ticks.push(match i % 2 {
                0 => ops.recv(&rx).await.unwrap(),
                _ => ops.event(rx.recv_event()).await.unwrap(),
            });
            clock.meets(Instant::now(), ticks[i]);
        }
        ticks
    });
    let ticks = role.join();
    clock.meets(ticks[0], start + MS);
    for pair in ticks.windows(2) {
        let periods = periods(pair[0], pair[1], MS);
        assert!(periods == 1 || !clock.is_virtual());
    }
}

#[test]
fn ticks_come_in_every_world_one_period_apart_and_do_not_drift() {
    in_worlds_of_time(six_ticks);
}

/// The one test of a ticker by the machine's clock on one, two and eight real workers: there it is their own alarms that
/// go off, while they sleep in the kernel.
#[test]
fn ticks_come_on_real_workers_too() {
    in_every_world(six_ticks);
}

#[test]
fn a_slow_reader_gets_one_tick_for_all_that_it_has_missed() {
    in_both_times(|clock: Clock| {
        for make in [chan::tick, |period| Ticker::new(period).c().clone()] {
            let start = Instant::now();
            let ticks = make(2 * MS);
            let first = ticks.recv().unwrap();
            clock.meets(first, start + 2 * MS);
            time::sleep(11 * MS);
            let late = Instant::now();
            let second = ticks.recv().unwrap();
            // One of those that were missed; and the next is none of those, but one that lay ahead.
            periods(first, second, 2 * MS);
            assert!(second <= late);
            clock.meets(second, start + 4 * MS);
            let third = ticks.recv().unwrap();
            assert!(third > late);
            periods(second, third, 2 * MS);
            clock.meets(third, start + 14 * MS);
        }
    });
}

#[test]
fn a_tickers_channel_has_no_length_however_many_ticks_are_due() {
    in_both_times(|_| {
        let ticker = Ticker::new(MS);
        time::sleep(5 * MS);
        assert_eq!((ticker.c().len(), ticker.c().capacity()), (0, Some(0)));
        assert!(ticker.c().try_recv().is_ok());
        assert_eq!(ticker.c().len(), 0);
    });
}

#[test]
fn a_stopped_ticker_ticks_no_more_and_does_not_end() {
    in_both_times(|clock| {
        let ticker = Ticker::new(MS);
        ticker.c().recv().unwrap();
        time::sleep(3 * MS);
        ticker.stop();
        assert_eq!(ticker.c().try_recv(), Err(TryRecvError::Empty));
        assert_eq!(ticker.c().recv_timeout(3 * MS), Err(RecvTimeoutError::Timeout));
        assert!(!ticker.c().is_closed());
        ticker.stop();
        let before = Instant::now();
        ticker.reset(MS);
        clock.meets(ticker.c().recv().unwrap(), before + MS);
    });
}

#[test]
fn a_reset_changes_the_period_and_drops_what_was_due() {
    in_both_times(|clock| {
        let ticker = Ticker::new(MS);
        time::sleep(3 * MS);
        // By the machine's clock, two milliseconds may be over before one has looked.
        ticker.reset(if clock.is_virtual() { 2 * MS } else { HOUR });
        assert_eq!(ticker.c().try_recv(), Err(TryRecvError::Empty));
        let before = Instant::now();
        ticker.reset(2 * MS);
        let first = ticker.c().recv().unwrap();
        clock.meets(first, before + 2 * MS);
        let second = ticker.c().recv().unwrap();
        periods(first, second, 2 * MS);
        clock.meets(second, before + 4 * MS);
        ticker.reset(HOUR);
        assert_eq!(ticker.c().try_recv(), Err(TryRecvError::Empty));
        ticker.reset(Duration::MAX);
        assert_eq!(ticker.c().try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn periods_of_no_time_panic_in_gos_words() {
    let said = |f: fn()| text(catch_unwind(f).expect_err("it panics"));
    assert_eq!(said(|| drop(Ticker::new(Duration::ZERO))), "non-positive interval for NewTicker");
    assert_eq!(said(|| drop(chan::tick(Duration::ZERO))), "non-positive interval for NewTicker");
    let reset = || Ticker::new(HOUR).reset(Duration::ZERO);
    assert_eq!(said(reset), "non-positive interval for Ticker.Reset");
}

#[test]
fn stops_and_resets_beside_receives_let_no_tick_of_before_through() {
    const ROUNDS: u32 = if cfg!(debug_assertions) { 100 } else { 300 };
    in_every_world(|crew: &Crew| {
        let ticker = Arc::new(Ticker::new(HOUR));
        let (done, ended) = chan::bounded::<Instant>(0);
        let ticks = Arc::new(Mutex::new(Vec::new()));
        let receivers: Vec<_> = (0..3)
            .map(|i| {
                let (ticker, ended, ticks) = (ticker.clone(), ended.clone(), ticks.clone());
                crew.start(async move |ops: Ops| {
                    loop {
                        let tick = match i {
                            0 => ops.recv(ticker.c()).await,
                            _ => {
                                let choice = [ticker.c().recv_event(), ended.recv_event()];
                                ops.event(rendez::choose(choice)).await
                            }
                        };
                        match tick {
                            Ok(tick) => ticks.lock().unwrap().push(tick),
                            Err(RecvError) => return,
                        }
                    }
                })
            })
            .collect();
        let setter = crew.start({
            let ticker = ticker.clone();
            async move |ops: Ops| {
                let mut random = fastrand::Rng::with_seed(3);
                // From the first moment at which a tick was possible to the last.
                let mut runs = Vec::new();
                for _ in 0..ROUNDS {
                    let period = Duration::from_micros(random.u64(20..200));
                    let first = Instant::now() + period;
                    ticker.reset(period);
                    for _ in 0..random.u32(..40) {
                        ops.pause().await;
                    }
                    if random.bool() {
                        ticker.stop();
                    } else {
                        ticker.reset(HOUR);
                    }
                    runs.push((first, Instant::now()));
                }
                runs
            }
        });
        let runs = setter.join();
        done.close();
        ticker.c().close();
        receivers.into_iter().for_each(|role| role.join());
        let mut ticks = ticks.lock().unwrap();
        for tick in ticks.iter() {
            assert!(runs.iter().any(|(first, last)| (first..=last).contains(&tick)), "a stale tick");
        }
        let all = ticks.len();
        ticks.sort();
        ticks.dedup();
        assert_eq!(ticks.len(), all, "a tick came twice");
    });
}

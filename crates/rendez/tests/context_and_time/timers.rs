//! `after`, `at` and `Timer`, sleeping, and the alarms behind what is awaited, from every world.
#![cfg(not(loom))]

use crate::{
    setup::runtime,
    worlds::{
        Crew, Ops, Wakes, in_both_times, in_every_world, in_worlds_of_time, on_one_worker, poll_once,
        poll_with, until,
    },
};
use futures_util::StreamExt;
use rendez::{
    Runtime, Select,
    chan::{self, Receiver, RecvError, RecvTimeoutError, TryRecvError},
    select,
    time::{self, Instant, Timer},
};
use std::{
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        time::sleep(Duration::from_micros(200));
    }
}

/// A timer that is due.
fn due() -> Timer {
    let timer = Timer::new(Duration::ZERO);
    assert_eq!(timer.c().len(), 0);
    assert!(timer.c().is_empty());
    timer
}

/// Receives in the manner that `form` stands for.
async fn receive(ops: Ops, form: usize, rx: Receiver<Instant>) -> Instant {
    match (form, ops.awaits()) {
        (0, _) => ops.recv(&rx).await.unwrap(),
        (1, _) => loop {
            match rx.try_recv() {
                Ok(value) => return value,
                Err(error) => assert_eq!(error, TryRecvError::Empty),
            }
            ops.let_time_pass().await;
        },
        (2, _) => ops.event(rx.recv_event()).await.unwrap(),
        (3, false) => rx.recv_timeout(HOUR).unwrap(),
        (4, false) => rx.recv_deadline(Instant::now() + HOUR).unwrap(),
        (5, false) => rx.iter().next().unwrap(),
        (6, false) => rx.into_iter().next().unwrap(),
        (7, false) => {
            let (_tx, silent) = chan::bounded::<()>(0);
            select! {
                recv(silent) -> _ => unreachable!("nobody sends"),
                recv(rx) -> value => value.unwrap(),
            }
        }
        (8, false) => {
            let never = chan::never::<u8>();
            let mut select = Select::new();
            select.recv(&never);
            let arm = select.recv(&rx);
            let operation = select.wait();
            assert_eq!(operation.index(), arm);
            operation.recv(&rx).unwrap()
        }
        (_, false) => loop {
            if let Some(value) = rx.try_iter().next() {
                return value;
            }
            ops.let_time_pass().await;
        },
        (3..6, true) => pin!(rx.stream()).next().await.unwrap(),
        (6, true) => {
            let never = chan::never();
            let choice = rendez::choose([rx.recv_event(), never.recv_event()]);
            ops.event(choice).await.unwrap()
        }
        (_, true) => {
            let never = chan::never::<u8>();
            let mut select = Select::new();
            select.recv(&never);
            select.recv(&rx);
            let operation = select.wait_async().await;
            operation.recv(&rx).unwrap()
        }
    }
}

const FORMS: usize = 10;

/// Each form receives from a timer of its own, not before its moment, and nothing afterwards.
fn every_form_in_turn(crew: &Crew) {
    for form in 0..FORMS {
        let before = Instant::now();
        let rx = chan::after(2 * MS);
        let theirs = rx.clone();
        let role = crew.start(async move |ops| {
            let value = receive(ops, form, theirs).await;
            ops.clock().meets(Instant::now(), value);
            value
        });
        crew.clock().meets(role.join(), before + 2 * MS);
        // There is one, and the channel does not end.
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert!(!rx.is_closed());
    }
}

#[test]
fn every_form_of_receiving_takes_the_moment_once_it_has_come_and_not_before() {
    in_worlds_of_time(every_form_in_turn);
}

/// The one test of a timer by the machine's clock on one, two and eight real workers.
#[test]
fn every_form_of_receiving_takes_the_moment_on_real_workers_too() {
    in_every_world(every_form_in_turn);
}

#[test]
fn a_moment_that_has_passed_is_there_at_once_in_every_form() {
    in_worlds_of_time(|crew: &Crew| {
        for form in 0..FORMS {
            let moment = Instant::now();
            let rx = chan::at(moment);
            let role = crew.start(async move |ops| receive(ops, form, rx).await);
            assert_eq!(role.join(), moment);
        }
    });
}

#[test]
fn a_timers_channel_has_no_length_and_no_capacity_at_any_time() {
    in_both_times(|_| {
        let look = |rx: &Receiver<Instant>| {
            assert_eq!((rx.len(), rx.capacity()), (0, Some(0)));
            assert!(rx.is_empty() && rx.is_full() && !rx.is_closed());
        };
        let timer = Timer::new(MS);
        look(timer.c());
        time::sleep(2 * MS);
        look(timer.c());
        timer.c().recv().unwrap();
        look(timer.c());
        timer.stop();
        look(timer.c());
    });
}

#[test]
fn who_only_looks_finds_nothing_before_it_is_due_and_the_value_afterwards() {
    in_both_times(|clock| {
        let (timer, start) = (Timer::new(HOUR), Instant::now());
        assert_eq!(timer.c().try_recv(), Err(TryRecvError::Empty));
        assert_eq!(timer.c().recv_timeout(MS), Err(RecvTimeoutError::Timeout));
        clock.has_passed(start, MS);
        assert_eq!(timer.c().recv_deadline(Instant::now()), Err(RecvTimeoutError::Timeout));
        let (_tx, silent) = chan::bounded::<()>(0);
        let look = |timer: &Timer| {
            select! {
                recv(timer.c()) -> value => value.is_ok(),
                recv(silent) -> _ => unreachable!("nobody sends"),
                default => false,
            }
        };
        assert!(!look(&timer));
        assert!(timer.reset(Duration::ZERO));
        assert!(look(&timer) && !look(&timer));
        timer.reset(Duration::ZERO);
        // With a limit that has passed, what is there is still taken.
        assert!(timer.c().recv_timeout(Duration::ZERO).is_ok());
    });
}

#[test]
fn a_select_with_a_default_that_waits_takes_a_timer_that_is_due_first() {
    in_worlds_of_time(|crew: &Crew| {
        let start = Instant::now();
        let role = crew.start(async |_| {
            let (rx, late) = (chan::after(MS), chan::after(HOUR));
            select! {
                recv(late) -> _ => false,
                recv(rx) -> _ => true,
                default(HOUR) => false,
            }
        });
        assert!(role.join());
        crew.clock().has_passed(start, MS);
        let role = crew.start(async |_| {
            select! {
                recv(chan::after(HOUR)) -> _ => false,
                default(MS) => true,
            }
        });
        assert!(role.join());
        crew.clock().has_passed(start, 2 * MS);
    });
}

#[test]
fn of_several_that_receive_one_gets_the_value() {
    in_worlds_of_time(|crew: &Crew| {
        let timer = Timer::new(HOUR);
        let got = Arc::new(AtomicUsize::new(0));
        let roles: Vec<_> = (0..8)
            .map(|i| {
                let (rx, got) = (timer.c().clone(), got.clone());
                crew.start(async move |ops: Ops| {
                    let value = match i % 2 {
                        0 => ops.recv(&rx).await,
                        _ => ops.event(rendez::choose([rx.recv_event(), rx.recv_event()])).await,
                    };
                    got.fetch_add(usize::from(value.is_ok()), Ordering::SeqCst);
                    value.is_ok()
                })
            })
            .collect();
        for expected in 1..=5 {
            timer.reset(Duration::ZERO);
            wait_until(|| got.load(Ordering::SeqCst) >= expected);
            time::sleep(MS / 2);
            assert_eq!(got.load(Ordering::SeqCst), expected);
            assert!(!timer.stop());
        }
        timer.c().close();
        assert_eq!(roles.into_iter().map(|role| role.join()).filter(|&got| got).count(), 5);
    });
}

#[test]
fn stop_says_whether_a_value_was_to_come_and_none_comes() {
    in_both_times(|_| {
        let timer = Timer::new(HOUR);
        assert!(timer.stop());
        assert!(!timer.stop());
        // One that was due and had not been received.
        assert!(!timer.reset(Duration::ZERO));
        time::sleep(MS);
        assert!(timer.stop());
        assert_eq!(timer.c().try_recv(), Err(TryRecvError::Empty));
        assert_eq!(timer.c().recv_timeout(MS), Err(RecvTimeoutError::Timeout));
        // One that was received.
        timer.reset(Duration::ZERO);
        timer.c().recv().unwrap();
        assert!(!timer.stop());
    });
}

#[test]
fn reset_says_whether_a_value_was_to_come_and_the_one_of_before_does_not() {
    in_both_times(|clock| {
        let timer = due();
        time::sleep(MS);
        // By the machine's clock, two milliseconds may be over before one has looked.
        assert!(timer.reset(if clock.is_virtual() { 2 * MS } else { HOUR }));
        assert_eq!(timer.c().try_recv(), Err(TryRecvError::Empty));
        let before = Instant::now();
        assert!(timer.reset(2 * MS));
        clock.meets(timer.c().recv().unwrap(), before + 2 * MS);
        assert!(!timer.reset(HOUR));
        assert!(timer.reset(Duration::ZERO));
        assert!(timer.c().recv().is_ok());
        assert!(!timer.stop());
        assert!(!timer.reset(MS));
        assert!(timer.c().recv().is_ok());
    });
}

#[test]
fn a_timer_that_is_set_earlier_wakes_those_who_wait_and_one_that_is_stopped_does_not() {
    in_worlds_of_time(|crew: &Crew| {
        for form in [0, 2, 3, 7, 8] {
            for stop in [false, true] {
                let timer = Timer::new(if form % 2 == 0 { HOUR } else { 2 * MS });
                let (rx, started) = (timer.c().clone(), Arc::new(AtomicUsize::new(0)));
                let theirs = started.clone();
                let role = crew.start(async move |ops| {
                    theirs.store(1, Ordering::SeqCst);
                    receive(ops, form, rx).await
                });
                wait_until(|| started.load(Ordering::SeqCst) == 1);
                if form % 2 != 0 {
                    // Whoever has received the first value has got it; else it is the second.
                    if timer.reset(3 * MS) || stop {
                        timer.stop();
                        timer.reset(MS);
                    }
                    role.join();
                    continue;
                }
                time::sleep(MS);
                if stop {
                    assert!(timer.stop());
                    time::sleep(MS);
                }
                let before = Instant::now();
                assert_eq!(timer.reset(MS), !stop);
                crew.clock().meets(role.join(), before + MS);
            }
        }
    });
}

#[test]
fn a_timer_that_is_set_later_makes_those_who_wait_wait_longer() {
    in_worlds_of_time(|crew: &Crew| {
        for form in [0, 2, 3, 7, 8] {
            let mut reset_at = Instant::now();
            let timer = Timer::new(5 * MS);
            let rx = timer.c().clone();
            let role = crew.start(async move |ops| receive(ops, form, rx).await);
            for _ in 0..4 {
                time::sleep(MS);
                let before = Instant::now();
                if !timer.reset(5 * MS) {
                    // It was received, on a slow machine: there would be nobody for the next one.
                    assert!(!crew.clock().is_virtual());
                    break;
                }
                reset_at = before;
            }
            crew.clock().meets(role.join(), reset_at + 5 * MS);
        }
    });
}

/// Settings are prevented or received, each once; the tally of both is kept by who sets and who receives. It is a race of
/// threads, so they are real ones.
#[test]
fn resets_and_stops_beside_receives_never_let_a_stale_value_through() {
    const ROUNDS: u32 = if cfg!(debug_assertions) { 300 } else { 1000 };
    in_every_world(|crew: &Crew| {
        let timer = Arc::new(Timer::new(HOUR));
        assert!(timer.stop());
        let (done, ended) = chan::bounded::<Instant>(0);
        let values = Arc::new(Mutex::new(Vec::new()));
        let receivers: Vec<_> = (0..3)
            .map(|i| {
                let (timer, ended, values) = (timer.clone(), ended.clone(), values.clone());
                crew.start(async move |ops: Ops| {
                    loop {
                        // One waits for nothing else, the others select, or look.
                        let received = match i {
                            0 => ops.recv(timer.c()).await,
                            1 => {
                                let choice = [timer.c().recv_event(), ended.recv_event()];
                                ops.event(rendez::choose(choice)).await
                            }
                            _ if ended.is_closed() => Err(RecvError),
                            _ => match timer.c().try_recv() {
                                Err(TryRecvError::Empty) => {
                                    ops.pause().await;
                                    continue;
                                }
                                received => received.map_err(|_| RecvError),
                            },
                        };
                        let Ok(value) = received else { return };
                        assert!(value <= Instant::now());
                        values.lock().unwrap().push(value);
                    }
                })
            })
            .collect();
        let setter = crew.start({
            let timer = timer.clone();
            async move |ops: Ops| {
                let mut random = fastrand::Rng::with_seed(7);
                // When the value of each setting that was received must have been due.
                let mut received = Vec::new();
                let mut last: Option<(Instant, Instant)> = None;
                for _ in 0..ROUNDS {
                    for _ in 0..random.u32(..20) {
                        ops.pause().await;
                    }
                    let stop = random.u32(..4) == 0;
                    let delay = Duration::from_micros(random.u64(..200));
                    let before = Instant::now();
                    let prevented = if stop { timer.stop() } else { timer.reset(delay) };
                    let after = Instant::now();
                    match last.take() {
                        Some(set) if !prevented => received.push(set),
                        Some(_) => {}
                        None => assert!(!prevented, "nothing was set"),
                    }
                    last = (!stop).then(|| (before + delay, after + delay));
                }
                if let Some(set) = last
                    && !timer.stop()
                {
                    received.push(set);
                }
                received
            }
        });
        let received = setter.join();
        done.close();
        timer.c().close();
        receivers.into_iter().for_each(|role| role.join());
        let values = values.lock().unwrap();
        assert_eq!(values.len(), received.len());
        for value in values.iter() {
            assert!(received.iter().any(|(from, to)| (from..=to).contains(&value)), "a stale value");
        }
    });
}

#[test]
fn a_value_that_was_received_and_given_back_can_be_received_unless_the_timer_was_set_since() {
    in_both_times(|_| {
        // By an operation that is dropped.
        let timer = due();
        let mut select = Select::new();
        select.recv(timer.c());
        drop(select.try_wait().expect("it is due"));
        assert!(timer.c().try_recv().is_ok());
        timer.reset(Duration::ZERO);
        let operation = select.try_wait().expect("it is due");
        // It counts as received meanwhile.
        assert!(!timer.stop());
        drop(operation);
        assert_eq!(timer.c().try_recv(), Err(TryRecvError::Empty));
        // By a future that was handed it.
        for stop in [false, true] {
            let timer = Timer::new(MS);
            let (wakes, waker) = Wakes::new();
            {
                let mut receive = pin!(timer.c().recv_async());
                assert!(poll_with(receive.as_mut(), &waker).is_none());
                wait_until(|| wakes.count() == 1);
                if stop {
                    assert!(!timer.reset(HOUR));
                }
            }
            assert_eq!(timer.c().try_recv().is_ok(), !stop);
            assert_eq!(timer.stop(), stop);
        }
    });
}

#[test]
fn a_value_that_is_given_back_goes_to_one_who_waits() {
    in_worlds_of_time(|crew: &Crew| {
        let timer = due();
        let mut select = Select::new();
        select.recv(timer.c());
        let operation = select.try_wait().expect("it is due");
        let (rx, started) = (timer.c().clone(), Arc::new(AtomicUsize::new(0)));
        let theirs = started.clone();
        let role = crew.start(async move |ops| {
            theirs.store(1, Ordering::SeqCst);
            ops.recv(&rx).await.unwrap()
        });
        wait_until(|| started.load(Ordering::SeqCst) == 1);
        drop(operation);
        role.join();
        assert!(!timer.stop());
    });
}

#[test]
fn closing_a_timers_channel_ends_those_who_wait_and_the_timer_for_good() {
    in_worlds_of_time(|crew: &Crew| {
        let timer = Timer::new(HOUR);
        let roles: Vec<_> = (0..4)
            .map(|_| {
                let rx = timer.c().clone();
                crew.start(async move |ops: Ops| ops.recv(&rx).await)
            })
            .collect();
        assert!(timer.c().close());
        assert!(!timer.c().close());
        assert!(timer.c().is_closed());
        assert!(roles.into_iter().all(|role| role.join() == Err(RecvError)));
        assert!(!timer.stop());
        assert!(!timer.reset(Duration::ZERO));
        assert_eq!(timer.c().try_recv(), Err(TryRecvError::Closed));
    });
}

#[test]
fn more_time_than_the_clock_can_say_never_passes() {
    in_both_times(|_| {
        let timer = Timer::new(Duration::MAX);
        assert_eq!(timer.c().recv_timeout(MS), Err(RecvTimeoutError::Timeout));
        assert!(timer.stop());
        assert_eq!(chan::after(Duration::MAX).try_recv(), Err(TryRecvError::Empty));
        let mut sleeping = pin!(time::sleep_async(Duration::MAX));
        assert!(poll_once(sleeping.as_mut()).is_none());
        assert!(poll_once(sleeping.as_mut()).is_none());
    });
}

#[test]
fn receivers_outlive_their_timer() {
    in_both_times(|_| {
        let rx = Timer::new(MS).c().clone();
        assert!(rx.recv().is_ok());
    });
}

// ---- sleeping ----

/// Sleeps of each form, one after the other.
fn every_sleep_in_turn(crew: &Crew) {
    let role = crew.start(async |ops: Ops| {
        let (start, clock) = (Instant::now(), ops.clock());
        ops.sleep(MS).await;
        clock.has_passed(start, MS);
        if ops.awaits() {
            time::sleep_until_async(start + 3 * MS).await;
            clock.has_passed(start, 3 * MS);
            time::sleep_until_async(start).await;
        } else {
            time::sleep_until(start + 3 * MS);
            clock.has_passed(start, 3 * MS);
            time::sleep_until(start);
        }
        ops.sleep(Duration::ZERO).await;
        clock.has_passed(start, 3 * MS);
    });
    role.join();
}

#[test]
fn sleeping_takes_its_time_in_every_world_and_none_for_what_has_passed() {
    in_worlds_of_time(every_sleep_in_turn);
    in_both_times(|_| {
        assert!(poll_once(pin!(time::sleep_async(Duration::ZERO))).is_some());
        assert!(poll_once(pin!(time::sleep_until_async(Instant::now()))).is_some());
    });
}

/// The one test of sleeping by the machine's clock on one, two and eight real workers.
#[test]
fn sleeping_takes_its_time_on_real_workers_too() {
    in_every_world(every_sleep_in_turn);
}

#[test]
fn an_async_goroutine_that_sleeps_until_moments_that_have_passed_lets_others_run() {
    const MANY: usize = 1_000_000;
    let rounds = on_one_worker(|| {
        let rounds = Arc::new(AtomicUsize::new(0));
        let theirs = rounds.clone();
        let past = Instant::now();
        drop(rendez::go_async(async move {
            while theirs.fetch_add(1, Ordering::SeqCst) < MANY {
                time::sleep_until_async(past).await;
            }
        }));
        until(|| rounds.load(Ordering::SeqCst) > 0);
        rounds.load(Ordering::SeqCst)
    });
    assert!(rounds < MANY);
}

// Those that follow are of real workers: of the alarms that each has, and of who sees to them when it doesn't. Some are of
// thousands of them, of other threads, or of the end of a runtime. None asks for more than a time that has passed.

#[test]
fn many_async_sleepers_all_wake_and_none_early() {
    for workers in [1, 2, 8] {
        runtime(workers).run(|| {
            let handles: Vec<_> = (0..5000u64)
                .map(|i| {
                    rendez::go_async(async move {
                        let (start, time) = (Instant::now(), Duration::from_micros(i * 7 % 3000));
                        time::sleep_async(time).await;
                        assert!(start.elapsed() >= time);
                    })
                })
                .collect();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
        });
    }
}

#[test]
fn a_sleep_that_is_dropped_wakes_nobody_and_lets_go_of_its_waker() {
    let check = || {
        let (wakes, waker) = Wakes::new();
        let mut sleeps: Vec<_> = (0..100).map(|i| Box::pin(time::sleep_async(HOUR + i * MS))).collect();
        sleeps.iter_mut().for_each(|sleep| assert!(poll_with(sleep.as_mut(), &waker).is_none()));
        drop(waker);
        assert_eq!(Arc::strong_count(&wakes), 101);
        sleeps.drain(30..60);
        assert_eq!(Arc::strong_count(&wakes), 71);
        // From another thread than the one that set them.
        thread::spawn(move || drop(sleeps)).join().unwrap();
        assert_eq!((Arc::strong_count(&wakes), wakes.count()), (1, 0));
    };
    check();
    runtime(2).run(check);
}

#[test]
fn a_sleep_that_moves_between_threads_wakes_whom_it_was_last_polled_by() {
    let runtimes = [runtime(1), runtime(2)];
    for round in 0..200u32 {
        let (first, first_waker) = Wakes::new();
        let (last, last_waker) = Wakes::new();
        let mut sleep =
            Box::pin(time::sleep_async(Duration::from_micros(u64::from(round % 50) * 10) + MS / 2));
        let poll =
            |sleep: &mut Pin<Box<time::SleepFuture>>, waker| poll_with(sleep.as_mut(), waker).is_some();
        let mut ready = runtimes[0].run(|| poll(&mut sleep, &first_waker));
        ready |= runtimes[1].run(|| poll(&mut sleep, &last_waker));
        if round % 2 == 0 {
            ready |= poll(&mut sleep, &last_waker);
        }
        if !ready {
            wait_until(|| last.count() > 0);
            assert_eq!(poll_with(sleep.as_mut(), &last_waker), Some(()));
        }
        assert!(first.count() <= 1 && last.count() <= 1);
    }
}

#[test]
fn a_timer_of_a_worker_that_does_not_come_back_is_seen_to_by_another() {
    let spins = |runtime: &Runtime| {
        runtime.run(|| {
            let (wakes, waker) = Wakes::new();
            let mut sleep = pin!(time::sleep_async(MS));
            assert!(poll_with(sleep.as_mut(), &waker).is_none());
            let start = Instant::now();
            // Without giving up the worker.
            while wakes.count() == 0 && start.elapsed() < Duration::from_secs(20) {
                std::hint::spin_loop();
            }
            wakes.count()
        })
    };
    assert_eq!(spins(&runtime(2)), 1);
    assert_eq!(spins(&runtime(3)), 1);
}

#[test]
fn what_was_set_on_a_runtime_that_has_ended_goes_on_elsewhere() {
    let (wakes, waker) = Wakes::new();
    let start = Instant::now();
    let mut sleep = Box::pin(time::sleep_async(20 * MS));
    let timer = Timer::new(20 * MS);
    let mut receive = pin!(timer.c().recv_async());
    runtime(2).run(|| {
        assert!(poll_with(sleep.as_mut(), &waker).is_none());
        assert!(poll_with(receive.as_mut(), &waker).is_none());
    });
    // Woken, maybe before time, and polled again, as an executor does it.
    while poll_with(sleep.as_mut(), &waker).is_none() {
        let before = wakes.count();
        wait_until(|| wakes.count() > before || start.elapsed() > 20 * MS);
    }
    assert!(start.elapsed() >= 20 * MS);
    wait_until(|| poll_with(receive.as_mut(), &waker).is_some());
    // And what was set by one worker, on a runtime whose workers all sleep.
    let runtime = runtime(4);
    let handle = runtime.run(|| rendez::go_async(time::sleep_async(5 * MS)));
    handle.join().unwrap();
}

#[test]
fn a_surplus_worker_sees_to_the_timers_that_it_has() {
    runtime(4).run(|| {
        let handles: Vec<_> = (0..200)
            .map(|i| match i % 2 {
                0 => rendez::go(|| time::sleep(3 * MS)),
                _ => rendez::go_async(time::sleep_async(3 * MS)),
            })
            .collect();
        time::sleep(MS);
        rendez::set_workers(1);
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn who_has_slept_is_the_next_to_run_where_others_compute() {
    runtime(1).run(|| {
        let (begun, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
        let due = Mutex::new(Instant::now());
        let mut waits = rendez::scope(|s| {
            for _ in 0..8 {
                s.go(|| {
                    while !ended.load(Ordering::Relaxed) {
                        let start = Instant::now();
                        let is_due = start >= *due.lock().unwrap();
                        begun.fetch_add(usize::from(is_due), Ordering::Relaxed);
                        while start.elapsed() < Duration::from_micros(20) {
                            std::hint::spin_loop();
                        }
                        rendez::yield_now();
                    }
                });
            }
            let waits: Vec<_> = (0..100)
                .map(|_| {
                    *due.lock().unwrap() = Instant::now() + MS;
                    begun.store(0, Ordering::Relaxed);
                    time::sleep(MS);
                    begun.load(Ordering::Relaxed)
                })
                .collect();
            ended.store(true, Ordering::Relaxed);
            waits
        });
        // How many turns others began although its time had come. (The first time it is not known that they take long.)
        waits.sort_unstable();
        assert!(waits[waits.len() / 2] <= 2, "{waits:?}");
    });
}

/// Beside a sleeper that is always due at once, as its bursts are long enough for that.
#[test]
fn who_sleeps_for_next_to_no_time_again_and_again_leaves_the_others_their_turns() {
    fn compute() {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(20) {
            std::hint::spin_loop();
        }
    }
    const TURNS: usize = 1000;
    runtime(1).run(|| {
        let (turns, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
        rendez::scope(|s| {
            s.go(|| {
                while !ended.load(Ordering::Relaxed) {
                    turns.fetch_add(1, Ordering::Relaxed);
                    compute();
                    rendez::yield_now();
                }
            });
            for _ in 0..TURNS {
                compute();
                time::sleep(Duration::from_nanos(1));
            }
            ended.store(true, Ordering::Relaxed);
        });
        let turns = turns.into_inner();
        assert!(turns >= TURNS / 4, "{turns}");
    });
}

//! Who is there, what they wait for, and where.

mod child;

use child::must_succeed_in_a_child;
use rendez::{
    Builder, Context, Runtime,
    chan::{self, Receiver},
    diag, go, pattern, scope, signal,
    sync::Group,
    time,
};
use std::{
    future::{Future, poll_fn},
    hint::black_box,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    thread,
    time::Duration,
};

#[inline(never)]
fn waits_here(rx: &Receiver<i32>) -> i32 {
    rx.recv().map_or(0, |value| value + 1)
}

fn on_workers(f: impl Fn(&Runtime)) {
    for workers in [1, 2, 8] {
        f(&Runtime::builder().workers(workers).build().unwrap());
    }
}

/// Until `is_there` says so of the text.
fn dump_with(is_there: impl Fn(&str) -> bool) -> diag::Dump {
    loop {
        let dump = diag::dump();
        if is_there(&dump.to_string()) {
            return dump;
        }
        rendez::yield_now();
    }
}

#[test]
fn a_dump_says_who_is_there() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        for _ in 0..100 {
            let rx = rx.clone();
            go(move || rx.recv());
        }
        let named = Builder::new().name("sender").spawn(move || chan::never::<()>().recv()).unwrap();
        // Until all of them have parked.
        let dump = dump_with(|text| {
            text.contains("(and 99 more like it)") && text.contains("\"sender\" [chan receive]")
        });
        assert!(dump.len() >= 102, "{dump}");
        assert!(dump.to_string().contains(" [running]:\n"), "{dump}");
        drop((tx, named));
    });
}

#[test]
fn a_dump_shows_the_stacks_of_those_that_wait() {
    on_workers(|runtime| {
        runtime.run(|| {
            let (tx, rx) = chan::bounded::<i32>(0);
            let waits = Builder::new().name("waits").spawn(move || waits_here(&rx)).unwrap();
            let text = dump_with(|text| text.contains("\"waits\" [chan receive]")).to_string();
            let (_, told) = text.split_once("\"waits\" [chan receive]:\n").unwrap();
            let (told, _) = told.split_once("\n\n").unwrap();
            let lines: Vec<&str> = told.lines().collect();
            // The operation, whatever is below it; who called it; where it was made; and no more.
            assert!(lines[0].contains("recv"), "{told}");
            assert!(told.contains("waits_here"), "{told}");
            assert!(told.contains("tests/dump.rs"), "{told}");
            assert!(lines.last().unwrap().starts_with("\tcreated by "), "{told}");
            assert!(
                lines.last().unwrap().contains("::a_dump_shows_the_stacks_of_those_that_wait::"),
                "{told}"
            );
            assert!(!told.contains("corosensei") && !told.contains("catch_unwind"), "{told}");
            // It was looked at, and goes on as if nothing had been.
            tx.send(41).unwrap();
            assert_eq!(waits.join().unwrap(), 42);
        });
    });
}

#[test]
fn what_a_group_and_a_tee_are_made_of_was_made_where_they_were_asked_for() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        let here = |line: u32| format!("made at {}:{line}:", file!());
        let (end, ended) = chan::bounded::<()>(0);
        let (group, made) = (Group::<()>::new(), here(line!()));
        let limited = here(line!() + 1);
        group.limit(1);
        let mut members = vec![group.clone(), group];
        let full = members.pop().unwrap();
        let first = ended.clone();
        full.go(move || first.recv().or(Ok(())));
        let waits_for_a_place = go(move || full.go(|| Ok(())));
        let waits = go(move || members.pop().unwrap().wait());
        let (ctx, cancel) = Context::background().with_cancel();
        let ((left, right), teed) = (pattern::tee(&ctx, chan::never::<i32>()), here(line!()));
        let reads = go(move || left.recv());
        dump_with(|text| {
            text.contains(&format!("waits for wait group, {made}"))
                && text.contains(&format!("waits for semaphore, {limited}"))
                && text.contains(&format!("waits for channel of i32, {teed}"))
        });
        drop((end, cancel, right));
        waits_for_a_place.join().unwrap();
        waits.join().unwrap().unwrap();
        assert!(reads.join().unwrap().is_err());
    });
}

#[test]
fn channels_that_are_made_for_who_asks_were_made_where_he_did() {
    Runtime::builder().workers(2).build().unwrap().run(|| {
        let here = |line: u32| format!("made at {}:{line}:", file!());
        let (timer, timed) = (time::Timer::new(std::time::Duration::from_secs(3600)), here(line!()));
        let ((_pulse, beats), pulsed) = (pattern::Pulse::new(), here(line!()));
        let (signals, notified) = (signal::notify([signal::Signal::USER1]).unwrap(), here(line!()));
        let (never, asked) = (pattern::or([]), here(line!()));
        let (ctx, _cancel) = Context::background().with_cancel();
        let (done, ended) = (ctx.done().clone(), here(line!()));
        go(move || timer.c().recv());
        go(move || beats.recv());
        go(move || signals.recv());
        go(move || never.recv());
        go(move || done.recv());
        go(|| Context::background().done().recv());
        dump_with(|text| {
            [&timed, &pulsed, &notified, &asked, &ended].into_iter().all(|made| {
                text.lines().any(|line| line.contains("waits for") && line.contains(made.as_str()))
            }) && text.contains("\"the end of a context that can't end\"")
        });
    });
}

#[test]
fn what_a_pipeline_sends_to_has_the_name_of_its_stage() {
    Runtime::builder().workers(2).build().unwrap().run(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let stages =
            pattern::Pipeline::from(chan::never::<i32>()).map(1, |n| n).filter(|_| true).named("keep");
        let reads = go(move || stages.run(&ctx).collect().is_err());
        dump_with(|text| text.contains("waits for channel \"from keep, stage 2 of a pipeline\" of i32"));
        cancel.cancel();
        assert!(reads.join().unwrap());
    });
}

#[test]
fn a_crowd_is_told_in_a_few_lines_and_none_is_left_out() {
    const MANY: usize = 20_000;
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        let rx = &rx;
        scope(|s| {
            for _ in 0..MANY {
                s.go(move || waits_here(rx));
            }
            let dump = dump_with(|text| {
                let told = text.split("(and ").filter_map(|part| part.split_once(" more like it)"));
                told.filter_map(|(n, _)| n.parse::<usize>().ok()).sum::<usize>() >= MANY - 10
            });
            assert!(dump.len() > MANY, "{}", dump.len());
            assert!(dump.to_string().len() < 50_000, "{dump}");
            drop(tx);
        });
    });
}

#[test]
fn a_stack_with_no_room_left_is_not_looked_at() {
    /// Calls itself until so many bytes below `start` are in use.
    #[inline(never)]
    fn deep(rx: &Receiver<i32>, start: usize, bytes: usize) -> i32 {
        let here = black_box(0_u8);
        match start - (&raw const here).addr() >= bytes {
            true => waits_here(rx),
            false => deep(rx, start, bytes) + i32::from(here),
        }
    }
    on_workers(|runtime| {
        runtime.run(|| {
            let (tx, rx) = chan::bounded::<i32>(0);
            let builder = Builder::new().name("deep").stack_size(64 * 1024);
            let deep = builder
                .spawn(move || {
                    let start = black_box(0_u8);
                    deep(&rx, (&raw const start).addr(), 42 * 1024)
                })
                .unwrap();
            let text = dump_with(|text| text.contains("\"deep\" [chan receive]")).to_string();
            // No calls: at once what it waits for.
            assert!(text.contains("\"deep\" [chan receive]:\n\twaits for channel of i32, "), "{text}");
            tx.send(1).unwrap();
            assert_eq!(deep.join().unwrap(), 2);
        });
    });
}

#[test]
fn a_thread_may_ask_while_goroutines_come_and_go() {
    on_workers(|runtime| {
        runtime.run(|| {
            let (tx, rx) = chan::bounded::<u32>(1);
            let asks = std::thread::spawn(move || {
                for _ in 0..50 {
                    let _ = diag::dump().to_string();
                }
                rx.close();
                diag::dump().len()
            });
            scope(|s| {
                for _ in 0..4 {
                    s.go(|| while tx.send(1).is_ok() {});
                }
            });
            asks.join().unwrap();
        });
    });
}

#[test]
fn workers_that_are_started_while_somebody_asks_do_not_answer_for_others() {
    for _ in 0..20 {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        thread::scope(|s| {
            let adds = s.spawn(|| runtime.run(|| (2..=16).for_each(rendez::set_workers)));
            while !adds.is_finished() {
                diag::dump();
            }
            adds.join().unwrap();
        });
    }
}

#[test]
fn runtimes_that_have_ended_are_not_waited_for() {
    // The child may take half a minute, and each of these would take a second.
    must_succeed_in_a_child(|| {
        let ended: Vec<Runtime> = (0..40)
            .map(|_| {
                let runtime = Runtime::builder().workers(1).build().unwrap();
                runtime.shutdown();
                runtime
            })
            .collect();
        assert!(diag::dump().is_empty());
        assert!(diag::deadlocked().is_empty());
        drop(ended);
        // And those that just end answer, or are not asked.
        thread::scope(|s| {
            let ends = s.spawn(|| (0..200).for_each(|_| rendez::run(|| ())));
            while !ends.is_finished() {
                diag::dump();
            }
        });
    });
}

#[test]
fn who_keeps_his_worker_is_not_told_to_be_unstarted() {
    must_succeed_in_a_child(|| {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let (go_on, runs) = (AtomicBool::new(true), AtomicBool::new(false));
        thread::scope(|s| {
            s.spawn(|| {
                runtime.run(|| {
                    // One waits, one keeps the worker, and one does not come to its turn.
                    let waits = go(|| chan::never::<()>().recv());
                    while !diag::dump().to_string().contains("[chan receive]") {
                        rendez::yield_now();
                    }
                    let unstarted = go(|| ());
                    runs.store(true, Ordering::SeqCst);
                    while go_on.load(Ordering::SeqCst) {
                        std::hint::spin_loop();
                    }
                    drop((waits, unstarted));
                });
            });
            while !runs.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            let dump = diag::dump();
            go_on.store(false, Ordering::SeqCst);
            let text = dump.to_string();
            assert!(text.contains("2 goroutines are not shown: one of them keeps their worker"), "{text}");
            assert!(text.contains("1 goroutine has not started"), "{text}");
            assert_eq!(dump.len(), 3, "{text}");
        });
    });
}

#[test]
fn a_crowd_of_async_goroutines_is_told_in_a_few_lines_and_none_is_left_out() {
    on_workers(|runtime| {
        runtime.run(|| {
            let (tx, rx) = chan::bounded::<i32>(0);
            let tasks: Vec<_> = (0..5000)
                .map(|_| {
                    let rx = rx.clone();
                    rendez::go_async(async move { rx.recv_async().await })
                })
                .collect();
            let dump = dump_with(|text| text.contains("(and 4999 more like it)"));
            assert!(dump.len() >= 5001, "{}", dump.len());
            drop(tx);
            assert!(tasks.into_iter().all(|task| task.join().unwrap().is_err()));
        });
    });
}

/// Each tells the last operation of this crate that it waited in, and of a channel where that was made.
#[test]
fn a_dump_tells_what_async_goroutines_have_awaited_last() {
    on_workers(|runtime| {
        runtime.run(|| {
            let line = line!() + 1;
            let (tx, rx) = chan::bounded::<i32>(0);
            let idle = chan::bounded::<()>(0);
            let never = chan::bounded::<()>(0);
            let lock = Arc::new(rendez::sync::Mutex::new(()));
            let held = lock.lock();
            let all = rendez::sync::WaitGroup::new();
            all.add(1);
            let stuck = go(move || rx.recv());
            let full = chan::bounded::<i32>(0);
            let waits: Vec<Pin<Box<dyn Future<Output = ()> + Send>>> = vec![
                Box::pin({
                    let rx = idle.1.clone();
                    async move { _ = rx.recv_async().await }
                }),
                Box::pin({
                    let tx = full.0.clone();
                    async move { _ = tx.send_async(1).await }
                }),
                Box::pin({
                    let lock = lock.clone();
                    async move { drop(lock.lock_async().await) }
                }),
                Box::pin(async move { drop(stuck.await) }),
                Box::pin(time::sleep_async(Duration::from_secs(3600))),
                Box::pin({
                    let all = all.clone();
                    async move { all.wait_async().await }
                }),
                Box::pin({
                    let (one, other) = (idle.1.clone(), never.1.clone());
                    async move {
                        let (mut one, mut other) = (pin!(one.recv_async()), pin!(other.recv_async()));
                        poll_fn(|cx| {
                            let are_over =
                                one.as_mut().poll(cx).is_ready() | other.as_mut().poll(cx).is_ready();
                            if are_over { Poll::Ready(()) } else { Poll::Pending }
                        })
                        .await;
                    }
                }),
                Box::pin(std::future::pending()),
            ];
            let tasks: Vec<_> = waits.into_iter().map(rendez::go_async).collect();
            let channel = |line| format!(", at the channel made at crates/rendez/tests/dump.rs:{line}:");
            let told = [
                format!("chan receive{}", channel(line + 1)),
                format!("chan send{}", channel(line + 8)),
                "sync.Mutex.Lock\n\tcreated at ".into(),
                "join\n\tcreated at ".into(),
                "sleep\n\tcreated at ".into(),
                "sync.WaitGroup.Wait\n\tcreated at ".into(),
                // Of two, the second one.
                format!("chan receive{}", channel(line + 2)),
            ]
            .map(|last| format!(" [await]:\n\tawaited last: {last}"));
            dump_with(|text| told.iter().all(|one| text.contains(one)));
            // What they waited for comes, but for two.
            drop((held, tx, idle, never, full));
            all.done();
            for (i, task) in tasks.into_iter().enumerate() {
                if i != 4 && i != 7 {
                    task.join().unwrap();
                }
            }
            let text =
                dump_with(|text| [0, 1, 6].iter().all(|&i: &usize| !text.contains(&told[i]))).to_string();
            assert!(text.contains("awaited last: sleep"), "{text}");
        });
    });
}

#[test]
fn nothing_is_left_of_a_runtime_that_has_ended_and_is_kept() {
    must_succeed_in_a_child(|| {
        let ended = Runtime::builder().workers(1).build().unwrap();
        ended.run(|| go(|| ()).join().unwrap());
        ended.shutdown();
        assert!(diag::dump().is_empty());
        // Its worker takes up what the other one has left.
        Runtime::builder().workers(1).build().unwrap().run(|| {
            for _ in 0..10 {
                go(|| ()).join().unwrap();
            }
            let dump = diag::dump();
            assert_eq!(dump.len(), 1, "{dump}");
            assert!(!dump.to_string().contains("not started"), "{dump}");
        });
        drop(ended);
    });
}

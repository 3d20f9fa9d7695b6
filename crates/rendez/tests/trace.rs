//! Traces, read back as Perfetto reads them: by types after its published schema.
//!
//! There is one recording for the process: each test has a process of its own.
#![cfg(not(loom))]

mod child;
mod perfetto;

use child::must_succeed_in_a_child;
use perfetto::{Event, Kind, Read, Slice};
use rendez::{Builder, Runtime, chan, diag::trace, sync::WaitGroup};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

/// The file of this test, in its child.
fn file(test: &str) -> PathBuf {
    std::env::temp_dir().join(format!("rendez-{test}-{}.perfetto-trace", process::id()))
}

/// Records `f`, and reads the trace.
fn recorded(test: &str, options: trace::Options, f: impl FnOnce()) -> Read {
    let file = file(test);
    options.start(&file).unwrap();
    f();
    trace::stop().unwrap();
    read_and_remove(&file)
}

fn read_and_remove(file: &Path) -> Read {
    let bytes = fs::read(file).unwrap();
    fs::remove_file(file).unwrap();
    Read::of(&bytes)
}

/// On every track slices follow each other, with instants inside of them; on all, each arrow leads forward, from one slice to one.
fn assert_sound(read: &Read) {
    let mut open: HashMap<u64, Option<&Event>> = HashMap::new();
    let mut last: HashMap<u64, u64> = HashMap::new();
    let (mut starts, mut ends) = (HashMap::new(), HashMap::new());
    for event in &read.events {
        assert!(read.tracks.contains_key(&event.track), "no such track: {event:?}");
        let last = last.entry(event.track).or_default();
        assert!(*last <= event.at, "time goes back on its track: {event:?}");
        *last = event.at;
        let slice = open.entry(event.track).or_default();
        match event.kind {
            Kind::Begin => assert!(slice.replace(event).is_none(), "within another: {event:?}"),
            Kind::End => assert!(slice.take().is_some(), "none is open: {event:?}"),
            Kind::Instant => assert!(slice.is_some(), "in no slice: {event:?}"),
        }
        for &flow in &event.flows {
            assert!(starts.insert(flow, event).is_none(), "begins twice: {event:?}");
        }
        for &flow in &event.last_of_flows {
            assert!(ends.insert(flow, event).is_none(), "ends twice: {event:?}");
        }
    }
    assert!(open.values().all(Option::is_none), "a slice has no end");
    assert_eq!(starts.len(), ends.len());
    for (flow, start) in starts {
        let end = ends.get(&flow).unwrap_or_else(|| panic!("leads nowhere: {start:?}"));
        assert!(start.at <= end.at, "leads back: {start:?} {end:?}");
    }
}

#[test]
fn a_trace_has_a_slice_for_each_turn_an_arrow_for_each_wake_and_says_why_goroutines_wait() {
    must_succeed_in_a_child(|| {
        for workers in [1, 2, 8] {
            let before = Instant::now();
            let read = recorded("slices", trace::Options::new(), || {
                let runtime = Runtime::builder().workers(workers).build().unwrap();
                runtime.run(|| {
                    let (tx, rx) = chan::bounded(0);
                    let sender = Builder::new().name("sender").spawn(move || {
                        // Workers that have not looked around yet do so on the way.
                        (0..2000).for_each(|i| tx.send(i).unwrap());
                    });
                    let receiver = Builder::new().name("receiver").spawn(move || rx.iter().count());
                    assert_eq!(receiver.unwrap().join().unwrap(), 2000);
                    sender.unwrap().join().unwrap();
                });
            });
            assert_sound(&read);
            let slices = read.slices();
            let named =
                |name: &str| slices.iter().filter(|slice| slice.name == name).collect::<Vec<&Slice>>();
            let (senders, receivers) = (named("sender"), named("receiver"));
            assert!(senders.len() > 500 && receivers.len() > 500, "{} {}", senders.len(), receivers.len());
            let one = senders[0].annotations["goroutine"].clone();
            assert!(senders.iter().all(|slice| slice.annotations["goroutine"] == one));
            assert!(senders[0].annotations["created at"].contains("tests/trace.rs:"), "{:?}", senders[0]);
            // The last ends, and each other waits, or yields when its budget is used up.
            let until = |slice: &&Slice| slice.annotations["until"].clone();
            assert_eq!(until(senders.last().unwrap()), "ended");
            let waits = senders.iter().chain(&receivers).filter(|slice| {
                ["chan send", "chan receive", "yield", "ended", "sync.Mutex.Lock"].contains(&&*until(slice))
            });
            assert_eq!(waits.count(), senders.len() + receivers.len());
            assert!(receivers.iter().any(|slice| until(slice) == "chan receive"));
            assert!(
                read.events.iter().any(|event| event.kind == Kind::Instant && event.name == "chan receive")
            );
            // Who waited was woken by the other, and the arrow says so.
            let sources: HashMap<u64, &str> = slices
                .iter()
                .flat_map(|slice| slice.flows.iter().map(|&flow| (flow, &*slice.name)))
                .collect();
            let woken = receivers.iter().filter(|slice| {
                slice.last_of_flows.iter().any(|flow| sources.get(flow).is_some_and(|name| *name == "sender"))
            });
            let woken = woken.count();
            assert!(woken > receivers.len() / 4, "{workers} workers: {woken} of {}", receivers.len());
            // In time: all of it lies between the beginning and now.
            let first = slices.iter().map(|slice| slice.begin).min().unwrap();
            let last = slices.iter().map(|slice| slice.end).max().unwrap();
            assert!(Duration::from_nanos(last - first) <= before.elapsed());
            assert!(read.process.is_some_and(|pid| pid == process::id() as i32));
        }
    });
}

#[test]
fn slices_are_as_long_as_what_ran_and_lie_on_the_track_of_their_worker() {
    must_succeed_in_a_child(|| {
        let long = Duration::from_millis(30);
        let read = recorded("lengths", trace::Options::new(), || {
            let runtime = Runtime::builder().workers(1).build().unwrap();
            runtime.run(|| {
                // Until the worker records.
                (0..100).for_each(|_| rendez::yield_now());
                let worker = Builder::new().name("long").spawn(move || {
                    let start = Instant::now();
                    while start.elapsed() < long {}
                });
                worker.unwrap().join().unwrap();
            });
        });
        assert_sound(&read);
        let slices = read.slices();
        let slice = slices.iter().find(|slice| slice.name == "long").expect("its slice");
        let length = Duration::from_nanos(slice.end - slice.begin);
        // The two clocks agree to a fraction.
        assert!(length >= long * 99 / 100, "{length:?}");
        assert!(
            read.tracks[&slice.track].starts_with("runtime ")
                && read.tracks[&slice.track].ends_with("worker 0")
        );
        let spawned = read.events.iter().find(|event| event.kind == Kind::Instant && event.name == "go long");
        assert_eq!(spawned.expect("its spawn").annotations["goroutine"], slice.annotations["goroutine"]);
        assert_eq!(slice.last_of_flows.len(), 1, "from who started it");
    });
}

#[test]
fn memory_is_bounded_and_the_last_is_kept() {
    must_succeed_in_a_child(|| {
        let small = trace::Options::new().memory(64 * 1024);
        let read = recorded("bounded", small, || {
            rendez::run(|| {
                (0..100_000).for_each(|_| rendez::yield_now());
                Builder::new().name("last").spawn(|| ()).unwrap().join().unwrap();
            });
        });
        assert_sound(&read);
        let slices = read.slices();
        let workers = rendez::workers();
        assert!(slices.len() > 1000 && slices.len() <= workers * 64 * 1024 / 32, "{}", slices.len());
        assert!(slices.iter().any(|slice| slice.name == "last"));
        // Of the last moments only.
        let short = trace::Options::new().last(Duration::from_millis(500));
        let read = recorded("last", short, || {
            rendez::run(|| {
                (0..100).for_each(|_| rendez::yield_now());
                Builder::new().name("early").spawn(|| ()).unwrap().join().unwrap();
                thread::sleep(Duration::from_secs(1));
                Builder::new().name("late").spawn(|| ()).unwrap().join().unwrap();
            });
        });
        assert_sound(&read);
        let names: Vec<String> = read.slices().into_iter().map(|slice| slice.name).collect();
        assert!(
            names.iter().any(|name| name == "late") && names.iter().all(|name| name != "early"),
            "{names:?}"
        );
    });
}

#[test]
fn async_goroutines_and_runtimes_that_have_ended_are_in_it() {
    must_succeed_in_a_child(|| {
        let read = recorded("async", trace::Options::new(), || {
            for _ in 0..3 {
                rendez::run(|| {
                    (0..100).for_each(|_| rendez::yield_now());
                    let all = WaitGroup::new();
                    let (tx, rx) = chan::bounded(0);
                    all.add(2);
                    let done = [all.clone(), all.clone()];
                    let [one, other] = done;
                    rendez::go_async(async move {
                        for i in 0..500 {
                            tx.send_async(i).await.unwrap();
                        }
                        one.done();
                    });
                    rendez::go_async(async move {
                        while rx.recv_async().await.is_ok() {}
                        other.done();
                    });
                    all.wait();
                });
            }
        });
        assert_sound(&read);
        let slices = read.slices();
        let awaits = slices.iter().filter(|slice| slice.annotations["until"] == "await").count();
        assert!(awaits >= 500, "{awaits} of {}", slices.len());
        let mut runtimes: Vec<&str> =
            slices.iter().map(|slice| read.tracks[&slice.track].split(" worker").next().unwrap()).collect();
        runtimes.sort_unstable();
        runtimes.dedup();
        assert_eq!(runtimes.len(), 3, "{runtimes:?}");
    });
}

#[test]
fn it_is_started_and_stopped_once_and_says_so_otherwise() {
    must_succeed_in_a_child(|| {
        assert_eq!(trace::stop().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(trace::write().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(trace::start("/no/such/folder/trace").is_err());
        let file = file("once");
        trace::start(&file).unwrap();
        assert_eq!(trace::start(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        rendez::run(|| (0..100).for_each(|_| rendez::yield_now()));
        trace::write().unwrap();
        let some = Read::of(&fs::read(&file).unwrap()).slices().len();
        rendez::run(|| (0..100).for_each(|_| rendez::yield_now()));
        trace::stop().unwrap();
        let all = read_and_remove(&file).slices().len();
        assert!(0 < some && some < all, "{some} {all}");
    });
}

/// What a child wrote to the file that `RENDEZ_TRACE` names.
fn traced_child(test: &str) -> (child::Ended, Read) {
    let file = file(test);
    let ended = child::end(child::start(test, &[("RENDEZ_TRACE", file.to_str().unwrap())]));
    (ended, read_and_remove(&file))
}

#[test]
fn the_environment_begins_one_that_is_written_at_the_exit() {
    if child::is_child() {
        rendez::run(|| {
            (0..100).for_each(|_| rendez::yield_now());
            Builder::new().name("seen").spawn(|| ()).unwrap().join().unwrap();
        });
        process::exit(3);
    }
    let (ended, read) = traced_child("the_environment_begins_one_that_is_written_at_the_exit");
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert_sound(&read);
    assert!(read.slices().iter().any(|slice| slice.name == "seen"));
}

#[test]
fn a_panic_that_nobody_asks_about_has_it_written_although_the_process_is_killed_after() {
    if child::is_child() {
        rendez::run(|| {
            (0..100).for_each(|_| rendez::yield_now());
            Builder::new().name("seen").spawn(|| ()).unwrap().join().unwrap();
            let (tx, rx) = chan::bounded::<()>(0);
            rendez::go(move || {
                let _tx = tx;
                panic!("on purpose");
            });
            let _ = rx.recv();
            // Its end, and the file with it, comes after what it owns has gone.
            let path = std::env::var("RENDEZ_TRACE").unwrap();
            let is_there = || {
                Read::try_of(&fs::read(&path).unwrap())
                    .is_ok_and(|read| read.slices().iter().any(|slice| slice.name == "seen"))
            };
            while !is_there() {
                thread::yield_now();
            }
            // SAFETY: no memory is passed.
            unsafe { libc::kill(process::id() as i32, libc::SIGKILL) };
        });
    }
    let test = "a_panic_that_nobody_asks_about_has_it_written_although_the_process_is_killed_after";
    let (ended, read) = traced_child(test);
    assert!(!ended.status.success() && ended.err.contains("on purpose"), "{ended:?}");
    assert_sound(&read);
    assert!(read.slices().iter().any(|slice| slice.name == "seen"));
}

#[test]
fn a_recording_that_starts_and_stops_all_the_time_disturbs_nobody() {
    must_succeed_in_a_child(|| {
        let file = file("storm");
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let worker = runtime.spawn(|| {
            let (tx, rx) = chan::bounded(1);
            let sender = rendez::go(move || (0..200_000).for_each(|i| tx.send(i).unwrap()));
            let sum: u64 = rx.iter().sum();
            sender.join().unwrap();
            sum
        });
        let mut recordings = 0;
        while !worker.is_finished() || recordings < 20 {
            let memory = [4096, 64 * 1024][recordings % 2];
            trace::Options::new().memory(memory).start(&file).unwrap();
            thread::sleep(Duration::from_millis(2));
            trace::stop().unwrap();
            assert_sound(&Read::of(&fs::read(&file).unwrap()));
            recordings += 1;
        }
        assert_eq!(worker.join().unwrap(), 199_999 * 100_000);
        fs::remove_file(file).unwrap();
    });
}

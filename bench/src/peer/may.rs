//! may 0.3: stackful coroutines that may be resumed on another thread than before.
//!
//! Its channels are unbounded, so only the cases in which nothing piles up can be done, and every coroutine costs
//! the kernel two mappings, so the process dies past about 30,000 of them.

use super::{
    Answer::{self, Cannot, Does, Nearly},
    Body, SETTLE,
};
use crate::{
    gauge,
    load::{self, Tell},
};
use may::{
    coroutine::{sleep, yield_now},
    go,
    net::{TcpListener, TcpStream},
    sync::{Condvar, Mutex, RwLock, WaitGroup, mpmc, mpsc},
};
use may_minihttp::{HttpServer, HttpService, Request, Response};
use std::{
    hint::black_box,
    io::{self, Read, Write},
    sync::{Arc, Once},
    time::{Duration, Instant},
};

const UNBOUNDED: &str = "its channels are unbounded";
const STAND_IN: &str = "its unbounded channel: at most one message is under way";
const TOO_MANY: &str = "it dies past about 30,000 coroutines";
/// As many coroutines as leave a margin to where it dies.
const CROWD: u64 = 20_000;

pub(super) fn find(case: &str) -> Answer {
    match case {
        "spawn_batch" => Does(Body::timed(spawn_batch)),
        "spawn_seq" => Does(Body::timed(spawn_seq)),
        "yield_2" => Does(Body::timed(|n| yielding(2, n))),
        "yield_1000" => Does(Body::timed(|n| yielding(1000, n))),
        "ping_pong" => Nearly(STAND_IN, Body::timed(ping_pong)),
        "seq_1" => Nearly(STAND_IN, Body::timed(seq)),
        "seq_unbounded" => Does(Body::timed(fill)),
        "spsc_unbounded" => Does(Body::timed(|n| to_one(1, n))),
        "mpsc_unbounded" => Does(Body::timed(|n| to_one(4, n))),
        "mpmc_unbounded" => Does(Body::timed(to_many)),
        "select_unbounded" | "select_both_unbounded" => {
            Cannot("its select runs a coroutine for each arm, which may take a message that nobody chose")
        }
        "mem_parked" => Nearly("20,000 coroutines: it dies past about 30,000", Body::value(mem_parked)),
        _ if case.starts_with("wake_") || case.starts_with("late_") => {
            Cannot("it does not end: who sleeps does not wake while others yield")
        }
        "context_100k" => Cannot("it has no contexts"),
        "http" | "http_plain" => Does(hello_world(Tell::Rate)),
        "http_p50" | "http_plain_p50" => Does(hello_world(Tell::P50)),
        "http_p99" | "http_plain_p99" => Does(hello_world(Tell::P99)),
        "http_p999" => Does(hello_world(Tell::P999)),
        "http_cpu" => Does(hello_world(Tell::Cpu)),
        "echo_1" => Does(Body::timed(|n| echo(1, n))),
        "echo_100" => Does(Body::timed(|n| echo(100, n))),
        "echo_10k" => Does(Body::timed(|n| echo(gauge::connections(10_000), n))),
        "mem_conn" => Cannot("its coroutines have a stack of a fixed size, which `mem_parked` tells"),
        "sleepers" | "skynet" | "daisy" | "park_1m" | "flat_1k_1m" | "idle_cpu" | "rss_after" => {
            Cannot(TOO_MANY)
        }
        "once" | "pool_8" => Cannot("it has neither"),
        "mutex_8" => Does(Body::timed(|n| mutex(8, n))),
        "rwlock_8" => Does(Body::timed(|n| rw_lock(8, n))),
        "cond_2" => Does(Body::timed(cond)),
        "mem_async" | "async_ping_pong" | "async_spsc_0" | "async_spsc_128" | "async_mpsc_128"
        | "async_sleepers" => Cannot("it has no async tasks"),
        "mem_unstarted" => Cannot("a coroutine has its stack from the start, and about 30,000 are the most"),
        "speedup_fork_join" | "speedup_workers" | "speedup_pipeline" | "speedup_primes" => {
            Cannot("the number of workers is fixed once a process")
        }
        _ => Cannot(UNBOUNDED),
    }
}

/// Sets the number of workers, which may reads once, when its first coroutine starts.
fn configure() {
    static CONFIGURED: Once = Once::new();
    CONFIGURED.call_once(|| {
        may::config().set_workers(crate::machine::cpus());
    });
}

pub(super) fn enter(job: &mut (dyn FnMut() + Send)) {
    configure();
    may::coroutine::scope(|scope| {
        go!(scope, job);
    });
}

fn spawn_batch(n: u64) -> Duration {
    let start = Instant::now();
    let all = WaitGroup::new();
    for _ in 0..n {
        let all = all.clone();
        go!(move || drop(all));
    }
    all.wait();
    start.elapsed()
}

fn spawn_seq(n: u64) -> Duration {
    let start = Instant::now();
    for i in 0..n {
        assert_eq!(go!(move || i).join().ok(), Some(i));
    }
    start.elapsed()
}

fn yielding(coroutines: u64, n: u64) -> Duration {
    let start = Instant::now();
    let all = WaitGroup::new();
    for _ in 0..coroutines {
        let all = all.clone();
        go!(move || {
            for _ in 0..n / coroutines {
                yield_now();
            }
            drop(all);
        });
    }
    all.wait();
    start.elapsed()
}

fn ping_pong(n: u64) -> Duration {
    let (ping, rx) = mpsc::channel::<u64>();
    let (tx, pong) = mpsc::channel();
    go!(move || rx.iter().all(|v| tx.send(v).is_ok()));
    let start = Instant::now();
    for i in 0..n {
        ping.send(i).expect("the other side receives");
        assert_eq!(pong.recv(), Ok(i));
    }
    start.elapsed()
}

fn seq(n: u64) -> Duration {
    let (tx, rx) = mpsc::channel();
    let start = Instant::now();
    for i in 0..n {
        tx.send(i).expect("there is a receiver");
        assert_eq!(rx.recv(), Ok(i));
    }
    start.elapsed()
}

/// `n` numbers are sent, and then they are received.
fn fill(n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = mpsc::channel();
    for i in 0..n {
        tx.send(i).expect("there is a receiver");
    }
    for i in 0..n {
        assert_eq!(rx.recv(), Ok(i));
    }
    start.elapsed()
}

/// `n` numbers from some senders to one receiver; the channel closes with the last sender.
fn to_one(senders: u64, n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = mpsc::channel();
    let receiver = go!(move || rx.iter().count() as u64);
    for _ in 0..senders {
        let tx = tx.clone();
        go!(move || (0..n / senders).for_each(|i| tx.send(i).expect("somebody receives")));
    }
    drop(tx);
    assert_eq!(receiver.join().ok(), Some(n));
    start.elapsed()
}

/// The same from four to four.
fn to_many(n: u64) -> Duration {
    let start = Instant::now();
    let (tx, rx) = mpmc::channel();
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let rx = rx.clone();
            go!(move || rx.iter().count() as u64)
        })
        .collect();
    for _ in 0..4 {
        let tx = tx.clone();
        go!(move || (0..n / 4).for_each(|i| tx.send(i).expect("somebody receives")));
    }
    drop((tx, rx));
    let got: u64 = receivers.into_iter().map(|one| one.join().expect("it does not panic")).sum();
    let elapsed = start.elapsed();
    assert_eq!(got, n);
    elapsed
}

fn mem_parked(n: u64) -> f64 {
    let mut each = 0.0;
    enter(&mut || {
        gather(100);
        each = gather(n.min(CROWD));
    });
    each
}

/// Parks `n` coroutines on one channel, reads the memory of each, and ends them.
fn gather(n: u64) -> f64 {
    let (tx, rx) = mpmc::channel::<()>();
    let (here, ended) = (WaitGroup::new(), WaitGroup::new());
    let before = gauge::footprint();
    for _ in 0..n {
        let (rx, here, ended) = (rx.clone(), here.clone(), ended.clone());
        go!(move || {
            drop(here);
            let _ = rx.recv();
            drop(ended);
        });
    }
    here.wait();
    sleep(SETTLE);
    let each = gauge::growth_each(before, gauge::footprint(), n);
    for _ in 0..n {
        tx.send(()).expect("there are receivers");
    }
    ended.wait();
    each
}

fn together(coroutines: u64, body: impl Fn(u64) + Clone + Send + 'static) -> Duration {
    let start = Instant::now();
    let all: Vec<_> = (0..coroutines)
        .map(|i| {
            let body = body.clone();
            go!(move || body(i))
        })
        .collect();
    for one in all {
        one.join().expect("it does not panic");
    }
    start.elapsed()
}

fn mutex(coroutines: u64, n: u64) -> Duration {
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let elapsed = together(coroutines, move |_| {
        for _ in 0..n / coroutines {
            *count.lock().expect("nobody panics") += 1;
        }
    });
    assert_eq!(*counted.lock().expect("nobody panics"), n / coroutines * coroutines);
    elapsed
}

fn rw_lock(coroutines: u64, n: u64) -> Duration {
    let count = Arc::new(RwLock::new(0_u64));
    together(coroutines, move |_| {
        for i in 0..n / coroutines {
            if i % 10 == 0 {
                *count.write().expect("nobody panics") += 1;
            } else {
                black_box(*count.read().expect("nobody panics"));
            }
        }
    })
}

fn cond(n: u64) -> Duration {
    let shared = Arc::new((Mutex::new(0), [Condvar::new(), Condvar::new()]));
    together(2, move |me| {
        let (turn, conds) = &*shared;
        let mut turn = turn.lock().expect("nobody panics");
        for _ in 0..n / 2 {
            while *turn != me {
                turn = conds[me as usize].wait(turn).expect("nobody panics");
            }
            *turn = 1 - me;
            conds[1 - me as usize].notify_one();
        }
    })
}

/// `n` round trips over so many TCP connections.
fn echo(connections: u64, n: u64) -> Duration {
    configure();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("it has an address");
    let server = go!(move || {
        for stream in listener.incoming().take(connections as usize) {
            let mut stream = stream.expect("a connection");
            go!(move || {
                stream.set_nodelay(true).expect("it is connected");
                let mut buf = [0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut buf) {
                    stream.write_all(&buf[..len]).expect("the other side reads");
                }
            });
        }
    });
    let streams: Vec<_> =
        (0..connections).map(|_| TcpStream::connect(addr).expect("the server accepts")).collect();
    server.join().expect("it does not panic");
    let start = Instant::now();
    let clients: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            go!(move || {
                stream.set_nodelay(true).expect("it is connected");
                let mut buf = [7; 64];
                for _ in 0..n / connections {
                    stream.write_all(&buf).expect("the server reads");
                    stream.read_exact(&mut buf).expect("the server answers");
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("it does not panic"));
    start.elapsed()
}

#[derive(Clone)]
struct Hello;

impl HttpService for Hello {
    fn call(&mut self, _: Request, response: &mut Response) -> io::Result<()> {
        response.body(load::BODY);
        Ok(())
    }
}

/// HTTP by may_minihttp, which tells of the port that it got to nobody: one that has just been free is given to it.
fn hello_world(tell: Tell) -> Body {
    Body::value(move |ms| {
        configure();
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = free.local_addr().expect("it has an address");
        drop(free);
        // Dropping the handle lets it go on, for as long as this process does.
        drop(HttpServer(Hello).start(addr).expect("the port is still free"));
        load::on(addr, ms, tell)
    })
}

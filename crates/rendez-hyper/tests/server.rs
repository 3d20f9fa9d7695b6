//! The server, spoken to over plain sockets.

mod served;

use hyper::{Request, Response, body::Incoming};
use rendez::{Event, Runtime, blocking, chan, go, net::Shutdown, run, time};
use rendez_hyper::{Body, BodyReader, Server};
use served::{Client, Served, get};
use std::{
    hint,
    io::{ErrorKind, Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

const MOMENT: Duration = Duration::from_millis(20);

/// Says which path was asked for, and with what.
fn tell(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    match BodyReader::new(body).bytes_to_end() {
        Ok(body) => {
            let text = format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body));
            Response::new(text.trim_end().to_string().into())
        }
        Err(error) => Response::builder().status(400).body(error.to_string().into()).unwrap(),
    }
}

/// A handler that says when it has begun and waits until it may go on.
struct Gate {
    begun: chan::Receiver<()>,
    go_on: chan::Sender<()>,
}

impl Gate {
    fn new() -> (Gate, impl Fn() + Clone + Send + Sync + 'static) {
        let (begins, begun) = chan::bounded(0);
        let (go_on, may) = chan::bounded(0);
        let pass = move || {
            begins.send(()).unwrap();
            may.recv().unwrap();
        };
        (Gate { begun, go_on }, pass)
    }
}

#[test]
fn a_connection_serves_one_request_after_another() {
    run(|| {
        let served = Served::by(Server::new(), tell);
        let mut client = served.client();
        for path in ["/a", "/b", "/c"] {
            assert_eq!(client.ask(&get(path)), format!("GET {path}"));
        }
        served.drain(1, 0);
    });
}

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    run(|| {
        let served = Served::by(Server::new(), tell);
        let mut client = served.client();
        let post = "POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";
        client.send(&[get("/a"), post.into(), get("/c")].concat());
        let answers = [client.answer(), client.answer(), client.answer()];
        assert_eq!(answers, ["GET /a", "POST /b hi", "GET /c"]);
    });
}

#[test]
fn a_chunked_body_is_put_together() {
    run(|| {
        let served = Served::by(Server::new(), tell);
        let mut client = served.client();
        let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        client.send(head);
        for piece in ["3\r\nabc\r\n", "2\r", "\nde\r\n0\r\n\r\n"] {
            client.send(piece);
        }
        assert_eq!(client.answer(), "POST / abcde");
        assert_eq!(client.ask(&get("/next")), "GET /next");
    });
}

#[test]
fn head_has_the_length_and_no_body() {
    run(|| {
        let served = Served::by(Server::new(), tell);
        let mut client = served.client();
        let head = client.head_of("HEAD / HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(head.contains("content-length: 6\r\n"), "{head}");
        assert_eq!(client.ask(&get("/next")), "GET /next");
    });
}

#[test]
fn who_expects_to_be_told_to_continue_is() {
    run(|| {
        let served = Served::by(Server::new(), tell);
        let mut client = served.client();
        let head =
            client.head_of("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 100 "), "{head}");
        client.send("hi");
        assert_eq!(client.answer(), "POST / hi");
    });
}

#[test]
fn large_bodies_go_both_ways_at_once() {
    run(|| {
        const LEN: usize = 8 << 20;
        let echo = |request: Request<Incoming>| {
            let (mut writer, body) = Body::channel(1);
            go(move || -> std::io::Result<()> {
                std::io::copy(&mut BodyReader::new(request.into_body()), &mut writer)?;
                writer.finish()
            });
            Response::new(body)
        };
        let served = Served::by(Server::new(), echo);
        let mut client = served.client();
        let mut sender = client.stream();
        let sent = go(move || {
            let head = format!("POST / HTTP/1.0\r\nhost: x\r\ncontent-length: {LEN}\r\n\r\n");
            sender.write_all(head.as_bytes()).unwrap();
            for _ in 0..LEN / 1024 {
                sender.write_all(&[b'x'; 1024]).unwrap();
            }
        });
        let all = client.rest();
        let body = all.split_once("\r\n\r\n").unwrap().1;
        assert!(body.len() == LEN && body.bytes().all(|byte| byte == b'x'), "{}", body.len());
        sent.join().unwrap();
    });
}

#[test]
fn a_client_that_has_ended_its_direction_gets_its_response() {
    run(|| {
        let (go_on, gate) = chan::bounded::<()>(0);
        let served = Served::by(Server::new(), move |request| {
            gate.recv().unwrap();
            tell(request)
        });
        let mut client = served.client();
        client.send(&get("/a"));
        client.stream().shutdown(Shutdown::Write).unwrap();
        go_on.send(()).unwrap();
        let all = client.rest();
        assert!(all.starts_with("HTTP/1.1 200 OK") && all.ends_with("GET /a"), "{all}");
    });
}

#[test]
fn a_handler_that_blocks_holds_up_nobody_else() {
    run(|| {
        let (go_on, gate) = chan::bounded::<()>(0);
        let served = Served::by(Server::new(), move |request: Request<Incoming>| {
            if request.uri().path() == "/wait" {
                gate.recv().unwrap();
            }
            tell(request)
        });
        let mut waiting: Vec<_> = (0..100).map(|_| served.client()).collect();
        waiting.iter_mut().for_each(|client| client.send(&get("/wait")));
        assert_eq!(served.client().ask(&get("/a")), "GET /a");
        waiting.iter().for_each(|_| go_on.send(()).unwrap());
        waiting.iter_mut().for_each(|client| assert_eq!(client.answer(), "GET /wait"));
    });
}

/// What a handler spins on: until it is released, or until that can't be hoped for any more.
#[derive(Default)]
struct Spin {
    begun: AtomicBool,
    released: AtomicBool,
    in_vain: AtomicBool,
}

impl Spin {
    fn spin(&self) {
        self.begun.store(true, SeqCst);
        let start = Instant::now();
        while !self.released.load(SeqCst) {
            hint::spin_loop();
            if start.elapsed() > Duration::from_secs(20) {
                self.in_vain.store(true, SeqCst);
                return;
            }
        }
    }
}

#[test]
fn a_handler_that_computes_keeps_nobody_else_from_being_accepted_and_served() {
    // It may run on the worker that accepts or on the other one; so, several times.
    let rounds = 20;
    for body in ["", "x"] {
        Runtime::builder().workers(2).build().unwrap().run(|| {
            let spins: Arc<Vec<Spin>> = Arc::new((0..rounds).map(|_| Spin::default()).collect());
            let theirs = spins.clone();
            let served = Served::by(Server::new(), move |request: Request<Incoming>| {
                if let Some(spin) = request.uri().path().strip_prefix("/spin/") {
                    theirs[spin.parse::<usize>().unwrap()].spin();
                }
                tell(request)
            });
            // On a thread: this goroutine's worker may be the one that computes.
            let (address, spins) = (served.address(), spins.clone());
            let client = thread::spawn(move || {
                let mut known = Client::to(address);
                let mut longest = Duration::ZERO;
                for (i, spin) in spins.iter().enumerate() {
                    let mut spinning = Client::to(address);
                    let len = body.len();
                    spinning.send(&format!(
                        "GET /spin/{i} HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\n\r\n{body}"
                    ));
                    while !spin.begun.load(SeqCst) {
                        thread::yield_now();
                    }
                    for _ in 0..10 {
                        let start = Instant::now();
                        assert_eq!(Client::to(address).ask(&get("/a")), "GET /a");
                        assert_eq!(known.ask(&get("/b")), "GET /b");
                        longest = longest.max(start.elapsed());
                    }
                    spin.released.store(true, SeqCst);
                    assert!(spinning.answer().starts_with("GET /spin/"));
                    assert!(
                        !spin.in_vain.load(SeqCst),
                        "in round {i} others had to wait for the one that computes"
                    );
                }
                println!("meanwhile a new connection and an old one were served within {longest:?}");
            });
            blocking(|| client.join()).unwrap();
        });
    }
}

#[test]
fn a_handler_that_panics_ends_its_connection_alone() {
    run(|| {
        let served = Served::by(Server::new(), |request: Request<Incoming>| {
            assert!(request.uri().path() != "/panic", "as planned");
            tell(request)
        });
        for request in [
            "GET /panic HTTP/1.1\r\nhost: x\r\n\r\n",
            "POST /panic HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx",
        ] {
            let mut client = served.client();
            client.send(request);
            assert_eq!(client.rest(), "");
        }
        assert_eq!(served.client().ask(&get("/a")), "GET /a");
        served.drain(3, 0);
    });
}

#[test]
fn a_slow_head_is_not_waited_for() {
    run(|| {
        let errors = Arc::new(Mutex::new(Vec::new()));
        let told = errors.clone();
        // Long enough for a head that is sent at once.
        let server = Server::new().header_timeout(25 * MOMENT).on_error(move |error| {
            told.lock().unwrap().push(error.to_string());
        });
        let served = Served::by(server, tell);
        let mut slow = served.client();
        slow.send("GET / HT");
        slow.rest();
        // Nor is the second request of a connection.
        let mut idle = served.client();
        assert_eq!(idle.ask(&get("/a")), "GET /a");
        idle.rest();
        served.drain(2, 0);
        assert!(errors.lock().unwrap()[0].contains("timeout"), "{errors:?}");
    });
}

#[test]
fn an_answer_that_is_taken_slowly_is_not_cut_by_the_time_for_the_next_head() {
    run(|| {
        // More than the buffers of the system hold, and all of it at once, so that hyper waits for the next head.
        const LARGE: usize = 32 << 20;
        let server = Server::new().header_timeout(5 * MOMENT);
        let served = Served::by(server, |_: Request<Incoming>| Response::new(vec![b'x'; LARGE].into()));
        let mut client = served.client();
        client.send(&get("/"));
        time::sleep(25 * MOMENT);
        assert_eq!(client.answer().len(), LARGE);
        // Now it is idle.
        assert_eq!(client.rest(), "");
        served.drain(1, 0);
    });
}

#[test]
fn a_client_that_takes_nothing_is_dropped() {
    run(|| {
        let (tell_error, told) = chan::bounded(1);
        let server = Server::new().write_timeout(Some(MOMENT)).on_error(move |error| {
            let _ = tell_error.send(error.to_string());
        });
        let endless = |_: Request<Incoming>| Response::new(Body::from_reader(std::io::repeat(0), None));
        let served = Served::by(server, endless);
        let mut client = served.client();
        client.send(&get("/"));
        told.recv().unwrap();
        served.drain(1, 0);
    });
}

#[test]
fn a_client_that_resets_ends_its_connection_and_no_other() {
    run(|| {
        let endless = |_: Request<Incoming>| Response::new(Body::from_reader(std::io::repeat(0), None));
        let served = Served::by(Server::new(), endless);
        let mut client = served.client();
        client.send(&get("/"));
        client.stream().read_exact(&mut [0; 1000]).unwrap();
        client.stream().set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        // The drain would be cut if it were still served.
        served.drain(1, 0);
    });
}

#[test]
fn who_sends_a_large_body_that_nobody_wants_gets_the_answer_all_the_same() {
    run(|| {
        let refuse = |_: Request<Incoming>| Response::builder().status(413).body("no".into()).unwrap();
        let served = Served::by(Server::new(), refuse);
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 20 << 20);
        let piece = "x".repeat(1 << 20);
        for has_been_answered in [false, true] {
            let mut client = served.client();
            client.send(&head);
            if has_been_answered {
                // The answer is there, and then the body comes all the same.
                client.stream().peek(&mut [0]).unwrap();
            }
            // It does not look at answers before it has sent all.
            (0..20).for_each(|_| client.send(&piece));
            assert_eq!(client.answer(), "no");
            assert_eq!(client.rest(), "");
        }
        served.drain(2, 0);
    });
}

#[test]
fn no_more_connections_than_are_allowed() {
    run(|| {
        let served = Served::by(Server::new().max_connections(2), tell);
        let mut first = served.client();
        let mut second = served.client();
        assert_eq!(first.ask(&get("/1")), "GET /1");
        assert_eq!(second.ask(&get("/2")), "GET /2");
        let mut third = served.client();
        third.send(&get("/3"));
        third.stream().set_read_timeout(Some(MOMENT)).unwrap();
        let waits = third.stream().read(&mut [0; 1]).unwrap_err();
        assert_eq!(waits.kind(), ErrorKind::TimedOut);
        third.stream().set_read_timeout(None).unwrap();
        drop(first);
        assert_eq!(third.answer(), "GET /3");
    });
}

#[test]
fn a_drain_ends_idle_connections_and_lets_what_is_under_way_come_to_its_end() {
    run(|| {
        let (gate, pass) = Gate::new();
        let served = Served::by(Server::new(), move |request: Request<Incoming>| {
            if request.uri().path() == "/wait" {
                pass();
            }
            tell(request)
        });
        let mut idle = served.client();
        assert_eq!(idle.ask(&get("/a")), "GET /a");
        let mut busy = served.client();
        busy.send(&get("/wait"));
        gate.begun.recv().unwrap();
        let ended = served.stop();
        assert_eq!(idle.rest(), "");
        assert!(!ended.is_finished());
        gate.go_on.send(()).unwrap();
        let all = busy.rest();
        assert!(all.ends_with("GET /wait"), "{all}");
        let drained = ended.join().unwrap();
        assert_eq!((drained.served, drained.cut), (2, 0));
    });
}

#[test]
fn nobody_is_accepted_during_a_drain() {
    run(|| {
        let (gate, pass) = Gate::new();
        let served = Served::by(Server::new(), move |request| {
            pass();
            tell(request)
        });
        let mut busy = served.client();
        busy.send(&get("/"));
        gate.begun.recv().unwrap();
        let address = served.address();
        let ended = served.stop();
        while rendez::net::TcpStream::connect(address).is_ok() {
            time::sleep(Duration::from_millis(1));
        }
        gate.go_on.send(()).unwrap();
        assert_eq!(ended.join().unwrap().cut, 0);
    });
}

#[test]
fn a_drain_that_takes_too_long_cuts_and_ends_the_context_of_connections() {
    run(|| {
        let (gate, pass) = Gate::new();
        let (tx, ended) = chan::bounded(1);
        let served = Served::with(Server::new().drain_timeout(MOMENT), move |connection| {
            let (ctx, tx, pass) = (connection.context().clone(), tx.clone(), pass.clone());
            rendez_hyper::handler(move |_: Request<Incoming>| {
                pass();
                tx.send((&ctx).wait()).unwrap();
                // One that does not heed its context.
                pass();
                Response::new(Body::empty())
            })
        });
        let mut client = served.client();
        client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n");
        gate.begun.recv().unwrap();
        gate.go_on.send(()).unwrap();
        served.drain(1, 1);
        assert_eq!(ended.recv(), Ok(rendez::ContextError::Canceled));
        assert_eq!(client.rest(), "");
        gate.begun.recv().unwrap();
        gate.go_on.send(()).unwrap();
    });
}

#[test]
fn a_listener_that_is_closed_ends_the_server() {
    run(|| {
        let listener = Arc::new(rendez::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let server = go({
            let listener = listener.clone();
            move || rendez_hyper::serve(&rendez::Context::background(), listener, tell)
        });
        listener.close();
        assert_eq!(server.join().unwrap().served, 0);
    });
}

#[test]
fn what_is_not_http_is_told_and_refused() {
    run(|| {
        let (tx, told) = chan::bounded(1);
        let server = Server::new().on_error(move |error| tx.send(error.to_string()).unwrap());
        let served = Served::by(server, tell);
        let mut client = served.client();
        client.send("\0\0\0\r\n\r\n");
        assert!(client.rest().starts_with("HTTP/1.1 400 "));
        assert!(told.recv().unwrap().contains("invalid"));
    });
}

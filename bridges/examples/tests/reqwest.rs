//! reqwest from goroutines, OS threads and async goroutines, against a server of `rendez-hyper`.

#[path = "../../tokio/tests/worlds/mod.rs"]
mod worlds;

use hyper::{Request, Response, body::Incoming};
use rendez::{
    CancelFunc, Context, ContextError, JoinHandle,
    chan::{self, Receiver, Sender},
    go,
    net::{SocketAddr, TcpListener},
    sync::WaitGroup,
};
use rendez_hyper::{Body, BodyReader, Drained, Server};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use worlds::{in_every_world, in_time};

const LARGE: usize = 1 << 20;

/// Who is to be told that a request has come for which there is no answer, or only the beginning of one; by the request's number.
#[derive(Clone, Default)]
struct Hung(Arc<Mutex<BTreeMap<usize, Sender<()>>>>);

impl Hung {
    /// A number to ask with, and what tells that it has come.
    fn expect(&self) -> (usize, Receiver<()>) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (number, (tell, told)) = (NEXT.fetch_add(1, Ordering::Relaxed), chan::bounded(1));
        self.0.lock().unwrap().insert(number, tell);
        (number, told)
    }

    fn has_come(&self, number: &str) {
        if let Some(tell) =
            number.parse().ok().and_then(|number: usize| self.0.lock().unwrap().remove(&number))
        {
            tell.send(()).unwrap();
        }
    }
}

/// A server that lasts as long as this.
struct Site {
    addr: SocketAddr,
    hung: Hung,
    stop: Option<CancelFunc>,
    server: Option<JoinHandle<Drained>>,
}

impl Site {
    fn new() -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let hung = Hung::default();
        let (ctx, stop) = Context::background().with_cancel();
        let (stopped, theirs) = (ctx.clone(), hung.clone());
        let serve = move |request: Request<Incoming>| answer(request, &theirs, &stopped);
        let server = go(move || Server::new().serve(&ctx, listener, serve));
        Site { addr, hung, stop: Some(stop), server: Some(server) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.take().unwrap().cancel();
        let drained = self.server.take().unwrap().join();
        if !std::thread::panicking() {
            assert_eq!(drained.unwrap().cut, 0);
        }
    }
}

fn answer(request: Request<Incoming>, hung: &Hung, stopped: &Context) -> Response<Body> {
    let (head, body) = request.into_parts();
    let number = head.uri.query().unwrap_or_default().to_string();
    match head.uri.path() {
        "/hello" => Response::new("hello".into()),
        "/large" => Response::new(vec![b'x'; LARGE].into()),
        "/echo" => Response::new(Body::from(BodyReader::new(body).bytes_to_end().unwrap())),
        "/hang" => {
            hung.has_come(&number);
            let _ = stopped.done().recv();
            Response::new("too late".into())
        }
        "/drip" => {
            let (mut writer, body) = Body::channel(1);
            let (hung, stopped) = (hung.clone(), stopped.clone());
            go(move || {
                writer.send("drip").unwrap();
                hung.has_come(&number);
                let _ = stopped.done().recv();
            });
            Response::new(body)
        }
        _ => Response::builder().status(404).body("nothing".into()).unwrap(),
    }
}

#[test]
fn many_ask_at_once_and_get_what_they_have_asked_for() {
    let site = Site::new();
    let (urls, client) =
        (["/hello", "/large", "/echo", "/none"].map(|path| site.url(path)), reqwest::Client::new());
    in_every_world(40, move |i| {
        let ([hello, large, echo, none], client) = (urls.clone(), client.clone());
        async move {
            for round in 0..5 {
                let response = client.get(&hello).send().await.unwrap();
                assert_eq!(response.status(), 200);
                assert_eq!(response.text().await.unwrap(), "hello");
                let text = format!("{i} {round}");
                let response = client.post(&echo).body(text.clone()).send().await.unwrap();
                assert_eq!(response.text().await.unwrap(), text);
            }
            let body = client.get(&large).send().await.unwrap().bytes().await.unwrap();
            assert!(body.len() == LARGE && body.iter().all(|byte| *byte == b'x'));
            assert_eq!(client.get(&none).send().await.unwrap().status(), 404);
        }
    });
}

#[test]
fn a_request_that_its_context_ends_in_the_middle_ends_and_the_client_goes_on() {
    let site = Site::new();
    let client = reqwest::Client::new();
    // Before there is an answer, and in the middle of it.
    for path in ["/hang", "/drip"] {
        let (url, hello, client) = (site.url(path), site.url("/hello"), client.clone());
        let hung = site.hung.clone();
        in_every_world(8, move |_| {
            let (url, hello, client, hung) = (url.clone(), hello.clone(), client.clone(), hung.clone());
            async move {
                let (ctx, cancel) = Context::background().with_cancel();
                let (number, told) = hung.expect();
                let url = format!("{url}?{number}");
                let canceller = go(move || {
                    told.recv().unwrap();
                    cancel.cancel();
                });
                let asked = ctx
                    .within(async {
                        let response = client.get(&url).send().await.unwrap();
                        response.text().await
                    })
                    .await;
                assert!(matches!(asked, Err(ContextError::Canceled)), "{asked:?}");
                let response = client.get(&hello).send().await.unwrap();
                assert_eq!(response.text().await.unwrap(), "hello");
                canceller.await.unwrap();
            }
        });
    }
}

#[test]
fn what_it_waits_for_by_tokio_s_clock_and_threads_comes() {
    let site = Site::new();
    let (hang, client) = (site.url("/hang"), reqwest::Client::new());
    // By name: tokio has threads of its own for that.
    let named = format!("http://localhost:{}/hello", site.addr.port());
    in_every_world(4, move |_| {
        let (hang, named, client) = (hang.clone(), named.clone(), client.clone());
        async move {
            let error = client.get(&hang).timeout(Duration::from_millis(30)).send().await.unwrap_err();
            assert!(error.is_timeout(), "{error:?}");
            assert_eq!(client.get(&named).send().await.unwrap().text().await.unwrap(), "hello");
        }
    });
}

#[test]
fn requests_from_plain_goroutines_share_a_worker_with_all_else() {
    let site = Site::new();
    in_time("one worker", move || {
        // The goroutines that ask, one that always has something to do, and nothing else to run them than one worker.
        rendez::Runtime::builder().workers(1).build().unwrap().run(|| {
            let (client, url, all) = (reqwest::Client::new(), site.url("/hello"), WaitGroup::new());
            for _ in 0..200 {
                let (client, url) = (client.clone(), url.clone());
                all.go(move || {
                    let text = rendez_tokio::block_on(async { client.get(&url).send().await?.text().await });
                    assert_eq!(text.unwrap(), "hello");
                });
            }
            let (done, is_done) = chan::bounded::<()>(0);
            let busy = go(move || {
                let mut turns = 0_u64;
                while is_done.try_recv() == Err(chan::TryRecvError::Empty) {
                    turns += 1;
                    rendez::yield_now();
                }
                turns
            });
            all.wait();
            drop(done);
            assert!(busy.join().unwrap() > 0);
        });
    });
}

#[test]
fn what_goes_wrong_is_told() {
    in_time("refused", || {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = rendez_tokio::block_on(reqwest::get(format!("http://{nobody}/"))).unwrap_err();
        assert!(error.is_connect(), "{error:?}");
    });
}

//! What hyper asks of a runtime: IO, time, tasks.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::{http1, http2},
    rt::Timer as _,
    server,
    service::service_fn,
};
use rendez::{
    block_on, chan, go, go_async,
    net::{FuturesIo, UnixStream},
    run,
    time::Instant,
};
use rendez_hyper::{Executor, Io, Timer};
use std::{convert::Infallible, future::poll_fn, pin::pin, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

async fn double(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    Ok(Response::new(Full::new([body.clone(), body].concat().into())))
}

fn pair() -> (Io<FuturesIo<UnixStream>>, Io<FuturesIo<UnixStream>>) {
    let (a, b) = UnixStream::pair().unwrap();
    (a.into(), b.into())
}

#[test]
fn a_client_and_a_server_of_hyper_speak_http_1() {
    run(|| {
        let (ours, theirs) = pair();
        go_async(server::conn::http1::Builder::new().serve_connection(theirs, service_fn(double)));
        let (mut sender, connection) = block_on(http1::handshake(ours)).unwrap();
        let connection = go_async(connection);
        for len in [0, 1, 1000, 1_000_000] {
            let request = Request::post("/").body(Full::<Bytes>::from(vec![b'x'; len])).unwrap();
            let response = block_on(sender.send_request(request)).unwrap();
            assert_eq!(block_on(response.into_body().collect()).unwrap().to_bytes().len(), 2 * len);
        }
        drop(sender);
        connection.join().unwrap().unwrap();
    });
}

#[test]
fn http_2_has_its_streams_run_by_the_executor_side_by_side() {
    run(|| {
        let (ours, theirs) = pair();
        let (tx, rx) = chan::bounded(0);
        let served = service_fn(move |request: Request<Incoming>| {
            let (tx, rx) = (tx.clone(), rx.clone());
            async move {
                // The two requests meet: neither is answered before both are there.
                match request.uri().path() {
                    "/send" => tx.send_async("hello").await.unwrap(),
                    _ => assert_eq!(rx.recv_async().await, Ok("hello")),
                }
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("met")))
            }
        });
        go_async(server::conn::http2::Builder::new(Executor).timer(Timer).serve_connection(theirs, served));
        let (sender, connection) = block_on(http2::handshake(Executor, ours)).unwrap();
        go_async(connection);
        let both = ["/send", "/receive"].map(|path| {
            let mut sender = sender.clone();
            go(move || {
                let uri = format!("http://localhost{path}");
                let request = Request::get(uri).body(Full::<Bytes>::default()).unwrap();
                let response = block_on(sender.send_request(request)).unwrap();
                block_on(response.into_body().collect()).unwrap().to_bytes()
            })
        });
        both.into_iter().for_each(|one| assert_eq!(one.join().unwrap(), "met"));
    });
}

#[test]
fn a_read_takes_no_more_than_there_is_room_for() {
    use hyper::rt::{Read, ReadBuf};
    use std::io::Write;
    run(|| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"hello").unwrap();
        let mut io = pin!(Io::from(ours));
        for expected in [&b"hel"[..], b"lo"] {
            let mut bytes = [0; 3];
            let mut buf = ReadBuf::new(&mut bytes);
            block_on(poll_fn(|cx| io.as_mut().poll_read(cx, buf.unfilled()))).unwrap();
            assert_eq!(buf.filled(), expected);
        }
        drop(theirs);
        let mut bytes = [0; 3];
        let mut buf = ReadBuf::new(&mut bytes);
        block_on(poll_fn(|cx| io.as_mut().poll_read(cx, buf.unfilled()))).unwrap();
        assert_eq!(buf.filled(), b"");
    });
}

#[rendez::test(virtual_time)]
fn a_sleep_ends_at_its_moment() {
    let start = Instant::now();
    block_on(Timer.sleep(SECOND));
    assert_eq!(start.elapsed(), SECOND);
    block_on(Timer.sleep_until(Timer.now() + SECOND));
    assert_eq!(start.elapsed(), 2 * SECOND);
    block_on(Timer.sleep_until(Timer.now()));
    assert_eq!(start.elapsed(), 2 * SECOND);
}

/// Has a sleep of 10 s begun, and set to another time when 1 s has passed: when it ends.
fn set_after_a_second(secs: u64) -> Duration {
    let start = Instant::now();
    let mut sleep = Timer.sleep(10 * SECOND);
    let waited = rendez::time::sleep_async(SECOND);
    block_on(async {
        let mut waited = pin!(waited);
        poll_fn(|cx| {
            // Its alarm is set, and stays so while it is put off.
            assert!(sleep.as_mut().poll(cx).is_pending());
            waited.as_mut().poll(cx)
        })
        .await;
    });
    let deadline = std::time::Instant::from(start + Duration::from_secs(secs));
    Timer.reset(&mut sleep, deadline);
    block_on(sleep);
    start.elapsed()
}

#[rendez::test(virtual_time)]
fn a_sleep_can_be_put_off_and_brought_forward() {
    for secs in [2, 9, 10, 11, 1000] {
        assert_eq!(set_after_a_second(secs), Duration::from_secs(secs));
    }
    assert_eq!(set_after_a_second(0), SECOND);
}

#[rendez::test(virtual_time)]
fn one_that_has_ended_can_be_set_again() {
    let start = Instant::now();
    let mut sleep = Timer.sleep(SECOND);
    block_on(sleep.as_mut());
    Timer.reset(&mut sleep, (start + 3 * SECOND).into());
    block_on(sleep.as_mut());
    assert_eq!(start.elapsed(), 3 * SECOND);
    // And what is no sleep of this timer gives way to one.
    struct Other;
    impl Future for Other {
        type Output = ();
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
            std::task::Poll::Pending
        }
    }
    impl hyper::rt::Sleep for Other {}
    let mut sleep: std::pin::Pin<Box<dyn hyper::rt::Sleep>> = Box::pin(Other);
    Timer.reset(&mut sleep, (start + 4 * SECOND).into());
    block_on(sleep);
    assert_eq!(start.elapsed(), 4 * SECOND);
}

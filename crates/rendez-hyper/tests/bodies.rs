//! Bodies that are read and written in blocking style.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body as _;
use rendez::{Context, ContextError, block_on, go, run, time};
use rendez_hyper::{Body, BodyReader, BodyTooLarge};
use std::{
    io::{self, BufRead, ErrorKind, Read, Write},
    time::Duration,
};

fn all(body: Body) -> io::Result<Bytes> {
    block_on(body.collect()).map(|all| all.to_bytes())
}

#[test]
fn what_is_there_is_sent_whole_and_its_length_told() {
    for body in
        [Body::from("hello"), "hello".to_string().into(), b"hello".to_vec().into(), (&b"hello"[..]).into()]
    {
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(all(body).unwrap(), "hello");
    }
    assert!(Body::empty().is_end_stream());
    assert_eq!(all(Body::empty()).unwrap(), "");
}

#[test]
fn a_reader_is_read_to_its_end_or_to_its_length() {
    assert_eq!(all(Body::from_reader(&b"hello"[..], None)).unwrap(), "hello");
    assert_eq!(all(Body::from_reader(&b"hello"[..], Some(4))).unwrap(), "hell");
    assert!(Body::from_reader(io::repeat(1), Some(0)).is_end_stream());
    let megabyte = Body::from_reader(io::repeat(b'x').take(1 << 20), Some(1 << 20));
    assert_eq!(all(megabyte).unwrap().len(), 1 << 20);
}

#[test]
fn a_reader_that_fails_or_ends_too_early_breaks_the_body_off() {
    let short = all(Body::from_reader(&b"hello"[..], Some(6))).unwrap_err();
    assert_eq!(short.kind(), ErrorKind::UnexpectedEof);
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::PermissionDenied.into())
        }
    }
    let mut body = Body::from_reader(Broken, None);
    assert_eq!(block_on(body.frame()).unwrap().unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert!(block_on(body.frame()).is_none());
}

#[test]
fn what_is_written_arrives_in_order_and_ends_when_it_is_finished() {
    run(|| {
        let (mut writer, body) = Body::channel(0);
        let written = go(move || -> io::Result<()> {
            for n in 0..100_000 {
                writeln!(writer, "{n}")?;
            }
            writer.send("last")?;
            writer.finish()
        });
        let text = String::from_utf8(all(body).unwrap().to_vec()).unwrap();
        let mut lines = text.lines();
        assert!((0..100_000).all(|n| lines.next() == Some(n.to_string().as_str())));
        assert_eq!((lines.next(), lines.next()), (Some("last"), None));
        written.join().unwrap().unwrap();
    });
}

#[test]
fn a_flush_sends_what_has_been_written() {
    run(|| {
        let (mut writer, mut body) = Body::channel(1);
        writer.write_all(b"a").unwrap();
        writer.write_all(b"b").unwrap();
        writer.flush().unwrap();
        // An empty piece is no end.
        writer.flush().unwrap();
        writer.send("").unwrap();
        assert_eq!(block_on(body.frame()).unwrap().unwrap().into_data().unwrap(), "ab");
        writer.finish().unwrap();
        assert!(block_on(body.frame()).is_none());
    });
}

#[test]
fn a_writer_that_is_dropped_breaks_the_body_off() {
    run(|| {
        let (mut writer, mut body) = Body::channel(1);
        writer.send("half").unwrap();
        drop(writer);
        assert_eq!(block_on(body.frame()).unwrap().unwrap().into_data().unwrap(), "half");
        assert!(block_on(body.frame()).unwrap().is_err());
        assert!(block_on(body.frame()).is_none());
    });
}

#[test]
fn a_writer_learns_that_nobody_takes_the_body() {
    run(|| {
        let (mut writer, body) = Body::channel(0);
        let written = go(move || writer.send("a"));
        drop(body);
        assert_eq!(written.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_body_is_read_like_a_file() {
    run(|| {
        let (mut writer, body) = Body::channel(0);
        go(move || -> io::Result<()> {
            for piece in ["one\nt", "wo", "\n", "three"] {
                writer.send(piece)?;
            }
            writer.finish()
        });
        let lines: Vec<_> = BodyReader::new(body).lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["one", "two", "three"]);
        let mut half = [0; 3];
        let mut reader = BodyReader::new(Full::from("hello"));
        reader.read_exact(&mut half).unwrap();
        assert_eq!(&half, b"hel");
        assert_eq!(reader.bytes_to_end().unwrap(), "lo");
    });
}

#[test]
fn the_limit_holds_whether_the_length_is_told_or_not() {
    let untold = || Body::from_reader(&b"hello"[..], None);
    for body in [Body::from("hello"), untold()] {
        let error = BodyReader::new(body).limit(4).bytes_to_end().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        let told = error.into_inner().unwrap().downcast::<BodyTooLarge>().unwrap();
        assert_eq!(*told, BodyTooLarge { limit: 4 });
    }
    for body in [Body::from("hello"), untold()] {
        assert_eq!(BodyReader::new(body).limit(5).bytes_to_end().unwrap(), "hello");
    }
}

#[rendez::test(virtual_time)]
fn a_read_ends_with_its_context() {
    let (writer, body) = Body::channel(0);
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(5));
    let start = time::Instant::now();
    let error = BodyReader::new(body).context(&ctx).read(&mut [0; 10]).unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let how = error.into_inner().unwrap().downcast::<ContextError>().unwrap();
    assert_eq!(*how, ContextError::DeadlineExceeded);
    drop(writer);
}

/// It always has something.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<io::Result<hyper::body::Frame<Bytes>>>> {
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data("on and on".into()))))
    }
}

#[test]
fn a_read_of_a_body_that_always_has_something_ends_with_its_context() {
    let (ctx, cancel) = Context::background().with_cancel();
    let mut reader = BodyReader::new(Endless).context(&ctx);
    let mut word = [0; 9];
    reader.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"on and on");
    cancel.cancel();
    let error = reader.read(&mut word).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(*error.into_inner().unwrap().downcast::<ContextError>().unwrap(), ContextError::Canceled);
    // Of one that gives only empty pieces, which no read returns from.
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(20));
    let error = BodyReader::new(Silent).context(&ctx).read(&mut word).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

/// It always has something, which is nothing.
struct Silent;

impl hyper::body::Body for Silent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<io::Result<hyper::body::Frame<Bytes>>>> {
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::new()))))
    }
}

/// A large piece and then a small one, without a length that would tell.
struct LargeThenSmall(Vec<&'static str>);

impl hyper::body::Body for LargeThenSmall {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<io::Result<hyper::body::Frame<Bytes>>>> {
        std::task::Poll::Ready(self.0.pop().map(|piece| Ok(hyper::body::Frame::data(piece.into()))))
    }
}

#[test]
fn a_body_that_was_refused_stays_so_and_does_not_go_on_behind_the_hole() {
    let mut reader = BodyReader::new(LargeThenSmall(vec!["end", "too large"])).limit(4);
    for _ in 0..3 {
        let error = reader.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    }
}

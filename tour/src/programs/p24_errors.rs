//! 24. Errors as values.
//!
//! **The notes:** a goroutine that only prints its error has nobody to tell it to. So the error travels with the result, in one struct and
//! on the same channel, to the part of the program that knows enough to decide what to do about it.
//!
//! **In Rust** that struct is the language's own: a channel of [`Result`]s. And what is to be done about errors is said by how the channel
//! is read: item by item to carry on, or by `collect` to stop at the first. Stopping drops the channel, which ends the stages
//! before it, so URLs that come later are not even asked for.
//!
//! The URLs are those of a small server that lives for as long as the program. Its calls, and the client's, block the thread and
//! not only the goroutine, so they are made on threads of their own; a goroutine waits for such a thread at a channel like any other.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rendez::chan::{self, Receiver};
use rendez::{Context, pattern};

use crate::output::{Check, Output, ensure};

#[derive(Clone, Debug)]
struct Url {
    host: SocketAddr,
    path: &'static str,
}

/// The status line's part after the version, as `200 OK`.
type Status = String;

/// Asks for each URL in turn and passes on what came of it, be it an error.
fn check_status(ctx: &Context, urls: Vec<Url>) -> Receiver<(Url, io::Result<Status>)> {
    pattern::map(ctx, pattern::generator(ctx, urls), |url| {
        let result = on_a_thread({
            let url = url.clone();
            move || get(&url)
        });
        (url, result)
    })
}

pub(crate) fn run(out: &Output) -> Check {
    let server = Server::start()?;
    let url = |path| Url { host: server.address, path };
    // Nobody listens there: the port was free a moment ago.
    let nobody = Url { host: TcpListener::bind(("127.0.0.1", 0))?.local_addr()?, path: "/down" };
    let urls = vec![url("/"), nobody, url("/missing"), url("/again")];
    let ctx = Context::background();

    for (url, result) in check_status(&ctx, urls.clone()) {
        match result {
            Ok(status) => out.say(format_args!("{}: {status}", url.path)),
            Err(error) => out.say(format_args!("{}: {}", url.path, error.kind())),
        }
    }
    ensure(server.asked() == 3, "those that are up are asked")?;

    let all: io::Result<Vec<Status>> = check_status(&ctx, urls).iter().map(|(_, result)| result).collect();
    match all {
        Ok(all) => out.say(format_args!("all fine: {all:?}")),
        Err(error) => out.say(format_args!("stopped: {}", error.kind())),
    }
    out.expect([
        "/: 200 OK",
        "/down: connection refused",
        "/missing: 404 Not Found",
        "/again: 200 OK",
        "stopped: connection refused",
    ])
}

/// Runs `f`, which may block its thread, on one of its own. The goroutine parks meanwhile, and its worker goes on with others.
fn on_a_thread<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (tx, result) = chan::bounded(1);
    thread::spawn(move || tx.send(f()));
    result.recv().expect("it does not panic")
}

fn get(url: &Url) -> io::Result<Status> {
    let mut stream = TcpStream::connect(url.host)?;
    write!(stream, "GET {} HTTP/1.0\r\n\r\n", url.path)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let status = line.trim_end().strip_prefix("HTTP/1.0 ");
    status.map(str::to_owned).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Knows every path but one.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> io::Result<Server> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let server = Server { address: listener.local_addr()?, requests: Arc::default() };
        let requests = Arc::clone(&server.requests);
        // It ends with a connection that asks for nothing, which is how `drop` says so.
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept()
                && let Ok(true) = serve(&stream, &requests)
            {}
        });
        Ok(server)
    }

    fn asked(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Counts and answers one request; whether there was one.
fn serve(mut stream: &TcpStream, requests: &AtomicUsize) -> io::Result<bool> {
    let mut lines = BufReader::new(stream).lines();
    let Some(request) = lines.next().transpose()? else { return Ok(false) };
    // Before it is answered: who has the answer may ask how many there were.
    requests.fetch_add(1, Ordering::SeqCst);
    // Read to the end of its head, or the client might be told that its request was cut off.
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let status = if request.contains("/missing ") { "404 Not Found" } else { "200 OK" };
    write!(stream, "HTTP/1.0 {status}\r\n\r\n")?;
    Ok(true)
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = TcpStream::connect(self.address);
    }
}

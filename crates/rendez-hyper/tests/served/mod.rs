//! A server in its own goroutine, and clients that speak HTTP over plain sockets.

use hyper::{Request, Response, body::Incoming};
use rendez::{
    CancelFunc, Context, JoinHandle, go,
    net::{SocketAddr, TcpListener, TcpStream},
};
use rendez_hyper::{Body, Connection, Drained, Handler, Server, handler};
use std::io::{Read, Write};

pub(crate) struct Served {
    address: SocketAddr,
    stop: CancelFunc,
    server: JoinHandle<Drained>,
}

/// A request.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

impl Served {
    pub(crate) fn by<F>(server: Server, handle: F) -> Served
    where
        F: Fn(Request<Incoming>) -> Response<Body> + Send + Sync + 'static,
    {
        let handler = handler(handle);
        Served::with(server, move |_| handler.clone())
    }

    pub(crate) fn with<F>(
        server: Server,
        make: impl Fn(&Connection<SocketAddr>) -> Handler<F> + Send + 'static,
    ) -> Served
    where
        F: Fn(Request<Incoming>) -> Response<Body> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ctx, stop) = Context::background().with_cancel();
        let server = go(move || server.serve_with(&ctx, listener, make));
        Served { address, stop, server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self) -> Client {
        Client::to(self.address)
    }

    /// Has it drain.
    pub(crate) fn stop(self) -> JoinHandle<Drained> {
        self.stop.cancel();
        self.server
    }

    /// Has it drain, and looks how it ended.
    #[track_caller]
    pub(crate) fn drain(self, served: u64, cut: u64) {
        assert_eq!(self.stop().join().unwrap(), Drained { served, cut });
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    /// What has been read of what is to come.
    ahead: Vec<u8>,
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Client {
        Client { stream: TcpStream::connect(address).unwrap(), ahead: Vec::new() }
    }

    /// Another handle of the socket.
    pub(crate) fn stream(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until `ahead` has so many bytes.
    fn fill(&mut self, len: usize) {
        while self.ahead.len() < len {
            let mut buf = [0; 4096];
            let got = self.stream.read(&mut buf).unwrap();
            assert!(got > 0, "ended after {:?}", String::from_utf8_lossy(&self.ahead));
            self.ahead.extend_from_slice(&buf[..got]);
        }
    }

    /// Sends a request and reads one head, with the empty line.
    pub(crate) fn head_of(&mut self, request: &str) -> String {
        self.send(request);
        self.head()
    }

    fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.ahead.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            self.fill(self.ahead.len() + 1);
        }
    }

    /// The body of the next response, of which the length is told.
    pub(crate) fn answer(&mut self) -> String {
        let head = self.head();
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let len = len.parse().unwrap();
        self.fill(len);
        String::from_utf8(self.ahead.drain(..len).collect()).unwrap()
    }

    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.send(request);
        self.answer()
    }

    /// All that comes until the other side ends it, or breaks it off.
    pub(crate) fn rest(&mut self) -> String {
        let mut all = std::mem::take(&mut self.ahead);
        let _ = self.stream.read_to_end(&mut all);
        String::from_utf8(all).unwrap()
    }
}

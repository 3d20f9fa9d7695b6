//! HTTP on hyper, and without a framework.

use super::super::Body;
use crate::{
    load::{self, Tell},
    plain_http::Conversation,
};
use hyper::{Request, Response, body::Incoming};
use rendez::{
    Context, go,
    net::{TcpListener, TcpStream},
};
use rendez_hyper as http;
use std::io::{self, Read, Write};

pub(super) fn hello_world(tell: Tell) -> Body {
    Body::value(move |ms| {
        rendez::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let addr = listener.local_addr().expect("it has an address");
            let (ctx, stop) = Context::background().with_cancel();
            let hello = |_: Request<Incoming>| Response::new(http::Body::from(load::BODY));
            let server = go(move || http::serve(&ctx, listener, hello));
            let told = rendez::blocking(|| load::on(addr, ms, tell));
            stop.cancel();
            server.join().expect("it does not panic");
            told
        })
    })
}

fn converse(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut conversation = Conversation::new();
    loop {
        match stream.read(conversation.room())? {
            0 => return Ok(()),
            len => stream.write_all(conversation.heard(len)?)?,
        }
    }
}

pub(super) fn plain(tell: Tell) -> Body {
    Body::value(move |ms| {
        rendez::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let addr = listener.local_addr().expect("it has an address");
            go(move || {
                for stream in listener.incoming() {
                    // (It ends when the load does.)
                    go(move || converse(stream.expect("a connection")));
                }
            });
            rendez::blocking(|| load::on(addr, ms, tell))
        })
    })
}

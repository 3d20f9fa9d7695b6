//! HTTP on hyper.

use super::super::Body;
use crate::load::{self, Tell};
use hyper::{Request, Response, body::Incoming};
use rendez::{Context, go, net::TcpListener};
use rendez_hyper as http;

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

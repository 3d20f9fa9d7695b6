//! HTTP on hyper.

use super::super::Body;
use crate::load::{self, Tell};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use rendez::{block_on, go, go_async, net::TcpListener};
use rendez_hyper::Io;
use std::convert::Infallible;

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(load::BODY.as_bytes()))))
}

pub(super) fn hello_world(tell: Tell) -> Body {
    Body::value(move |ms| {
        let variant = std::env::var("V").unwrap_or_default();
        rendez::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let addr = listener.local_addr().expect("it has an address");
            go(move || {
                if variant == "s" {
                    let hello = |_: Request<Incoming>| Response::new(rendez_hyper::Body::from(load::BODY));
                    rendez_hyper::serve(&rendez::Context::background(), listener, hello);
                    return;
                }
                if variant == "h" {
                    let server = rendez_hyper::Server::new();
                    server.serve_with(&rendez::Context::background(), listener, |_| service_fn(hello));
                    return;
                }
                for stream in listener.incoming() {
                    let stream = stream.expect("a connection");
                    stream.set_nodelay(true).expect("it is connected");
                    let serve = http1::Builder::new().serve_connection(Io::from(stream), service_fn(hello));
                    if variant == "g" {
                        go(move || block_on(serve));
                    } else {
                        go_async(serve);
                    }
                }
            });
            rendez::blocking(|| load::on(addr, ms, tell))
        })
    })
}

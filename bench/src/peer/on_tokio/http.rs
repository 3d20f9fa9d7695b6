//! HTTP on hyper, and without a framework.

use super::{super::Body, on, shared_runtime};
use crate::{
    load::{self, Tell},
    plain_http::Conversation,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, io};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(load::BODY.as_bytes()))))
}

pub(crate) fn hello_world(tell: Tell) -> Body {
    Body::value(move |ms| {
        let addr = on(shared_runtime(), async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let addr = listener.local_addr().expect("it has an address");
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    stream.set_nodelay(true).expect("it is connected");
                    tokio::spawn(
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello)),
                    );
                }
            });
            addr
        });
        load::on(addr, ms, tell)
    })
}

async fn converse(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut conversation = Conversation::new();
    loop {
        match stream.read(conversation.room()).await? {
            0 => return Ok(()),
            len => stream.write_all(conversation.heard(len)?).await?,
        }
    }
}

pub(crate) fn plain(tell: Tell) -> Body {
    Body::value(move |ms| {
        let addr = on(shared_runtime(), async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let addr = listener.local_addr().expect("it has an address");
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    tokio::spawn(converse(stream));
                }
            });
            addr
        });
        load::on(addr, ms, tell)
    })
}

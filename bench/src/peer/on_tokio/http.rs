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

/// The load on a server that has a task for each connection, which does `serve`.
fn served<F>(tell: Tell, serve: fn(TcpStream) -> F) -> Body
where
    F: Future<Output: Send> + Send + 'static,
{
    Body::value(move |ms| {
        let addr = on(shared_runtime(), async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let addr = listener.local_addr().expect("it has an address");
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    stream.set_nodelay(true).expect("it is connected");
                    tokio::spawn(serve(stream));
                }
            });
            addr
        });
        load::on(addr, ms, tell)
    })
}

pub(crate) fn hello_world(tell: Tell) -> Body {
    served(tell, |stream| http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello)))
}

async fn converse(mut stream: TcpStream) -> io::Result<()> {
    let mut conversation = Conversation::new();
    loop {
        match stream.read(conversation.room()).await? {
            0 => return Ok(()),
            len => stream.write_all(conversation.heard(len)?).await?,
        }
    }
}

pub(crate) fn plain(tell: Tell) -> Body {
    served(tell, converse)
}

//! HTTP, by hyper, in blocking style.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header::{self, HeaderValue},
};
use rendez::{Context, ContextError, Event, block_on, go_async, net::TcpStream};
use rendez_hyper::{BodyReader, Io};
use std::{io, time::Duration};
use url::{Position, Url};

/// What came of a request.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) is_html: bool,
    /// Where it leads, if it is a redirect, as it was said.
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
}

/// A connection to one host, kept from page to page as long as that wants to.
pub(crate) struct Client {
    pub(crate) agent: String,
    pub(crate) timeout: Duration,
    pub(crate) max_body: u64,
    pub(crate) kept: Option<SendRequest<Empty<Bytes>>>,
}

fn too_late(ended: ContextError) -> io::Error {
    let what = match ended {
        ContextError::DeadlineExceeded => "it took too long",
        ContextError::Canceled => "interrupted",
    };
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl Client {
    /// Fetches a page, to its last byte.
    ///
    /// # Errors
    /// The host could not be found or reached, broke the connection off, sent too much, or took too long; or `ctx` ended.
    pub(crate) fn get(&mut self, ctx: &Context, url: &Url) -> io::Result<Page> {
        let (ctx, _cancel) = ctx.with_timeout(self.timeout);
        let mut request = self.request(url)?;
        // One that was kept may have been closed by the other side meanwhile, which is only noticed when it is used.
        if let Some(kept) = self.kept.take().filter(|kept| !kept.is_closed()) {
            match self.send(&ctx, kept, request) {
                Ok(page) => return page,
                Err(unsent) => request = *unsent,
            }
        }
        let fresh = Self::connect(&ctx, url)?;
        self.send(&ctx, fresh, request).unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it was not listened to"))
        })
    }

    fn request(&self, url: &Url) -> io::Result<Request<Empty<Bytes>>> {
        let host = &url[Position::BeforeHost..Position::AfterPort];
        Request::get(&url[Position::BeforePath..Position::AfterQuery])
            .header(header::HOST, host)
            .header(header::USER_AGENT, &self.agent)
            .header(header::ACCEPT, HeaderValue::from_static("text/html, */*;q=0.5"))
            .body(Empty::new())
            .map_err(io::Error::other)
    }

    fn connect(ctx: &Context, url: &Url) -> io::Result<SendRequest<Empty<Bytes>>> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_string();
        let addr = (host, url.port_or_known_default().unwrap_or(80));
        let stream = ctx.bound(TcpStream::connect_event(addr)).wait().map_err(too_late)??;
        stream.set_nodelay(true)?;
        let (sender, connection) = block_on(http1::handshake(Io::from(stream))).map_err(io::Error::other)?;
        // It tells its errors to whoever waits for an answer.
        go_async(async { drop(connection.await) });
        Ok(sender)
    }

    /// Or the request, if it was not sent.
    fn send(
        &mut self,
        ctx: &Context,
        mut sender: SendRequest<Empty<Bytes>>,
        request: Request<Empty<Bytes>>,
    ) -> Result<io::Result<Page>, Box<Request<Empty<Bytes>>>> {
        let response = match block_on(ctx.within(sender.try_send_request(request))) {
            Err(ended) => return Ok(Err(too_late(ended))),
            Ok(Ok(response)) => response,
            Ok(Err(mut failed)) => match failed.take_message() {
                Some(request) => return Err(Box::new(request)),
                None => return Ok(Err(io::Error::other(failed.into_error()))),
            },
        };
        let (head, body) = response.into_parts();
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let kind = text(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let location = text(header::LOCATION).filter(|_| head.status.is_redirection()).map(String::from);
        let body = match BodyReader::new(body).limit(self.max_body).context(ctx).bytes_to_end() {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        self.kept = Some(sender);
        Ok(Ok(Page {
            status: head.status,
            is_html: kind.starts_with("text/html") || kind.starts_with("application/xhtml"),
            location,
            body,
        }))
    }
}

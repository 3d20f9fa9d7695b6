//! Answers.

use hyper::{Response, StatusCode, header, http::response};
use rendez_hyper::Body;
use serde::Serialize;

pub(crate) type Reply = Response<Body>;

/// # Panics
/// If one of the headers that were set can't be one.
pub(crate) fn with(response: response::Builder, body: impl Into<Body>) -> Reply {
    response.body(body.into()).expect("the headers are well formed")
}

pub(crate) fn empty(response: response::Builder) -> Reply {
    with(response, Body::empty())
}

pub(crate) fn text(status: StatusCode, text: &'static str) -> Reply {
    with(Response::builder().status(status).header(header::CONTENT_TYPE, "text/plain; charset=utf-8"), text)
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let mut text = serde_json::to_vec(value).expect("what is told has no map with strange keys");
    text.push(b'\n');
    with(Response::builder().status(status).header(header::CONTENT_TYPE, "application/json"), text)
}

/// An error as JSON.
pub(crate) fn problem(status: StatusCode, what: impl Into<String>) -> Reply {
    #[derive(Serialize)]
    struct Problem {
        error: String,
    }
    json(status, &Problem { error: what.into() })
}

pub(crate) fn not_allowed(allowed: &'static str) -> Reply {
    let response = Response::builder().status(StatusCode::METHOD_NOT_ALLOWED).header(header::ALLOW, allowed);
    empty(response)
}

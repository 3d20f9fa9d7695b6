//! The JSON API.

use crate::{
    call::Call,
    reply::{self, Reply},
};
use hyper::{Method, Response, StatusCode, body::Incoming, header};
use rendez::{Context, Event, go, sync::RwLock, time};
use rendez_hyper::{Body, BodyReader};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read},
    time::{Duration, Instant},
};

/// More notes than this are too many for memory.
const MOST_NOTES: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Api {
    started: Instant,
    limits: Limits,
    notes: RwLock<Notes>,
}

/// How many bytes a body may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) body: u64,
    pub(crate) upload: u64,
}

#[derive(Debug, Default)]
struct Notes {
    last: u64,
    all: BTreeMap<u64, String>,
}

#[derive(Serialize)]
struct Note<'a> {
    id: u64,
    text: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    text: String,
}

impl Api {
    pub(crate) fn new(limits: Limits) -> Api {
        Api { started: Instant::now(), limits, notes: RwLock::new(Notes::default()) }
    }

    /// Answers a request for `path`, which is what follows `/api/`.
    pub(crate) fn serve(&self, call: &Call, path: &str, query: &str, body: Incoming) -> Reply {
        let method = &call.method;
        match (path.trim_end_matches('/').split_once('/'), path) {
            (None, "health") => match *method {
                Method::GET | Method::HEAD => self.health(),
                _ => reply::not_allowed("GET, HEAD"),
            },
            (None, "notes") => match *method {
                Method::GET | Method::HEAD => self.list(),
                Method::POST => self.add(&call.ctx, body),
                _ => reply::not_allowed("GET, HEAD, POST"),
            },
            (Some(("notes", id)), _) => match id.parse() {
                Ok(id) => self.note(call, id, body),
                Err(_) => reply::problem(StatusCode::NOT_FOUND, "a note's id is a number"),
            },
            (None, "digest") => match *method {
                Method::POST => self.digest(&call.ctx, body),
                _ => reply::not_allowed("POST"),
            },
            (None, "echo") => match *method {
                Method::POST => self.echo(&call.ctx, body),
                _ => reply::not_allowed("POST"),
            },
            (None, "wait") => match *method {
                Method::GET => wait(&call.ctx, query),
                _ => reply::not_allowed("GET"),
            },
            _ => reply::problem(StatusCode::NOT_FOUND, "there is no such thing"),
        }
    }

    fn health(&self) -> Reply {
        #[derive(Serialize)]
        struct Health {
            status: &'static str,
            up_seconds: u64,
        }
        reply::json(StatusCode::OK, &Health { status: "ok", up_seconds: self.started.elapsed().as_secs() })
    }

    fn list(&self) -> Reply {
        let notes = self.notes.read();
        let all: Vec<_> = notes.all.iter().map(|(&id, text)| Note { id, text }).collect();
        reply::json(StatusCode::OK, &all)
    }

    fn add(&self, ctx: &Context, body: Incoming) -> Reply {
        let text = match self.written(ctx, body) {
            Ok(text) => text,
            Err(refused) => return *refused,
        };
        let mut notes = self.notes.write();
        if notes.all.len() >= MOST_NOTES {
            return reply::problem(StatusCode::INSUFFICIENT_STORAGE, "there are too many notes");
        }
        notes.last += 1;
        let id = notes.last;
        let mut response = reply::json(StatusCode::CREATED, &Note { id, text: &text });
        let location = format!("/api/notes/{id}").parse().expect("a path is a header's value");
        response.headers_mut().insert(header::LOCATION, location);
        notes.all.insert(id, text);
        response
    }

    fn note(&self, call: &Call, id: u64, body: Incoming) -> Reply {
        let missing = || reply::problem(StatusCode::NOT_FOUND, "there is no such note");
        match call.method {
            Method::GET | Method::HEAD => match self.notes.read().all.get(&id) {
                Some(text) => reply::json(StatusCode::OK, &Note { id, text }),
                None => missing(),
            },
            Method::PUT => {
                // Read first: nobody waits for the lock because a client is slow.
                let text = match self.written(&call.ctx, body) {
                    Ok(text) => text,
                    Err(refused) => return *refused,
                };
                match self.notes.write().all.get_mut(&id) {
                    Some(note) => {
                        *note = text;
                        reply::json(StatusCode::OK, &Note { id, text: note })
                    }
                    None => missing(),
                }
            }
            Method::DELETE => match self.notes.write().all.remove(&id) {
                Some(_) => reply::empty(Response::builder().status(StatusCode::NO_CONTENT)),
                None => missing(),
            },
            _ => reply::not_allowed("GET, HEAD, PUT, DELETE"),
        }
    }

    /// The text that was sent, or what to answer instead.
    fn written(&self, ctx: &Context, body: Incoming) -> Result<String, Box<Reply>> {
        let body = BodyReader::new(body).limit(self.limits.body).context(ctx);
        let bytes = body.bytes_to_end().map_err(|error| Box::new(refused(&error)))?;
        let written: Result<Written, _> = serde_json::from_slice(&bytes);
        match written {
            Ok(written) => Ok(written.text),
            Err(error) => Err(Box::new(reply::problem(StatusCode::BAD_REQUEST, error.to_string()))),
        }
    }

    fn digest(&self, ctx: &Context, body: Incoming) -> Reply {
        #[derive(Serialize)]
        struct Told {
            bytes: u64,
            sha256: String,
        }
        let mut body = BodyReader::new(body).limit(self.limits.upload).context(ctx);
        let mut hasher = Sha256::new();
        let mut buf = vec![0; 64 * 1024];
        let mut bytes = 0;
        loop {
            match body.read(&mut buf) {
                Ok(0) => break,
                Ok(len) => {
                    hasher.update(&buf[..len]);
                    bytes += len as u64;
                    // A fast client may never have this wait.
                    rendez::yield_now();
                }
                Err(error) => return refused(&error),
            }
        }
        let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        reply::json(StatusCode::OK, &Told { bytes, sha256 })
    }

    fn echo(&self, ctx: &Context, body: Incoming) -> Reply {
        let mut from = BodyReader::new(body).limit(self.limits.upload).context(ctx);
        let (mut to, body) = Body::channel(1);
        // One that fails drops `to`, which breaks the answer off.
        go(move || -> io::Result<()> {
            io::copy(&mut from, &mut to)?;
            to.finish()
        });
        reply::with(Response::builder().header(header::CONTENT_TYPE, "application/octet-stream"), body)
    }
}

/// The answer to a body that could not be read to its end.
fn refused(error: &io::Error) -> Reply {
    let status = match error.kind() {
        ErrorKind::QuotaExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::TimedOut => StatusCode::REQUEST_TIMEOUT,
        _ => StatusCode::BAD_REQUEST,
    };
    reply::problem(status, error.to_string())
}

fn wait(ctx: &Context, query: &str) -> Reply {
    #[derive(Serialize)]
    struct Waited {
        waited_ms: u64,
    }
    let ms = query.split('&').find_map(|pair| pair.strip_prefix("ms=")).map_or(Ok(0), str::parse);
    let Ok(waited_ms) = ms else {
        return reply::problem(StatusCode::BAD_REQUEST, "`ms` is a number of milliseconds");
    };
    match ctx.bound(time::timer(Duration::from_millis(waited_ms))).wait() {
        Ok(_) => reply::json(StatusCode::OK, &Waited { waited_ms }),
        Err(ended) => reply::problem(StatusCode::SERVICE_UNAVAILABLE, ended.to_string()),
    }
}

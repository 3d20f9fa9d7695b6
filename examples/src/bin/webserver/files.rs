//! Files under a root.
//!
//! Everything that may wait for the disk is done off the workers, and for a small file all of it at one go: a hop to the pool and back costs
//! more than the file.

use crate::{
    range::{Part, Version, part},
    reply::{self, Reply},
};
use hyper::{HeaderMap, Method, Response, StatusCode, header, http::response};
use percent_encoding::percent_decode_str;
use rendez_hyper::Body;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// A part of a file up to this size is read at once, and sent from memory.
const SMALL: u64 = 64 * 1024;

/// The directory whose files are served.
#[derive(Debug)]
pub(crate) struct Files {
    /// Without links, so that what is under it can be told by its beginning.
    root: PathBuf,
}

/// A part of a file, ready to be sent.
enum Content {
    Whole(Vec<u8>),
    File(File),
    /// HEAD, or an answer without a body.
    Nothing,
}

/// What there is at a path.
enum Found {
    File {
        version: Version,
        len: u64,
        part: Part,
        content: Content,
        name: PathBuf,
    },
    /// A directory, whose path has to end in a slash so that relative links in its index are right.
    NeedsSlash,
    Missing,
    Forbidden,
}

impl Files {
    /// # Errors
    /// If there is no such directory.
    pub(crate) fn new(root: &Path) -> io::Result<Files> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Files { root })
    }

    pub(crate) fn serve(&self, method: &Method, path: &str, headers: &HeaderMap) -> Reply {
        if method != Method::GET && method != Method::HEAD {
            return reply::not_allowed("GET, HEAD");
        }
        let Some(relative) = relative(path) else {
            return reply::text(StatusCode::NOT_FOUND, "no such file\n");
        };
        let found = rendez::blocking(|| self.find(&relative, path.ends_with('/'), method, headers));
        match found {
            Ok(Found::File { version, len, part, content, name }) => {
                let response = Response::builder()
                    .header(header::ETAG, &version.tag)
                    .header(header::LAST_MODIFIED, httpdate::fmt_http_date(version.modified))
                    .header(header::ACCEPT_RANGES, "bytes");
                answer(response, len, part, content, &name)
            }
            Ok(Found::NeedsSlash) => {
                // A path alone is no redirect to another host, unless it begins with two slashes.
                let to = format!("/{}/", path.trim_start_matches('/'));
                reply::empty(
                    Response::builder().status(StatusCode::MOVED_PERMANENTLY).header(header::LOCATION, to),
                )
            }
            Ok(Found::Missing) => reply::text(StatusCode::NOT_FOUND, "no such file\n"),
            Ok(Found::Forbidden) => reply::text(StatusCode::FORBIDDEN, "not to be read\n"),
            Err(error) => {
                eprintln!("webserver: {}: {error}", relative.display());
                reply::text(StatusCode::INTERNAL_SERVER_ERROR, "it can't be read\n")
            }
        }
    }

    /// Looks for what is there, and opens and reads it as far as it is small.
    fn find(&self, relative: &Path, is_dir: bool, method: &Method, headers: &HeaderMap) -> io::Result<Found> {
        match self.look(relative, is_dir, method, headers) {
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
                    Ok(Found::Missing)
                }
                io::ErrorKind::PermissionDenied => Ok(Found::Forbidden),
                _ => Err(error),
            },
            found => found,
        }
    }

    fn look(&self, relative: &Path, is_dir: bool, method: &Method, headers: &HeaderMap) -> io::Result<Found> {
        let mut name = self.root.join(relative).canonicalize()?;
        if !name.starts_with(&self.root) {
            return Ok(Found::Missing);
        }
        if name.is_dir() {
            if !is_dir {
                return Ok(Found::NeedsSlash);
            }
            name = name.join("index.html").canonicalize()?;
            if !name.starts_with(&self.root) {
                return Ok(Found::Missing);
            }
        } else if is_dir {
            return Ok(Found::Missing);
        }
        // A pipe would not open until somebody writes to it, and others have effects when they are opened.
        if !name.metadata()?.is_file() {
            return Ok(Found::Missing);
        }
        let mut file = File::open(&name)?;
        let meta = file.metadata()?;
        let (version, len) = (version(&meta), meta.len());
        let part = part(method, headers, &version, len);
        let content = match range(&part, len) {
            Some(range) if method == Method::GET => content(&mut file, range)?.unwrap_or(Content::File(file)),
            _ => Content::Nothing,
        };
        Ok(Found::File { version, len, part, content, name })
    }
}

/// The bytes that are sent.
fn range(part: &Part, len: u64) -> Option<Range<u64>> {
    match part {
        Part::Whole => Some(0..len),
        Part::Range(range) => Some(range.clone()),
        Part::NotModified | Part::Failed | Part::Unsatisfiable => None,
    }
}

/// Reads a small part; puts the file to the beginning of a large one.
fn content(file: &mut File, range: Range<u64>) -> io::Result<Option<Content>> {
    file.seek(SeekFrom::Start(range.start))?;
    let len = range.end - range.start;
    if len > SMALL {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact(&mut bytes)?;
    Ok(Some(Content::Whole(bytes)))
}

fn version(meta: &std::fs::Metadata) -> Version {
    let nanos = meta.mtime_nsec().max(0) as u64;
    let seconds = meta.mtime().max(0) as u64;
    Version {
        tag: format!("\"{:x}-{seconds:x}-{nanos:x}-{:x}\"", meta.ino(), meta.len()),
        modified: UNIX_EPOCH + Duration::from_secs(seconds),
    }
}

fn answer(response: response::Builder, len: u64, part: Part, content: Content, name: &Path) -> Reply {
    let Some(range) = range(&part, len) else {
        return match part {
            Part::NotModified => reply::empty(response.status(StatusCode::NOT_MODIFIED)),
            Part::Failed => reply::empty(response.status(StatusCode::PRECONDITION_FAILED)),
            _ => {
                let all = format!("bytes */{len}");
                reply::empty(
                    response.status(StatusCode::RANGE_NOT_SATISFIABLE).header(header::CONTENT_RANGE, all),
                )
            }
        };
    };
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let kind = match kind.type_() {
        mime_guess::mime::TEXT => format!("{kind}; charset=utf-8"),
        _ => kind.to_string(),
    };
    let size = range.end - range.start;
    let mut response = response
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, size)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if part != Part::Whole {
        let which = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        response = response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, which);
    }
    reply::with(
        response,
        match content {
            Content::Whole(bytes) => bytes.into(),
            Content::File(file) => Body::from_reader(rendez::fs::File::from(file), Some(size)),
            Content::Nothing => Body::empty(),
        },
    )
}

/// The path of a request as one below the root; `None` for one that leads elsewhere, or that no file has.
fn relative(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?;
    if decoded.contains('\0') {
        return None;
    }
    let mut relative = PathBuf::new();
    for component in Path::new(decoded.trim_start_matches('/')).components() {
        match component {
            Component::Normal(name) => relative.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(relative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_root() {
        let of = |path| relative(path).map(|path| path.display().to_string());
        assert_eq!(of("/a/b.txt").as_deref(), Some("a/b.txt"));
        assert_eq!(of("/a%20b/%c3%a9").as_deref(), Some("a b/é"));
        assert_eq!(of("//etc/passwd").as_deref(), Some("etc/passwd"));
        assert_eq!(of("/").as_deref(), Some(""));
        assert_eq!(of("/./a/.").as_deref(), Some("a"));
        for out in ["/..", "/a/../b", "/%2e%2e/a", "/a/%2e./b", "/..%2fa", "/a%00b", "/%ff", "a", "*", ""] {
            assert_eq!(of(out), None, "{out}");
        }
    }
}

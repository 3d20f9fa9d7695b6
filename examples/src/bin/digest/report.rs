//! What the stages tell one another, and how it is written down.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Both algorithms make 256 bits.
pub(crate) type Digest = [u8; 32];

/// To the printer: what there is to say about a path.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) path: PathBuf,
    pub(crate) outcome: Result<Digest, Problem>,
}

/// Why there is no digest, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(Box<OsStr>);

impl Problem {
    /// It has a type that is not read: `what` it is, with its article.
    pub(crate) fn special(what: &str) -> Problem {
        Problem(OsStr::new(&format!("not a regular file but {what}")).into())
    }

    /// It is the directory `ancestor`, in which it lies.
    pub(crate) fn file_system_loop(ancestor: &Path) -> Problem {
        let mut reason = OsStr::new("file system loop: this is the directory ").to_owned();
        reason.push(ancestor);
        Problem(reason.into())
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        self.0.to_str().expect("the tests' own words")
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Problem {
        Problem(OsStr::new(&reason(&error)).into())
    }
}

/// The system's words alone, as other tools print them: Display adds ` (os error 2)`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(code) => text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text).to_owned(),
        None => text,
    }
}

/// Appends the line for a digest to `out`, in the format of `sha256sum`.
pub(crate) fn write_digest(out: &mut Vec<u8>, digest: &Digest, path: &Path) {
    let path = path.as_os_str().as_encoded_bytes();
    if path.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r')) {
        out.push(b'\\');
    }
    for byte in digest {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    out.extend(b"  ");
    for &byte in path {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            _ => out.push(byte),
        }
    }
    out.push(b'\n');
}

/// Appends the line for a problem to `out`: `digest: PATH: reason`.
pub(crate) fn write_problem(out: &mut Vec<u8>, problem: &Problem, path: &Path) {
    out.extend(b"digest: ");
    match path.as_os_str().as_encoded_bytes() {
        b"" => out.extend(b"''"),
        path => write_visible(out, path),
    }
    out.extend(b": ");
    write_visible(out, problem.0.as_encoded_bytes());
    out.push(b'\n');
}

/// A message is read by people, on a terminal: a name in it may neither break the line nor steer the
/// terminal.
fn write_visible(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0..b' ' | 0x7f => out.extend(format!("\\{byte:03o}").bytes()),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_line(path: &str) -> String {
        let mut out = Vec::new();
        write_digest(&mut out, &std::array::from_fn(|i| i as u8 * 8), Path::new(path));
        String::from_utf8(out).unwrap()
    }

    fn problem_line(path: &str, problem: &Problem) -> String {
        let mut out = Vec::new();
        write_problem(&mut out, problem, Path::new(path));
        String::from_utf8(out).unwrap()
    }

    const HEX: &str = "0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8";

    #[test]
    fn a_plain_name_is_written_as_it_is() {
        assert_eq!(digest_line("a b/\tc é*"), format!("{HEX}  a b/\tc é*\n"));
    }

    #[test]
    fn a_name_that_would_break_the_line_is_escaped_and_marked() {
        assert_eq!(digest_line("a\nb"), format!("\\{HEX}  a\\nb\n"));
        assert_eq!(digest_line("a\rb"), format!("\\{HEX}  a\\rb\n"));
        assert_eq!(digest_line("a\\nb"), format!("\\{HEX}  a\\\\nb\n"));
    }

    #[test]
    fn a_message_is_one_line_whatever_the_name() {
        let gone = Problem::from(io::Error::from_raw_os_error(2));
        assert_eq!(problem_line("x/y z", &gone), "digest: x/y z: No such file or directory\n");
        assert_eq!(problem_line("", &gone), "digest: '': No such file or directory\n");
        assert_eq!(
            problem_line("a\n\u{1b}[2J\\", &gone),
            "digest: a\\n\\033[2J\\\\: No such file or directory\n"
        );
        let looped = Problem::file_system_loop(Path::new("up\ndown"));
        assert_eq!(
            problem_line("l", &looped),
            "digest: l: file system loop: this is the directory up\\ndown\n"
        );
    }

    #[test]
    fn an_error_without_a_number_keeps_its_words() {
        assert_eq!(Problem::from(io::Error::other("odd (os error 2)")).text(), "odd (os error 2)");
    }
}

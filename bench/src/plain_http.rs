//! HTTP/1.1 without a framework, for servers of some lines: httparse parses the requests, and each is answered with the same. What is left is
//! what differs: to wait for a request, to read it, and to write the answer.

use crate::load::BODY;
use std::{
    io::{self, ErrorKind},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The longest request.
const LONGEST: usize = 4096;
const MOST_HEADERS: usize = 16;

/// One connection's requests and answers.
pub(crate) struct Conversation {
    asked: Box<[u8; LONGEST]>,
    len: usize,
    answers: Vec<u8>,
    second: Duration,
    date: String,
}

impl Conversation {
    pub(crate) fn new() -> Conversation {
        Conversation {
            asked: Box::new([0; LONGEST]),
            len: 0,
            answers: Vec::with_capacity(LONGEST),
            second: Duration::ZERO,
            date: String::new(),
        }
    }

    /// Where what comes next is to be read into.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.asked[self.len..]
    }

    /// So many bytes have been read: the answers to what is whole by now.
    pub(crate) fn heard(&mut self, len: usize) -> io::Result<&[u8]> {
        self.len += len;
        self.answers.clear();
        let mut done = 0;
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(&self.asked[done..self.len]);
            match parsed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))? {
                httparse::Status::Complete(len) => done += len,
                httparse::Status::Partial if done == 0 && self.len == LONGEST => {
                    return Err(io::Error::new(ErrorKind::InvalidData, "the request is too long"));
                }
                httparse::Status::Partial => break,
            }
            self.answer();
        }
        self.asked.copy_within(done..self.len, 0);
        self.len -= done;
        Ok(&self.answers)
    }

    fn answer(&mut self) {
        let now = SystemTime::now();
        let second = now
            .duration_since(UNIX_EPOCH)
            .map_or(Duration::ZERO, |since| Duration::from_secs(since.as_secs()));
        if self.second != second || self.date.is_empty() {
            self.second = second;
            self.date = httpdate::fmt_http_date(now);
        }
        let parts = ["HTTP/1.1 200 OK\r\ncontent-length: 13\r\ndate: ", &self.date, "\r\n\r\n", BODY];
        parts.iter().for_each(|part| self.answers.extend_from_slice(part.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear<'a>(conversation: &'a mut Conversation, asked: &[u8]) -> io::Result<&'a [u8]> {
        conversation.room()[..asked.len()].copy_from_slice(asked);
        conversation.heard(asked.len())
    }

    #[test]
    fn requests_are_answered_whole_however_they_are_cut() {
        let mut conversation = Conversation::new();
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        for cut in 1..request.len() {
            assert_eq!(hear(&mut conversation, &request[..cut]).unwrap(), b"");
            let rest = [&request[cut..], request, &request[..cut]].concat();
            let answers = String::from_utf8(hear(&mut conversation, &rest).unwrap().to_vec()).unwrap();
            assert_eq!(answers.matches(BODY).count(), 2);
            assert_eq!(answers.matches("content-length: 13\r\n").count(), 2);
            assert!(answers.starts_with("HTTP/1.1 200 OK\r\n") && answers.ends_with(BODY), "{answers}");
            hear(&mut conversation, &request[cut..]).unwrap();
        }
    }

    #[test]
    fn what_is_no_request_or_too_long_is_an_error() {
        assert!(hear(&mut Conversation::new(), b"\0\r\n\r\n").is_err());
        assert!(hear(&mut Conversation::new(), &[b'a'; LONGEST]).is_err());
    }
}

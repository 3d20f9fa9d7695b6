//! What is read, in lines.

use std::io;

/// Cuts bytes into lines of bounded length.
pub(crate) struct Lines {
    held: Vec<u8>,
    /// How much of `held` has been looked at, without an end of a line.
    seen: usize,
    most: usize,
}

impl Lines {
    /// Of lines of up to `most` bytes, their ends not counted.
    pub(crate) fn new(most: usize) -> Lines {
        Lines { held: Vec::new(), seen: 0, most }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole line, without what would move a terminal's cursor or colour it.
    ///
    /// # Errors
    /// If it is too long, whether it has ended or not.
    pub(crate) fn next(&mut self) -> io::Result<Option<String>> {
        let end = self.held[self.seen..].iter().position(|&byte| byte == b'\n').map(|at| self.seen + at);
        self.seen = self.held.len();
        // One more for a carriage return.
        if end.unwrap_or(self.held.len()) > self.most + 1 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line of over {} bytes", self.most),
            ));
        }
        let Some(end) = end else { return Ok(None) };
        let line = String::from_utf8_lossy(&self.held[..end]).chars().filter(|c| !c.is_control()).collect();
        self.held.drain(..=end);
        self.seen = 0;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn lines_come_whole_however_their_bytes_come() {
        for size in [1, 2, 5, 100] {
            let (mut lines, mut got) = (Lines::new(8), Vec::new());
            for piece in b"one\r\n\ntwo\x1b[1m\nthr\xffe\nrest".chunks(size) {
                lines.add(piece);
                while let Some(line) = lines.next().unwrap() {
                    got.push(line);
                }
            }
            assert_eq!(got, ["one", "", "two[1m", "thr\u{fffd}e"], "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_before_it_ends() {
        let mut lines = Lines::new(4);
        lines.add(b"1234\r\n12345");
        assert_eq!(lines.next().unwrap().unwrap(), "1234");
        assert_eq!(lines.next().unwrap(), None);
        lines.add(b"6");
        lines.next().unwrap_err();
    }
}

//! A destructor panics while a panic unwinds: there is no way to go on from that, and the process aborts.

use rendez::Builder;

struct Connection {
    is_open: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        assert!(!self.is_open, "a connection is dropped that is still open");
    }
}

pub(crate) fn main() {
    let client = Builder::new().name("client").spawn(|| {
        let mut connection = Connection { is_open: true };
        let answer: Result<u32, &str> = Err("timed out");
        println!("{}", answer.expect("an answer"));
        connection.is_open = false;
    });
    let _ = client.unwrap().join();
}

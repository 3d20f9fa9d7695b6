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

fn ask() -> Result<u32, &'static str> {
    Err("timed out")
}

pub(crate) fn main() {
    let client = Builder::new().name("client").spawn(|| {
        let mut connection = Connection { is_open: true };
        println!("{}", ask().expect("an answer"));
        connection.is_open = false;
    });
    let _ = client.unwrap().join();
}

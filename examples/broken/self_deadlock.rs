//! A mutex is locked by one who has it: `record` takes the log, and calls `append`, which takes it again.

use rendez::sync::Mutex;

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn append(line: &str) {
    LOG.lock().push(line.to_owned());
}

fn record(event: &str) {
    let log = LOG.lock();
    if log.is_empty() {
        append("the log begins");
    }
    append(event);
}

pub(crate) fn main() {
    LOG.set_name("log");
    record("started");
    println!("recorded");
}

//! A channel that was never made: without a file to follow there are no lines, and the reader waits for one for ever.

use rendez::{
    Builder,
    chan::{self, Receiver},
};

fn lines_of(file: Option<&str>) -> Receiver<String> {
    match file {
        Some(file) => {
            let (tx, rx) = chan::bounded(1);
            tx.send(file.to_owned()).unwrap();
            rx
        }
        None => chan::never(),
    }
}

pub(crate) fn main() {
    let lines = lines_of(None);
    lines.set_name("lines");
    let reader = Builder::new().name("reader").spawn(move || lines.iter().count()).unwrap();
    println!("{} lines", reader.join().unwrap());
}

//! The first answer is taken and the others are forgotten: those who bring them wait for ever, since somebody still could take
//! them.

use rendez::{chan, chan::Receiver, go, testing};

/// The answers of all servers.
fn ask(servers: [&'static str; 3]) -> Receiver<String> {
    let (tx, rx) = chan::bounded(0);
    tx.set_name("answers");
    for server in servers {
        let tx = tx.clone();
        go(move || tx.send(format!("{server} says hello")));
    }
    rx
}

pub(crate) fn main() {
    let answers = ask(["one", "two", "three"]);
    println!("an answer of {} bytes", answers.recv().unwrap().len().min(13));
    // At the end of a test, `#[rendez::test]` asks this by itself.
    testing::check_leaks();
    drop(answers);
}

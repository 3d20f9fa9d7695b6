//! The fork-join program as Go allows it: the goroutine uses the loop's variable where it stands.
//! It may outlive the loop, so it has to own it; only `scope` lets it borrow.

fn main() {
    for salutation in ["hello", "greetings", "good days"].map(String::from) {
        rendez::go(|| println!("{salutation}"));
    }
}

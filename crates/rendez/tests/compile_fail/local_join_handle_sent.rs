//! What `go_local` started stays on its worker, and so does its handle.

fn main() {
    rendez::run(|| {
        let handle = rendez::go_local(|| 1);
        rendez::go(move || handle.join().is_ok());
    });
}

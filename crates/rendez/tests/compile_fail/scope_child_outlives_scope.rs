//! A scope's goroutine may borrow what lives outside the scope, and nothing that is made inside it.

fn main() {
    rendez::scope(|s| {
        let data = vec![1, 2, 3];
        s.go(|| println!("{}", data.len()));
    });
}

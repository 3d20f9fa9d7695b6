//! `move` alone does not help when what is moved is a reference to something that ends first.

fn main() {
    let data = vec![1, 2, 3];
    let first = &data[0];
    rendez::go(move || println!("{first}"));
}

//! Recursion as deep as the input says: one call for each bracket that is opened.

use rendez::Builder;
use std::hint::black_box;

fn depth(text: &[u8]) -> usize {
    match text {
        [b'(', rest @ ..] => 1 + black_box(depth(black_box(rest))),
        _ => 0,
    }
}

pub(crate) fn main() {
    let text = vec![b'('; 1_000_000];
    let parser = Builder::new().name("parser").spawn(move || depth(&text)).unwrap();
    println!("{} deep", parser.join().unwrap());
}

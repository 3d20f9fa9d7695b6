//! Recursion as deep as the input says: one call for each bracket that is opened.

use rendez::Builder;

/// What is between two brackets.
struct Group {
    inner: Option<Box<Group>>,
}

fn group(text: &[u8]) -> Option<Box<Group>> {
    match text {
        [b'(', rest @ ..] => Some(Box::new(Group { inner: group(rest) })),
        _ => None,
    }
}

pub(crate) fn main() {
    let text = vec![b'('; 1_000_000];
    let parser = Builder::new().name("parser").spawn(move || group(&text)).unwrap();
    let outermost = parser.join().unwrap().expect("it begins with a bracket");
    println!("nested: {}", outermost.inner.is_some());
}

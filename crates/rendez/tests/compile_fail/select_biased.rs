//! `biased;` stands once, before all arms, with its semicolon.

use rendez::chan;
use rendez::select;

fn main() {
    let (tx, rx) = chan::bounded::<i32>(1);
    select! { biased recv(rx) -> n => drop(n) }
    select! { biased, recv(rx) -> n => drop(n) }
    select! { biased; biased; recv(rx) -> n => drop(n) }
    select! { recv(rx) -> n => drop(n), biased; send(tx, 1) -> _ => {} }
    select! { biased }
}

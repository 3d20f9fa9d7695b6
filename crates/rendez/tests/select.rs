//! `select!` as Go's `select`.

use rendez::{chan, select};
use std::time::Duration;

#[test]
fn it_compiles() {
    let (tx, rx) = chan::bounded::<i32>(1);
    let (tx2, rx2) = chan::bounded::<String>(1);
    tx.send(1).unwrap();
    let v = select! {
        recv(rx) -> v => v.unwrap(),
        recv(&rx2) -> v => v.unwrap().len() as i32,
    };
    assert_eq!(v, 1);
    let mut slot = Some("a".to_string());
    let mut nil = Some(rx);
    let mut n = 0;
    loop {
        select! {
            recv(nil) -> v => { n += 1; nil = None; assert!(v.is_err()) }
            send(tx2, take slot) -> r => r.unwrap(),
            default(Duration::from_millis(2)) => break,
        }
        if n == 0 {
            tx.close();
        }
    }
    assert_eq!(n, 1);
    assert_eq!(slot, None);
}

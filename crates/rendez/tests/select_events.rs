//! Events and `Select`.
use rendez::{Event, Select, chan, choose, time};
use std::time::Duration;

#[test]
fn smoke() {
    let (tx, rx) = chan::bounded(1);
    assert_eq!(tx.send_event(5).wait(), Ok(()));
    assert_eq!(rx.recv_event().map(|v| v.unwrap() + 1).wait(), 6);
    assert_eq!(rx.recv_event().wait_timeout(Duration::from_millis(2)), None);
    let h = rendez::go(move || tx.send(7));
    assert_eq!(choose([rx.recv_event(), rx.recv_event()]).wait(), Ok(7));
    h.join().unwrap().unwrap();
    assert!(choose([rx.recv_event(), rx.recv_event()]).wait().is_err());
    let _ = time::timer(Duration::from_millis(1)).wait();
    rendez::block_on(time::timer(Duration::from_millis(1)).wait_async());
}

#[test]
fn dynamic() {
    rendez::run(|| {
        let (tx, rx) = chan::bounded::<String>(0);
        let (tx2, rx2) = chan::bounded::<i32>(0);
        rendez::go(move || {
            for i in 0..100 {
                tx.send(i.to_string()).unwrap();
            }
        });
        let got = rendez::go(move || rx2.iter().sum::<i32>());
        let mut sel = Select::new();
        let a = sel.recv(&rx);
        let b = sel.send(&tx2);
        let (mut n, mut m) = (0, 0);
        while n < 100 || m < 50 {
            let op = sel.wait();
            if op.index() == a {
                if let Ok(s) = op.recv(&rx) {
                    assert_eq!(s, n.to_string());
                    n += 1;
                } else {
                    sel.remove(a);
                }
            } else {
                assert_eq!(op.index(), b);
                op.send(&tx2, 1).unwrap();
                m += 1;
            }
        }
        drop(sel);
        drop(tx2);
        assert_eq!(got.join().unwrap(), m);
    });
}

//! First light.
use rendez::{chan, go, run, scope, sync::WaitGroup, yield_now};
use std::time::Duration;

#[test]
fn ping_pong() {
    let sum = run(|| {
        let (a, b) = chan::bounded::<u64>(0);
        let (c, d) = chan::bounded::<u64>(0);
        let h = go(move || {
            for v in b {
                if c.send(v + 1).is_err() {
                    break;
                }
            }
        });
        let mut v = 0;
        for _ in 0..10000 {
            a.send(v).unwrap();
            v = d.recv().unwrap();
        }
        drop(a);
        h.join().unwrap();
        v
    });
    assert_eq!(sum, 10000);
}

#[test]
fn many() {
    run(|| {
        let wg = WaitGroup::new();
        for _ in 0..100_000 {
            wg.go(|| {});
        }
        wg.wait();
        let (tx, rx) = chan::bounded::<()>(0);
        let hs: Vec<_> = (0..10_000)
            .map(|_| {
                let rx = rx.clone();
                go(move || rx.recv().is_err())
            })
            .collect();
        for _ in 0..10 {
            yield_now();
        }
        drop(tx);
        for h in hs {
            assert!(h.join().unwrap());
        }
    });
}

#[test]
fn scopes_and_sleep() {
    let mut a = vec![1, 2, 3];
    scope(|s| {
        for x in a.iter_mut() {
            s.go(move || {
                rendez::sleep(Duration::from_millis(5));
                *x += 1;
            });
        }
    });
    assert_eq!(a, [2, 3, 4]);
    run(|| {
        scope(|s| {
            for x in a.iter_mut() {
                s.go(move || {
                    rendez::sleep(Duration::from_millis(5));
                    *x += 1;
                });
            }
        });
    });
    assert_eq!(a, [3, 4, 5]);
    let (tx, rx) = chan::bounded::<()>(0);
    run(|| {
        go(move || {
            let _tx = tx;
            let (t2, r2) = chan::bounded::<()>(0);
            let _k = t2;
            let _ = r2.recv();
        });
        rendez::sleep(Duration::from_millis(5));
    });
    assert!(rx.recv().is_err());
}

#[test]
fn async_tasks() {
    run(|| {
        let (tx, rx) = chan::bounded::<u32>(0);
        let hs: Vec<_> = (0..100)
            .map(|_| {
                let rx = rx.clone();
                rendez::go_async(async move { rx.recv_async().await })
            })
            .collect();
        for i in 0..100 {
            tx.send(i).unwrap();
        }
        let s: u32 = hs.into_iter().map(|h| h.join().unwrap().unwrap()).sum();
        assert_eq!(s, 4950);
        assert_eq!(rendez::block_on(async { 5 }), 5);
        // pending at shutdown
        let rx2 = rx.clone();
        drop(rendez::go_async(async move { rx2.recv_async().await }));
    });
}

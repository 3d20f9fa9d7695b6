//! Who is there, and what they wait for.

use rendez::{Builder, chan, diag, go};

#[test]
fn a_dump_says_who_is_there() {
    let runtime = rendez::Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        let (tx, rx) = chan::bounded::<i32>(0);
        for _ in 0..100 {
            let rx = rx.clone();
            go(move || rx.recv());
        }
        let named = Builder::new().name("sender").spawn(move || chan::never::<()>().recv()).unwrap();
        // Until all of them have parked.
        let dump = loop {
            let dump = diag::dump();
            if dump.to_string().contains("(and 99 more like it)") && dump.to_string().contains("\"sender\"") {
                break dump;
            }
            rendez::yield_now();
        };
        assert!(dump.len() >= 102, "{dump}");
        assert!(dump.to_string().contains("[running]:\n\tcreated at"), "{dump}");
        drop((tx, named));
    });
}

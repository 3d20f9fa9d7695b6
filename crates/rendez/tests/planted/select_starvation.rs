//! A server that queues what fails again, and looks at its queue before it looks if it is to stop. While the other side is
//! down everything fails, so the queue is never empty, and it never stops. Mended, it asks first if it is to stop.

use crate::Planted;
use rendez::{
    chan::{self, Receiver, Sender},
    go, select,
    testing::Strategy,
};

pub(crate) const BUG: Planted = Planted {
    name: "select starvation",
    broken: || program(serve),
    mended: || program(serve_until_stopped),
    strategy: Strategy::Random,
    within: 20,
    shows: |failure| !(failure.is_panic() || failure.is_deadlock() || failure.is_leak()),
    says: "did not end within 2000 steps",
};

fn serve(jobs: &(Sender<u32>, Receiver<u32>), stop: &Receiver<()>) -> u32 {
    let mut tries = 0;
    loop {
        select! {
            biased;
            recv(&jobs.1) -> job => {
                tries += 1;
                jobs.0.send(job.expect("this is one of its senders")).expect("and of its receivers");
            }
            recv(stop) -> _ => return tries,
        }
    }
}

fn serve_until_stopped(jobs: &(Sender<u32>, Receiver<u32>), stop: &Receiver<()>) -> u32 {
    let mut tries = 0;
    loop {
        select! {
            biased;
            recv(stop) -> _ => return tries,
            recv(&jobs.1) -> job => {
                tries += 1;
                jobs.0.send(job.expect("this is one of its senders")).expect("and of its receivers");
            }
        }
    }
}

type Serve = fn(&(Sender<u32>, Receiver<u32>), &Receiver<()>) -> u32;

fn program(serve: Serve) {
    let jobs = chan::unbounded();
    let (stop, stopped) = chan::bounded(1);
    for job in 0..2 {
        jobs.0.send(job).expect("it is open");
    }
    let server = go(move || serve(&jobs, &stopped));
    stop.send(()).expect("the server is there");
    server.join().unwrap();
}

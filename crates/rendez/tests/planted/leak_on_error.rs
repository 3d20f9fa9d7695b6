//! A pool of workers that may queue a job again, for which each has a sender of the queue as well as a receiver. So the queue
//! does not end when its owner drops his ends; he closes it when he has all the answers. But if an answer is an error he
//! returns at once, and the workers wait for ever. Mended, the queue closes however he leaves.

use crate::Planted;
use rendez::{
    chan::{self, Receiver, Sender},
    go,
    testing::Strategy,
};

pub(crate) const BUG: Planted = Planted {
    name: "leak on error path",
    broken: || program(ask),
    mended: || program(ask_and_close),
    strategy: Strategy::Random,
    within: 50,
    shows: |failure| failure.is_leak(),
    says: "[chan receive]",
};

/// A job, and how often it has failed.
type Job = (u32, u32);

fn start_workers() -> (Sender<Job>, Receiver<Result<u32, u32>>) {
    let (jobs, queue) = chan::bounded::<Job>(4);
    let (answer, answers) = chan::bounded(4);
    // Which of the two gets the second job is a matter of the schedule; only one of them can do it.
    for broken in [true, false] {
        let (queue, again, answer) = (queue.clone(), jobs.clone(), answer.clone());
        go(move || {
            for (job, failed) in &queue {
                let answer = match job {
                    2 if broken && failed == 0 => {
                        // Somebody else may have more luck.
                        _ = again.try_send((job, failed + 1));
                        continue;
                    }
                    2 if broken => answer.send(Err(job)),
                    _ => answer.send(Ok(job)),
                };
                if answer.is_err() {
                    return;
                }
            }
        });
    }
    (jobs, answers)
}

fn ask() -> Result<u32, u32> {
    let (jobs, answers) = start_workers();
    for job in 1..=3 {
        jobs.send((job, 0)).expect("it is open");
    }
    let mut sum = 0;
    for _ in 1..=3 {
        sum += answers.recv().expect("the workers are there")?;
    }
    jobs.close();
    Ok(sum)
}

fn ask_and_close() -> Result<u32, u32> {
    struct Closes(Sender<Job>);
    impl Drop for Closes {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    let (jobs, answers) = start_workers();
    let jobs = Closes(jobs);
    for job in 1..=3 {
        jobs.0.send((job, 0)).expect("it is open");
    }
    (1..=3).map(|_| answers.recv().expect("the workers are there")).sum()
}

fn program(ask: fn() -> Result<u32, u32>) {
    assert!(matches!(ask(), Ok(6) | Err(2)));
}

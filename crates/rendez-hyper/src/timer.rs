//! Time as hyper wants it.

use hyper::rt;
use pin_project_lite::pin_project;
use rendez::time::{self, Instant, SleepFuture};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// hyper's `Timer` by the clock of the runtime, in tests its virtual one.
///
/// # Examples
/// ```
/// use hyper::server::conn::http1;
/// use std::time::Duration;
/// let mut http = http1::Builder::new();
/// http.timer(rendez_hyper::Timer).header_read_timeout(Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        let now = Instant::now();
        let deadline = now.checked_add(duration);
        Box::pin(Sleep { deadline, alarm: deadline.map(time::sleep_until_async) })
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn rt::Sleep>> {
        let deadline = Instant::from(deadline);
        Box::pin(Sleep { deadline: Some(deadline), alarm: Some(time::sleep_until_async(deadline)) })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: std::time::Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(sleep) => sleep.reset(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

pin_project! {
    /// One sleep. A deadline that is put off, as those of time-outs are at each request, leaves the alarm as it is: when it
    /// fires it is set anew.
    struct Sleep {
        // `None`: beyond what the clock can say.
        deadline: Option<Instant>,
        #[pin]
        alarm: Option<SleepFuture>,
    }
}

impl Sleep {
    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let mut this = self.project();
        if this.alarm.is_none() || this.deadline.is_none_or(|before| deadline < before) {
            this.alarm.set(Some(time::sleep_until_async(deadline)));
        }
        *this.deadline = Some(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(deadline) = *this.deadline else { return Poll::Pending };
        while let Some(alarm) = this.alarm.as_mut().as_pin_mut() {
            ready!(alarm.poll(cx));
            this.alarm.set((Instant::now() < deadline).then(|| time::sleep_until_async(deadline)));
        }
        Poll::Ready(())
    }
}

impl rt::Sleep for Sleep {}

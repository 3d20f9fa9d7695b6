//! One host: its pages, one after another, politely.

use crate::{
    cli::Cli,
    fetch::{Client, Page},
};
use rendez::{
    Context, ContextError, Event,
    chan::{Receiver, Sender},
    sync::Semaphore,
    time::{Instant, timer},
};
use robotstxt::DefaultMatcher;
use std::{io, sync::Arc, time::Duration};
use url::Url;

/// A page to be fetched.
pub(crate) struct Job {
    pub(crate) url: Url,
    pub(crate) depth: u32,
    /// The page that has the link, unless it was given.
    pub(crate) from: Option<Arc<str>>,
}

/// What came of a job.
pub(crate) struct Outcome {
    pub(crate) job: Job,
    /// Nothing if the host does not want it fetched.
    pub(crate) page: Option<io::Result<Page>>,
    pub(crate) took: Duration,
}

/// Of what robots.txt says, what is to be done about it (RFC 9309, 2.3.1).
enum Robots {
    Say(String),
    /// There is none.
    Allow,
    /// It can't be had, for a reason that may pass.
    Unknown,
}

pub(crate) struct Host {
    ctx: Context,
    cli: Arc<Cli>,
    /// One for each fetch that may go on at a time, over all hosts.
    slots: Arc<Semaphore>,
    client: Client,
    next: Instant,
}

impl Host {
    pub(crate) fn new(ctx: &Context, cli: &Arc<Cli>, slots: &Arc<Semaphore>) -> Host {
        Host {
            ctx: ctx.clone(),
            cli: cli.clone(),
            slots: slots.clone(),
            client: Client {
                agent: cli.user_agent.clone(),
                timeout: cli.timeout,
                max_body: cli.max_body,
                kept: None,
            },
            next: Instant::now(),
        }
    }

    /// Until there are no more jobs, or the context ends.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>, outcomes: &Sender<Outcome>) {
        let mut robots = None;
        while let Ok(Ok(job)) = self.ctx.bound(jobs.recv_event()).wait() {
            let outcome = self.serve(&mut robots, job);
            let Ok(outcome) = outcome else { return };
            if self.ctx.bound(outcomes.send_event(outcome)).wait().is_err() {
                return;
            }
        }
    }

    fn serve(&mut self, robots: &mut Option<Robots>, job: Job) -> Result<Outcome, ContextError> {
        let robots = match robots {
            Some(robots) => robots,
            None => robots.insert(self.robots(&job.url)?),
        };
        let refused = match robots {
            Robots::Allow => false,
            Robots::Unknown => true,
            Robots::Say(text) => {
                let agent = self.cli.user_agent.split(['/', ' ']).next().unwrap_or_default();
                !DefaultMatcher::default().one_agent_allowed_by_robots(text, agent, job.url.as_str())
            }
        };
        if refused {
            return Ok(Outcome { job, page: None, took: Duration::ZERO });
        }
        let (page, took) = self.fetch(&job.url)?;
        Ok(Outcome { job, page: Some(page), took })
    }

    fn robots(&mut self, page: &Url) -> Result<Robots, ContextError> {
        let url = page.join("/robots.txt").expect("any host can have one");
        Ok(match self.fetch(&url)?.0 {
            Ok(page) if page.status.is_success() => {
                Robots::Say(String::from_utf8_lossy(&page.body).into_owned())
            }
            Ok(page) if page.status.is_server_error() => Robots::Unknown,
            Ok(_) => Robots::Allow,
            // Pages are tried all the same, so that what is wrong is told of them.
            Err(_) => Robots::Allow,
        })
    }

    /// When it is time, and there is a free slot.
    fn fetch(&mut self, url: &Url) -> Result<(io::Result<Page>, Duration), ContextError> {
        let slots = self.slots.clone();
        self.ctx.bound(timer(self.next.saturating_duration_since(Instant::now()))).wait()?;
        let _slot = self.ctx.bound(slots.acquire_event(1)).wait()?;
        let started = Instant::now();
        self.next = started + self.cli.delay;
        let page = self.client.get(&self.ctx, url);
        match self.ctx.err() {
            Some(ended) => Err(ended),
            None => Ok((page, started.elapsed())),
        }
    }
}

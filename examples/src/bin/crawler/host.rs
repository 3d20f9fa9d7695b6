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

/// So many redirects are followed to it.
const REDIRECTS: usize = 5;

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
            None => match self.robots(&job.url)? {
                Ok(said) => robots.insert(said),
                // Nobody knows what may be fetched. With the next page it is tried anew.
                Err(error) => {
                    let error = io::Error::new(error.kind(), format!("robots.txt: {error}"));
                    return Ok(Outcome { job, page: Some(Err(error)), took: Duration::ZERO });
                }
            },
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

    fn robots(&mut self, page: &Url) -> Result<io::Result<Robots>, ContextError> {
        let mut url = page.join("/robots.txt").expect("any host can have one");
        for _ in 0..=REDIRECTS {
            let answer = match self.fetch(&url)?.0 {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error)),
            };
            if url.authority() != page.authority() {
                // The connection that is kept is one to somebody else.
                self.client.kept = None;
            }
            if answer.status.is_success() {
                return Ok(Ok(Robots::Say(String::from_utf8_lossy(&answer.body).into_owned())));
            }
            if answer.status.is_server_error() {
                return Ok(Ok(Robots::Unknown));
            }
            let moved = answer.location.and_then(|to| url.join(&to).ok()).filter(|to| to.scheme() == "http");
            let Some(moved) = moved else { break };
            if moved.authority() != url.authority() {
                self.client.kept = None;
            }
            url = moved;
        }
        Ok(Ok(Robots::Allow))
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

//! What has been seen, what is under way, and when it is over.

use crate::{
    cli::Cli,
    host::{Host, Job, Outcome},
    links::links,
};
use rendez::{
    Context, Event,
    chan::{self, Receiver, Sender},
    go,
    sync::Semaphore,
};
use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    sync::Arc,
};
use url::{Position, Url};

/// What a crawl came to.
pub(crate) struct Summary {
    pub(crate) pages: u64,
    pub(crate) bytes: u64,
    /// Status 400 or more, or no answer at all.
    pub(crate) failed: u64,
    pub(crate) refused: u64,
    /// It was not interrupted.
    pub(crate) is_whole: bool,
}

pub(crate) struct Frontier {
    ctx: Context,
    cli: Arc<Cli>,
    slots: Arc<Semaphore>,
    /// Hosts that were given.
    home: HashSet<String>,
    seen: HashSet<Url>,
    hosts: HashMap<String, Sender<Job>>,
    under_way: usize,
    tx: Sender<Outcome>,
    outcomes: Receiver<Outcome>,
}

/// With the port: what is one host to others.
fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

impl Frontier {
    pub(crate) fn new(ctx: &Context, cli: &Arc<Cli>) -> Frontier {
        let (tx, outcomes) = chan::bounded(0);
        Frontier {
            ctx: ctx.clone(),
            cli: cli.clone(),
            slots: Arc::new(Semaphore::new(cli.connections as usize)),
            home: cli.urls.iter().map(|url| authority(url).to_string()).collect(),
            seen: HashSet::new(),
            hosts: HashMap::new(),
            under_way: 0,
            tx,
            outcomes,
        }
    }

    /// The whole crawl.
    ///
    /// # Errors
    /// If what it found can't be written.
    pub(crate) fn run(mut self) -> io::Result<Summary> {
        let mut sum = Summary { pages: 0, bytes: 0, failed: 0, refused: 0, is_whole: true };
        let cli = self.cli.clone();
        for url in &cli.urls {
            self.add(url.clone(), 0, None);
        }
        while self.under_way > 0 {
            let Ok(Ok(outcome)) = self.ctx.bound(self.outcomes.recv_event()).wait() else {
                sum.is_whole = false;
                break;
            };
            self.under_way -= 1;
            self.note(&mut sum, outcome)?;
        }
        Ok(sum)
    }

    /// Has a page fetched that has not been seen.
    fn add(&mut self, mut url: Url, depth: u32, from: Option<&Arc<str>>) {
        url.set_fragment(None);
        let is_wanted = url.scheme() == "http"
            && url.has_host()
            && (self.cli.span_hosts || self.home.contains(authority(&url)))
            && self.seen.len() < self.cli.max_pages as usize;
        if !is_wanted || !self.seen.insert(url.clone()) {
            return;
        }
        let host = self.hosts.entry(authority(&url).to_string()).or_insert_with(|| {
            // No more wait in it than there may be pages.
            let (tx, jobs) = chan::unbounded();
            let (host, outcomes) = (Host::new(&self.ctx, &self.cli, &self.slots), self.tx.clone());
            go(move || host.run(&jobs, &outcomes));
            tx
        });
        if host.send(Job { url, depth, from: from.cloned() }).is_ok() {
            self.under_way += 1;
        }
    }

    /// Tells of a page, and goes on from there.
    fn note(&mut self, sum: &mut Summary, Outcome { job, page, took }: Outcome) -> io::Result<()> {
        let Job { url, depth, from } = job;
        let (status, bytes, is_bad) = match &page {
            None => {
                sum.refused += 1;
                ("robots".to_string(), 0, false)
            }
            Some(Ok(page)) => {
                let status = page.status.as_u16();
                (status.to_string(), page.body.len() as u64, status >= 400)
            }
            Some(Err(_)) => ("error".to_string(), 0, true),
        };
        sum.pages += u64::from(page.is_some());
        sum.bytes += bytes;
        sum.failed += u64::from(is_bad);
        let mut line = format!("{status} {bytes} {} {url}", took.as_millis());
        if let Some(Err(error)) = &page {
            line += &format!(": {error}");
        }
        if is_bad && let Some(from) = &from {
            line += &format!(" (linked to by {from})");
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())?;
        drop(out);
        let Some(Ok(page)) = page else { return Ok(()) };
        let here: Arc<str> = url.as_str().into();
        // A page that has moved is as far away as it was.
        if let Some(moved) = page.location.and_then(|location| url.join(&location).ok()) {
            self.add(moved, depth, Some(&here));
        }
        if page.is_html && page.status.is_success() && depth < self.cli.depth {
            for link in links(&url, &page.body) {
                self.add(link, depth + 1, Some(&here));
            }
        }
        Ok(())
    }
}

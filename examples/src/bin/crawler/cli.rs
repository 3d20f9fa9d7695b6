//! The command line.

use clap::Parser;
use std::time::Duration;
use url::Url;

const AFTER_LONG_HELP: &str = "\
Politeness:
  From each host one page at a time is fetched, with --delay between two. Its
  robots.txt is fetched first, also where it has moved to, and heeded; where it can't
  be had because of an error of the server's or of the connection, nothing is
  fetched from it. (A Crawl-delay is not heeded: set --delay.)

What is fetched:
  Pages over http, each once however often it is linked to, up to --depth links away
  from those given and --max-pages in all. Links in `a`, `area`, `link`, `iframe`
  and `frame` are followed in HTML, and redirects. Other hosts than those given are left
  out but with --span-hosts.

Output:
  A line for each page on stdout: STATUS BYTES MILLISECONDS URL; STATUS is `robots` for
  what its host does not want fetched, and `error` where there was no answer. Where
  it is 400 or more, or `error`, the page that has the link is added. A summary on
  stderr.

Exit status:
  0    all pages were there
  1    some were not
  2    wrong usage
  130  interrupted: what was done by then is summed up";

/// Fetches a site page by page, along its links, and says what is there.
#[derive(Debug, Parser)]
#[command(name = "crawler", version, after_long_help = AFTER_LONG_HELP)]
pub(crate) struct Cli {
    /// Where to begin
    #[arg(value_name = "URL", required = true, value_parser = http_url)]
    pub(crate) urls: Vec<Url>,

    /// How many links away from where it began a page may be
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    pub(crate) depth: u32,

    /// How many pages there may be in all
    #[arg(short, long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_pages: u32,

    /// How many pages may be fetched at once, each from another host
    #[arg(short, long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,

    /// The time between two fetches from one host
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub(crate) delay: Duration,

    /// How long a page may take
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// How many bytes a page may have
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20)]
    pub(crate) max_body: u64,

    /// Go to other hosts, too
    #[arg(long)]
    pub(crate) span_hosts: bool,

    /// What to say who asks; robots.txt is read for its first word
    #[arg(long, value_name = "TEXT", default_value = concat!("rendez-crawler/", env!("CARGO_PKG_VERSION")), value_parser = agent)]
    pub(crate) user_agent: String,
}

fn http_url(text: &str) -> Result<Url, String> {
    // `example.com/x` is what people write.
    let whole = if text.contains("://") { text.to_string() } else { format!("http://{text}") };
    let url = Url::parse(&whole).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" if url.has_host() => Ok(url),
        scheme => Err(format!("{scheme} is not spoken here, only http")),
    }
}

fn agent(text: &str) -> Result<String, String> {
    let is_plain = !text.trim().is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if is_plain { Ok(text.into()) } else { Err("a text of plain letters".into()) }
}

/// A time in seconds, with a fraction if need be.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_string())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if seconds < 1e6 => Ok(duration),
        _ => Err("a number of seconds, less than a million".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn urls_are_of_http_and_may_lack_the_scheme() {
        assert_eq!(http_url("localhost:80/x").unwrap().as_str(), "http://localhost/x");
        for wrong in ["https://localhost", "file:///etc/passwd", "http://", ""] {
            assert!(http_url(wrong).is_err(), "{wrong}");
        }
    }
}

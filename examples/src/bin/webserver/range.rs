//! Conditions and ranges of requests for a file: RFC 9110, sections 13 and 14.

use hyper::{HeaderMap, Method, header};
use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

/// What is known of a file: which version of it this is.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// A strong entity tag, with its quotes.
    pub(crate) tag: String,
    /// With a precision of seconds, as HTTP tells it.
    pub(crate) modified: SystemTime,
}

/// What a request for a file of some version and length comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Range(Range<u64>),
    /// 304: the client has it.
    NotModified,
    /// 412: it is not the version that the client meant.
    Failed,
    /// 416: the range begins behind the end.
    Unsatisfiable,
}

pub(crate) fn part(method: &Method, headers: &HeaderMap, version: &Version, len: u64) -> Part {
    if let Some(tags) = all(headers, header::IF_MATCH) {
        if !has_tag(&tags, &version.tag, false) {
            return Part::Failed;
        }
    } else if let Some(date) = date(headers, header::IF_UNMODIFIED_SINCE)
        && version.modified > date
    {
        return Part::Failed;
    }
    if let Some(tags) = all(headers, header::IF_NONE_MATCH) {
        if has_tag(&tags, &version.tag, true) {
            return Part::NotModified;
        }
    } else if let Some(date) = date(headers, header::IF_MODIFIED_SINCE)
        && version.modified <= date
    {
        return Part::NotModified;
    }
    // Ranges are for GET alone.
    match headers.get(header::RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) if method == Method::GET && is_still(headers, version) => ranged(range, len),
        _ => Part::Whole,
    }
}

/// The values of a header that is a list, if it is there.
fn all(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn date(headers: &HeaderMap, name: header::HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// Whether a tag is in the list. (No tag of ours has a comma in it.) Weakly compared, `W/"x"` is the same as `"x"`.
fn has_tag(list: &str, tag: &str, weakly: bool) -> bool {
    list.split(',').map(str::trim).any(|other| {
        let other = if weakly { other.strip_prefix("W/").unwrap_or(other) } else { other };
        other == "*" || other == tag
    })
}

/// `If-Range`: whether a range of what the client has seen is one of this version.
fn is_still(headers: &HeaderMap, version: &Version) -> bool {
    match headers.get(header::IF_RANGE) {
        None => true,
        Some(value) if value.as_bytes().starts_with(b"\"") => value.as_bytes() == version.tag.as_bytes(),
        // A date has to be the very one, and one that can't have been followed by another change within its second.
        Some(_) => {
            date(headers, header::IF_RANGE) == Some(version.modified)
                && version.modified.elapsed().is_ok_and(|age| age > Duration::from_secs(2))
        }
    }
}

/// Of the ranges only one is heeded; to several, and to what is no range of bytes, the whole is a legal answer.
fn ranged(value: &str, len: u64) -> Part {
    let Some(range) = value.strip_prefix("bytes=").map(str::trim).and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(range.0) || !digits(range.1) {
        return Part::Whole;
    }
    // What is too large for a number is behind the end of any file.
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    match range {
        ("", "") => Part::Whole,
        // The last so many bytes.
        ("", suffix) => match number(suffix).min(len) {
            0 => Part::Unsatisfiable,
            suffix => Part::Range(len - suffix..len),
        },
        (first, "") if number(first) < len => Part::Range(number(first)..len),
        (_, "") => Part::Unsatisfiable,
        (first, last) if number(first) > number(last) => Part::Whole,
        (first, _) if number(first) >= len => Part::Unsatisfiable,
        (first, last) => Part::Range(number(first)..number(last).saturating_add(1).min(len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn version() -> Version {
        let modified = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        Version { tag: "\"a-1\"".into(), modified }
    }

    fn of(headers: &[(header::HeaderName, &'static str)]) -> Part {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        part(&Method::GET, &map, &version(), 100)
    }

    #[test]
    fn a_range_is_first_to_last_or_the_last_so_many() {
        let range = |text| of(&[(header::RANGE, text)]);
        assert_eq!(range("bytes=0-0"), Part::Range(0..1));
        assert_eq!(range("bytes=10-19"), Part::Range(10..20));
        assert_eq!(range("bytes=90-"), Part::Range(90..100));
        assert_eq!(range("bytes=90-1000"), Part::Range(90..100));
        assert_eq!(range("bytes=0-99999999999999999999"), Part::Range(0..100));
        assert_eq!(range("bytes=-10"), Part::Range(90..100));
        assert_eq!(range("bytes=-1000"), Part::Range(0..100));
        for behind in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(range(behind), Part::Unsatisfiable, "{behind}");
        }
        for other in
            ["bytes=", "bytes=-", "bytes=2-1", "bytes=0-1,3-4", "bytes=a-b", "lines=1-2", "bytes=+1-2", ""]
        {
            assert_eq!(range(other), Part::Whole, "{other}");
        }
    }

    #[test]
    fn a_range_of_an_empty_file_is_unsatisfiable() {
        for range in ["bytes=0-0", "bytes=-1", "bytes=0-"] {
            assert_eq!(ranged(range, 0), Part::Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn who_has_this_version_is_told_so() {
        for tags in ["\"a-1\"", "W/\"a-1\"", "\"b\", \"a-1\"", "*"] {
            assert_eq!(of(&[(header::IF_NONE_MATCH, tags)]), Part::NotModified, "{tags}");
        }
        assert_eq!(
            of(&[(header::IF_NONE_MATCH, "\"b\""), (header::IF_NONE_MATCH, "\"a-1\"")]),
            Part::NotModified
        );
        assert_eq!(of(&[(header::IF_NONE_MATCH, "\"b\"")]), Part::Whole);
        let since = |date| of(&[(header::IF_MODIFIED_SINCE, date)]);
        assert_eq!(since("Sun, 06 Nov 1994 08:49:37 GMT"), Part::NotModified);
        assert_eq!(since("Sun, 06 Nov 1994 08:49:36 GMT"), Part::Whole);
        assert_eq!(since("yesterday"), Part::Whole);
        // The tag says more than the date.
        let both =
            [(header::IF_NONE_MATCH, "\"b\""), (header::IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(of(&both), Part::Whole);
    }

    #[test]
    fn who_means_another_version_is_refused() {
        assert_eq!(of(&[(header::IF_MATCH, "\"b\"")]), Part::Failed);
        assert_eq!(of(&[(header::IF_MATCH, "W/\"a-1\"")]), Part::Failed);
        assert_eq!(of(&[(header::IF_MATCH, "\"a-1\"")]), Part::Whole);
        let date = "Sun, 06 Nov 1994 08:49:36 GMT";
        assert_eq!(of(&[(header::IF_UNMODIFIED_SINCE, date)]), Part::Failed);
    }

    #[test]
    fn a_range_of_another_version_is_the_whole() {
        let range = (header::RANGE, "bytes=0-0");
        assert_eq!(of(&[range.clone(), (header::IF_RANGE, "\"a-1\"")]), Part::Range(0..1));
        assert_eq!(of(&[range.clone(), (header::IF_RANGE, "\"b\"")]), Part::Whole);
        assert_eq!(of(&[range.clone(), (header::IF_RANGE, "W/\"a-1\"")]), Part::Whole);
        assert_eq!(
            of(&[range.clone(), (header::IF_RANGE, "Sun, 06 Nov 1994 08:49:37 GMT")]),
            Part::Range(0..1)
        );
        assert_eq!(of(&[range, (header::IF_RANGE, "Sun, 06 Nov 1994 08:49:38 GMT")]), Part::Whole);
    }

    #[test]
    fn ranges_are_for_get_alone() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-0"));
        assert_eq!(part(&Method::HEAD, &headers, &version(), 100), Part::Whole);
    }
}

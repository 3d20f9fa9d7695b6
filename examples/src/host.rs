//! To which host requests are.

use hyper::{HeaderMap, Version, header, http::uri::Authority};

/// Whether a request says to which host it is, once and in a form that a host can have, as HTTP/1.1 demands it (RFC 9112, section 3.2). What does
/// not is answered with 400: those behind and before a server would not agree for whom it was.
pub(crate) fn is_told(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => host
            .to_str()
            .is_ok_and(|host| host.is_empty() || !host.contains('@') && host.parse::<Authority>().is_ok()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_once() {
        let of = |hosts: &[&'static str], version| {
            let mut headers = HeaderMap::new();
            hosts.iter().for_each(|host| _ = headers.append(header::HOST, host.parse().unwrap()));
            is_told(version, &headers)
        };
        for good in ["x", "a.b:80", "127.0.0.1:1", "[::1]:80", ""] {
            assert!(of(&[good], Version::HTTP_11), "{good}");
        }
        for bad in ["a b", "a/b", "u@x", "x:y:z"] {
            assert!(!of(&[bad], Version::HTTP_11), "{bad}");
        }
        assert!(!of(&[], Version::HTTP_11) && of(&[], Version::HTTP_10));
        assert!(!of(&["a", "a"], Version::HTTP_11) && !of(&["a", "b"], Version::HTTP_10));
    }
}

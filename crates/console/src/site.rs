//! Whether a page of another site makes a request, in a browser that reaches this server.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Method, Request};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the request is of another site's page. The browser says so itself in `Sec-Fetch-Site`, but to trustworthy origins only; it
/// says in `Origin` where a request comes from that may change something. On the loopback the host has to be this one: another
/// name is that of a site which has it stand for this machine.
pub(crate) fn is_foreign<B>(request: &Request<B>, is_local: bool) -> bool {
    let headers = request.headers();
    let authority = request.uri().authority().map(hyper::http::uri::Authority::as_str);
    let host = authority.or_else(|| text(headers, &HOST)).unwrap_or_default();
    if matches!(text(headers, &SITE), Some(site) if site != "same-origin" && site != "none") {
        return true;
    }
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let origin = headers.get(ORIGIN).map(|_| text(headers, &ORIGIN).unwrap_or_default());
    let from = origin.map(|origin| origin.split_once("://").map_or("", |(_, from)| from));
    if !is_safe && from.is_some_and(|from| !from.eq_ignore_ascii_case(host)) {
        return true;
    }
    is_local && !is_this_machine(host)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a host with or without a port is one of the loopback.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(method: Method, headers: &[(&str, &str)], is_local: bool) -> bool {
        let mut request = Request::builder().method(method).uri("/v2/repository/index");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_foreign(&request.body(()).unwrap(), is_local)
    }

    #[test]
    fn browsers_say_where_a_request_comes_from() {
        let host = ("host", "10.0.0.5:8002");
        assert!(!foreign(Method::POST, &[host], false), "no browser");
        assert!(!foreign(Method::POST, &[host, ("origin", "http://10.0.0.5:8002")], false));
        for origin in
            ["http://evil.example", "null", "http://10.0.0.5:80", "https://10.0.0.5:8002.evil.example"]
        {
            assert!(foreign(Method::POST, &[host, ("origin", origin)], false), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(foreign(Method::GET, &[host, ("sec-fetch-site", site)], false));
        }
        assert!(!foreign(Method::GET, &[host, ("sec-fetch-site", "none")], false));
    }

    #[test]
    fn the_loopback_has_no_other_names() {
        for host in ["localhost:8002", "LocalHost", "127.0.0.1:1", "127.8.9.1", "[::1]:8002"] {
            assert!(!foreign(Method::GET, &[("host", host)], true), "{host}");
        }
        for host in ["evil.example:8002", "localhost.evil.example", "10.0.0.5", "[::2]:1", ""] {
            assert!(foreign(Method::GET, &[("host", host)], true), "{host}");
        }
    }
}

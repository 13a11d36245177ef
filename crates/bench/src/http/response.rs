//! The head of an HTTP response.

use std::io;

/// The most headers that a response may have.
const MAX_HEADERS: usize = 64;

/// What the head of a response says of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The length of the head itself, in bytes.
    pub(crate) size: usize,
    /// The length of the body, in bytes.
    pub(crate) content_length: usize,
    /// Whether the connection takes another request.
    pub(crate) keep_alive: bool,
}

impl Head {
    /// Parses a head; `None` while it is not complete.
    pub(crate) fn parse(received: &[u8]) -> io::Result<Option<Head>> {
        let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed =
            response.parse(received).map_err(|why| wrong(&format!("the answer is no HTTP: {why}")))?;
        let httparse::Status::Complete(size) = parsed else { return Ok(None) };
        let status = response.code.unwrap_or_default();
        let mut head = Head { status, size, content_length: 0, keep_alive: response.version == Some(1) };
        let mut has_length = matches!(status, 204 | 304);
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
                head.content_length = length.ok_or_else(|| wrong("the answer's length is no number"))?;
                has_length = true;
            } else if header.name.eq_ignore_ascii_case("connection") {
                head.keep_alive = !header.value.eq_ignore_ascii_case(b"close");
            }
        }
        if !has_length {
            return Err(wrong("the answer has no Content-Length; load this server over gRPC"));
        }
        Ok(Some(head))
    }
}

/// The text of an error response.
pub(crate) fn error_text(status: u16, body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    // `detail` is what FastAPI says it by, and so MLServer and KServe.
    match json["error"].as_str().or(json["detail"].as_str()) {
        Some(error) => error.to_owned(),
        None => format!("HTTP status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_says_how_long_the_body_is() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\nContent-Length: 12\r\n\r\nbody";
        let head = Head { status: 200, size: text.len() - 4, content_length: 12, keep_alive: true };
        assert_eq!(Head::parse(text).unwrap(), Some(head));
        assert_eq!(Head::parse(&text[..40]).unwrap(), None);
        let close = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nConnection: close\r\n\r\n";
        assert!(!Head::parse(close).unwrap().unwrap().keep_alive);
        let old = b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert!(!Head::parse(old).unwrap().unwrap().keep_alive);
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        let refused = |text: &[u8]| Head::parse(text).unwrap_err().to_string();
        assert!(refused(b"HTTP/1.1 200 OK\r\n\r\n").contains("no Content-Length"));
        assert!(refused(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n").contains("no number"));
        assert!(refused(b"\0\0\x12\x04\0\0\0\0\0").contains("no HTTP"));
    }

    #[test]
    fn errors_have_the_text_of_the_protocol_if_they_can() {
        assert_eq!(error_text(400, br#"{"error":"no such input"}"#), "no such input");
        assert_eq!(error_text(422, br#"{"detail":"no such field"}"#), "no such field");
        assert_eq!(error_text(502, b"<html>"), "HTTP status 502");
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_parser(mut bytes: Vec<u8>, honest: bool) {
            if honest {
                bytes.splice(0..0, *b"HTTP/1.1 200 OK\r\n");
            }
            if let Ok(Some(head)) = Head::parse(&bytes) {
                prop_assert!(head.size <= bytes.len());
            }
        }
    }
}

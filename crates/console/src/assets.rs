//! The files of the page, compressed when this was built.

use std::sync::LazyLock;

use bytes::Bytes;
use hippocamp_http_content::{ResponseBody, empty};
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    content_type: &'static str,
    compressed: &'static [u8],
    tag: &'static LazyLock<HeaderValue>,
}

/// What the page may do: its own script and style, and questions to where it came from.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

macro_rules! asset {
    ($name:literal, $content_type:literal) => {{
        const COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz"));
        static TAG: LazyLock<HeaderValue> = LazyLock::new(|| tag(COMPRESSED));
        Asset { content_type: $content_type, compressed: COMPRESSED, tag: &TAG }
    }};
}

/// The file of a path.
pub(crate) fn find(path: &str) -> Option<Asset> {
    Some(match path {
        "/" | "/console/" => asset!("index.html", "text/html; charset=utf-8"),
        "/console/console.js" => asset!("console.js", "text/javascript; charset=utf-8"),
        "/console/console.css" => asset!("console.css", "text/css; charset=utf-8"),
        _ => return None,
    })
}

/// A tag that differs for other content.
fn tag(content: &[u8]) -> HeaderValue {
    let hash = content.iter().fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    HeaderValue::from_str(&format!("\"{hash:016x}\"")).unwrap_or(HeaderValue::from_static("\"page\""))
}

impl Asset {
    /// Every browser takes gzip, so that there is nothing else.
    pub(crate) fn respond(self, request: &HeaderMap) -> Response<ResponseBody> {
        let tag = HeaderValue::clone(self.tag);
        let is_same = request.get(IF_NONE_MATCH).is_some_and(|known| *known == tag);
        let mut response = if is_same {
            empty(StatusCode::NOT_MODIFIED)
        } else {
            Response::new(ResponseBody::from_iter([Bytes::from_static(self.compressed)]))
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, tag);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if !is_same {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_is_sent_once() {
        let page = ["/", "/console/console.js", "/console/console.css"].map(|path| find(path).unwrap());
        let sent: usize = page.iter().map(|asset| asset.compressed.len()).sum();
        assert!(sent < 100_000, "{sent} bytes are sent");
        let first = page[0].respond(&HeaderMap::new());
        let known = HeaderMap::from_iter([(IF_NONE_MATCH, first.headers()[ETAG].clone())]);
        assert_eq!(page[0].respond(&known).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(page[1].respond(&known).status(), StatusCode::OK);
        assert!(find("/console/other").is_none());
    }
}

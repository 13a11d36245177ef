//! The files of the page, compressed when this was built.

use std::sync::LazyLock;

use bytes::Bytes;
use hippocamp_http_content::{AcceptedCoding, Coding, ResponseBody, ResponseCompression, Segments, empty};
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    content_type: &'static str,
    compressed: &'static [u8],
    tag: &'static LazyLock<HeaderValue>,
}

/// More than a file of the page has.
const MAX_PLAIN: usize = 16 << 20;

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

/// The tag of the same file as it was before it was compressed.
fn plain_tag(tag: &HeaderValue) -> HeaderValue {
    let text = tag.to_str().unwrap_or_default().trim_end_matches('"');
    HeaderValue::from_str(&format!("{text}-plain\"")).unwrap_or(HeaderValue::from_static("\"plain\""))
}

impl Asset {
    /// Compressed, as every browser takes it, and otherwise for those who do not ask for that, as curl.
    pub(crate) fn respond(self, request: &HeaderMap) -> Response<ResponseBody> {
        let is_compressed =
            AcceptedCoding::of(request, ResponseCompression::Auto).of_response(false) == Coding::Gzip;
        // Other bytes have another tag.
        let tag = if is_compressed { HeaderValue::clone(self.tag) } else { plain_tag(self.tag) };
        let is_same = request.get(IF_NONE_MATCH).is_some_and(|known| *known == tag);
        let mut response = if is_same {
            empty(StatusCode::NOT_MODIFIED)
        } else if is_compressed {
            Response::new(ResponseBody::from_iter([Bytes::from_static(self.compressed)]))
        } else {
            Response::new(ResponseBody::from_iter(self.plain()))
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, tag);
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if !is_same {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
            if is_compressed {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        response
    }

    /// The file as it was before it was compressed.
    fn plain(self) -> Vec<Bytes> {
        let body = Segments::from(Bytes::from_static(self.compressed));
        let plain = Coding::Gzip.decompress(body, MAX_PLAIN);
        plain.map(|mut plain| plain.pieces().to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::ACCEPT_ENCODING;

    use super::*;

    #[test]
    fn the_page_is_small_and_is_sent_once() {
        let page = ["/", "/console/console.js", "/console/console.css"].map(|path| find(path).unwrap());
        let sent: usize = page.iter().map(|asset| asset.compressed.len()).sum();
        assert!(sent < 100_000, "{sent} bytes are sent");
        let gzip = (ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br"));
        let first = page[0].respond(&HeaderMap::from_iter([gzip.clone()]));
        assert_eq!(first.headers()[CONTENT_ENCODING], "gzip");
        let known = HeaderMap::from_iter([gzip, (IF_NONE_MATCH, first.headers()[ETAG].clone())]);
        assert_eq!(page[0].respond(&known).status(), StatusCode::NOT_MODIFIED);
        // Without a word of the client the page is text, of which the tag is another.
        let plain = page[0].respond(&HeaderMap::new());
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        assert_ne!(plain.headers()[ETAG], first.headers()[ETAG]);
        let known = HeaderMap::from_iter([(IF_NONE_MATCH, plain.headers()[ETAG].clone())]);
        assert_eq!(page[0].respond(&known).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(page[1].respond(&known).status(), StatusCode::OK);
        assert!(find("/console/other").is_none());
    }
}

//! Chooses the content coding of a response, from the client's `Accept-Encoding` and the server's settings.

use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

use crate::compression::{Coding, text};

/// Which responses are compressed, if the client accepts that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseCompression {
    /// JSON is always compressed; binary tensors only if the client accepts exactly one coding. HTTP libraries send a list
    /// of several by default, and compressing a tensor takes ten times as long as sending it.
    #[default]
    Auto,
    /// All responses, as in Triton.
    Always,
    /// No responses.
    Never,
}

/// The coding that was chosen for one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedCoding {
    coding: Coding,
    /// Whether the coding also applies to responses with binary tensors.
    for_tensors: bool,
}

impl AcceptedCoding {
    /// Chooses by a request's `Accept-Encoding` header: the supported coding with the highest weight, the first of several
    /// with the same weight, and none with weight 0. `*` and unsupported codings are ignored.
    pub fn of(headers: &HeaderMap, compression: ResponseCompression) -> AcceptedCoding {
        let mut best = (Coding::Identity, 0.0);
        let mut named = 0;
        for wish in text(headers, &ACCEPT_ENCODING).split(',') {
            let (name, weight) = match wish.split_once(';') {
                None => (wish, Some(1.0)),
                Some((name, weight)) => (name, weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok())),
            };
            let (name, Some(weight)) = (name.trim(), weight) else { continue };
            let coding = Coding::named(name);
            let asks = weight > 0.0 && !matches!(name, "" | "*") && coding != Some(Coding::Identity);
            named += usize::from(asks);
            if let Some(coding) = coding
                && weight > best.1
            {
                best = (coding, weight);
            }
        }
        match compression {
            ResponseCompression::Auto => AcceptedCoding { coding: best.0, for_tensors: named == 1 },
            ResponseCompression::Always => AcceptedCoding { coding: best.0, for_tensors: true },
            ResponseCompression::Never => AcceptedCoding { coding: Coding::Identity, for_tensors: false },
        }
    }

    /// The coding of a response with or without binary tensors.
    pub fn of_response(self, has_tensors: bool) -> Coding {
        if has_tensors && !self.for_tensors { Coding::Identity } else { self.coding }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn of(header: &str, compression: ResponseCompression) -> AcceptedCoding {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(header).unwrap());
        AcceptedCoding::of(&headers, compression)
    }

    #[test]
    fn the_clients_wishes() {
        let cases = [
            ("", Coding::Identity),
            ("gzip", Coding::Gzip),
            ("deflate;q=0.5, gzip;q=1.0", Coding::Gzip),
            ("gzip, deflate", Coding::Gzip),
            ("deflate, gzip", Coding::Deflate),
            ("gzip;q=0.2, identity;q=0.5", Coding::Identity),
            ("gzip;q=0", Coding::Identity),
            ("gzip; q=0.1", Coding::Gzip),
            ("br, *", Coding::Identity),
            ("gzip;q=x, deflate;q=0.1", Coding::Deflate),
            (",;,gzip;;", Coding::Identity),
        ];
        for (header, coding) in cases {
            for compression in [ResponseCompression::Auto, ResponseCompression::Always] {
                assert_eq!(of(header, compression).of_response(false), coding, "{header}");
            }
            assert_eq!(of(header, ResponseCompression::Always).of_response(true), coding, "{header}");
            let never = of(header, ResponseCompression::Never);
            assert_eq!(
                (never.of_response(false), never.of_response(true)),
                (Coding::Identity, Coding::Identity)
            );
        }
        let none = AcceptedCoding::of(&HeaderMap::new(), ResponseCompression::Always);
        assert_eq!(none.of_response(true), Coding::Identity);
    }

    #[test]
    fn tensors_are_compressed_for_a_coding_that_is_named_alone() {
        let of = |header| of(header, ResponseCompression::Auto).of_response(true);
        for alone in [
            "gzip",
            "GZIP;q=0.5",
            "gzip, identity;q=0.1",
            "identity;q=0, gzip",
            "gzip, *;q=0.1",
            "gzip;q=1, br;q=0",
        ] {
            assert_eq!(of(alone), Coding::Gzip, "{alone}");
        }
        for list in [
            "gzip, deflate, br",
            "gzip, deflate",
            "gzip, br, zstd",
            "deflate;q=0.5, gzip;q=1.0",
            "br",
            "*",
            "",
        ] {
            assert_eq!(of(list), Coding::Identity, "{list}");
        }
    }
}

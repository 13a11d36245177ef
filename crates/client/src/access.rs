//! What a request says of who sends it: a token, and headers that proxies and servers ask for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::Args;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::failure::{Failure, Result, fail};

/// A token longer than this is another file than was meant.
const MAX_TOKEN: usize = 16 << 10;

/// What the protocols themselves say by headers: other values would make another message of a request.
const OF_THE_PROTOCOL: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-encoding",
    "host",
    "inference-header-content-length",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The flags of a command that asks a server which wants to know who asks.
#[derive(Args, Clone, Default)]
pub struct Access {
    /// A header, or metadata of gRPC, that is sent with each request. Once for each. Other users of the machine can read it among
    /// its processes: --token-file is for secrets.
    #[arg(long = "header", value_name = "NAME:VALUE", help_heading = "Access")]
    pub headers: Vec<String>,

    /// A file with the token of a server with --auth-config; "-" reads standard input. It is sent as "authorization: Bearer TOKEN",
    /// without TLS in clear.
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub token_file: Option<PathBuf>,

    /// What was read: standard input can be read once, and a command may connect more than once.
    #[arg(skip)]
    read: OnceLock<Headers>,
}

impl fmt::Debug for Access {
    /// Without the values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("token_file", &self.token_file).finish_non_exhaustive()
    }
}

impl Access {
    /// Reads the token, and checks the headers.
    pub fn headers(&self) -> Result<Headers> {
        if let Some(headers) = self.read.get() {
            return Ok(headers.clone());
        }
        let mut headers = HeaderMap::new();
        for text in &self.headers {
            let (name, value) = header(text)?;
            headers.append(name, value);
        }
        if let Some(file) = &self.token_file {
            if headers.contains_key(AUTHORIZATION) {
                fail!("--token-file and --header authorization say the same twice: give one of them");
            }
            headers.insert(AUTHORIZATION, bearer(file)?);
        }
        Ok(self.read.get_or_init(|| Headers(headers)).clone())
    }
}

/// Headers that each request has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// The headers as a map. Values are marked as sensitive, so that none is printed or kept by HTTP/2's table.
    pub fn map(&self) -> &HeaderMap {
        &self.0
    }

    /// As lines of HTTP/1.1, each with its end.
    pub fn lines(&self) -> String {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            // `header` has let nothing but ASCII pass.
            format!("{name}: {}\r\n", value.to_str().unwrap_or_default())
        };
        self.0.iter().map(line).collect()
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue)> {
    // The value is not repeated in errors: it may be a secret.
    let Some((name, value)) = text.split_once(':') else {
        fail!("--header was expected to be NAME:VALUE, such as x-team:vision; it has no colon");
    };
    let name = name.trim();
    let Ok(known) = name.parse::<HeaderName>() else {
        fail!("--header: '{name}' is no name of a header");
    };
    if OF_THE_PROTOCOL.contains(&known.as_str()) {
        fail!("--header: '{known}' is set by the protocol itself");
    }
    Ok((known, sensitive(value.trim(), &format!("--header {name}"))?))
}

fn bearer(file: &Path) -> Result<HeaderValue> {
    let failed = |why: &dyn fmt::Display| {
        Failure::new(format!("--token-file: {} cannot be read: {why}", file.display()))
    };
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).map_err(|why| failed(&why))?
    } else {
        std::fs::read_to_string(file).map_err(|why| failed(&why))?
    };
    let token = text.trim();
    if token.is_empty() || token.len() > MAX_TOKEN || token.contains(char::is_whitespace) {
        fail!("--token-file: {} was expected to hold one token, and nothing else", file.display());
    }
    sensitive(&format!("Bearer {token}"), "--token-file")
}

fn sensitive(value: &str, what: &str) -> Result<HeaderValue> {
    let is_visible = value.bytes().all(|byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic());
    match HeaderValue::from_str(value) {
        Ok(mut value) if is_visible => {
            value.set_sensitive(true);
            Ok(value)
        }
        _ => fail!(
            "{what}: the value has bytes that a header cannot have; letters, digits and signs of ASCII can be sent"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(headers: &[&str], token_file: Option<&Path>) -> Result<Headers> {
        let headers = headers.iter().map(|text| (*text).to_owned()).collect();
        Access { headers, token_file: token_file.map(Path::to_owned), ..Access::default() }.headers()
    }

    #[test]
    fn a_token_and_headers_are_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "secret-0123456789\n").unwrap();
        let headers = given(&["X-Team: vision, speech", "x-url:http://a:1/"], Some(&file)).unwrap();
        let mut lines: Vec<_> = headers.lines().lines().map(str::to_owned).collect();
        lines.sort();
        let want =
            ["authorization: Bearer secret-0123456789", "x-team: vision, speech", "x-url: http://a:1/"];
        assert_eq!(lines, want);
        assert!(!format!("{headers:?}").contains("secret"), "{headers:?}");
    }

    #[test]
    fn what_is_refused_is_told_without_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        for (headers, want) in [
            (["secret"], "NAME:VALUE"),
            (["a b:secret"], "'a b' is no name"),
            (["Content-Length:secret"], "by the protocol"),
            (["a:secret\r\nb:c"], "cannot have"),
            (["a:sécret"], "cannot have"),
        ] {
            let text = given(&headers, None).unwrap_err().to_string();
            assert!(text.contains(want) && !text.contains("cret"), "{text}");
        }
        assert!(given(&[], Some(&file)).unwrap_err().to_string().contains("cannot be read"));
        for wrong in ["", "\n", "two secrets"] {
            std::fs::write(&file, wrong).unwrap();
            let text = given(&[], Some(&file)).unwrap_err().to_string();
            assert!(text.contains("one token") && !text.contains("secrets"), "{text}");
        }
        std::fs::write(&file, "token").unwrap();
        assert!(given(&["Authorization: Basic x"], Some(&file)).unwrap_err().to_string().contains("twice"));
    }
}

//! Asks for the metrics page.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// The largest page that is read.
const MAX_PAGE: usize = 64 << 20;
/// How long the server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Host and port of a metrics page; `http://` in front and a path behind are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if text.starts_with("https://") {
            return Err("https is not supported: let a proxy on this machine speak TLS".to_owned());
        }
        let place = text.strip_prefix("http://").unwrap_or(text).split('/').next().unwrap_or_default();
        let (host, port) = match place.rsplit_once(':') {
            // An address of IPv6 without a port ends in a bracket.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        let port = port.map_or(Ok(8002), |port| port.parse().map_err(|_| format!("'{port}' is no port")))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(format!("'{text}' was expected to be HOST or HOST:PORT"));
        }
        Ok(Address { host: host.to_owned(), port })
    }
}

/// The text of the page. HTTP/1.0, so that the answer ends where the connection does.
pub(crate) fn get(address: &Address, headers: &str) -> Result<String, String> {
    let Address { host, port } = address;
    let at = format!("{host}:{port}");
    let answer = exchange(host, *port, headers).map_err(|error| format!("{at} does not answer: {error}"))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("{at} speaks no HTTP"))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if matches!(status, "401" | "403") {
        return Err(format!(
            "{at} answers GET /metrics with {status}: it wants a token that may read all models (--token-file FILE), or a header \
             (--header NAME:VALUE)"
        ));
    }
    if status != "200" {
        return Err(format!(
            "{at} answers GET /metrics with {status}; it is the port of --metrics-port, 8002"
        ));
    }
    Ok(body.to_owned())
}

/// The whole answer, within [`PATIENCE`].
fn exchange(host: &str, port: u16, headers: &str) -> io::Result<Vec<u8>> {
    let until = Instant::now() + PATIENCE;
    let left = || Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero());
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let mut link = connect(host, port, &|| left().ok_or_else(late))?;
    link.set_write_timeout(left())?;
    // As one piece: a peer that answers at its first line may be gone before the next.
    let question =
        format!("GET /metrics HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: text/plain\r\n{headers}\r\n");
    link.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    let mut block = vec![0; 64 << 10];
    loop {
        link.set_read_timeout(Some(left().ok_or_else(late)?))?;
        match link.read(&mut block)? {
            0 => return Ok(answer),
            read => answer.extend_from_slice(&block[..read]),
        }
        if answer.len() > MAX_PAGE {
            return Err(io::Error::other("the page has no end"));
        }
    }
}

/// Tries the addresses of the host one by one: `localhost` may be one of IPv6 first, where nobody listens.
fn connect(host: &str, port: u16, left: &dyn Fn() -> io::Result<Duration>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for place in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&place, left()?) {
            Ok(link) => return Ok(link),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one question with this text.
    fn serving(answer: &'static str) -> (u16, thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            let (mut link, _) = listener.accept().unwrap();
            let _ = link.read(&mut [0; 1024]).unwrap();
            link.write_all(answer.as_bytes()).unwrap();
        });
        (port, thread)
    }

    #[test]
    fn localhost_is_found_where_it_listens_on_one_address_only() {
        let (port, thread) = serving("HTTP/1.0 200 OK\r\n\r\na 1\n");
        assert_eq!(get(&Address { host: "localhost".to_owned(), port }, "").unwrap(), "a 1\n");
        thread.join().unwrap();
        let (port, thread) = serving("HTTP/1.1 404 Not Found\r\n\r\n");
        let fault = get(&format!("http://127.0.0.1:{port}/metrics").parse().unwrap(), "").unwrap_err();
        assert!(fault.contains("404") && fault.contains("--metrics-port"), "{fault}");
        thread.join().unwrap();
    }

    #[test]
    fn addresses() {
        let read = |text: &str| text.parse::<Address>().map(|address| (address.host, address.port));
        assert_eq!(read("a"), Ok(("a".to_owned(), 8002)));
        assert_eq!(read("http://a:1/metrics"), Ok(("a".to_owned(), 1)));
        assert_eq!(read("[::1]:9"), Ok(("::1".to_owned(), 9)));
        assert_eq!(read("[::1]"), Ok(("::1".to_owned(), 8002)));
        assert!(read("a:b").is_err() && read("").is_err() && read("https://a").is_err());
    }
}

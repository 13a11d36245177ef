//! Asks for the metrics page.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

/// The largest page that is read.
const MAX_PAGE: u64 = 64 << 20;
/// How long the server may take for a step of an answer.
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
pub(crate) fn get(address: &Address) -> Result<String, String> {
    let Address { host, port } = address;
    let at = format!("{host}:{port}");
    let failed = |error: std::io::Error| format!("{at} does not answer: {error}");
    let mut places = (host.as_str(), *port).to_socket_addrs().map_err(failed)?;
    let place = places.next().ok_or_else(|| format!("{host} has no address"))?;
    let mut link = TcpStream::connect_timeout(&place, PATIENCE).map_err(failed)?;
    link.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    link.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    write!(link, "GET /metrics HTTP/1.0\r\nHost: {at}\r\nAccept: text/plain\r\n\r\n").map_err(failed)?;
    let mut answer = Vec::new();
    link.take(MAX_PAGE).read_to_end(&mut answer).map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("{at} speaks no HTTP"))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        return Err(format!(
            "{at} answers GET /metrics with {status}; it is the port of --metrics-port, 8002"
        ));
    }
    Ok(body.to_owned())
}

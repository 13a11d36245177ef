//! The deadline that a client sets for a call.
//!
//! A call that takes longer ends with the status `DEADLINE_EXCEEDED`, which clients expect.

use std::time::Duration;

use futures_util::FutureExt;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::HeaderName;
use tonic::codegen::http::{HeaderMap, Response};

static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The timeout in the `grpc-timeout` header: a number of at most eight digits and a unit. `None` if the header is missing or
/// invalid.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(&TIMEOUT)?.to_str().ok()?;
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if number.len() > 8 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Waits for the response of `call`. After `timeout` the call is dropped, and the response has the status
/// `DEADLINE_EXCEEDED`.
pub fn within(
    timeout: Duration,
    call: impl Future<Output = Response<Body>>,
) -> impl Future<Output = Response<Body>> {
    // No async block, which would have room for the call twice.
    tokio::time::timeout(timeout, call)
        .map(|ended| ended.unwrap_or_else(|_| Status::deadline_exceeded("Deadline Exceeded").into_http()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_nothing_else() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_hours(2)));
        assert_eq!(read("3M"), Some(Duration::from_mins(3)));
        assert_eq!(read("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(read("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        for wrong in ["", "S", "1", "123456789S", "-1S", "+1S", "1x", "1 S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}

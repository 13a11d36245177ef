//! The status at the end of a gRPC call.

use http::HeaderMap;
use percent_encoding::percent_decode;

/// The text of the error with which a call ended; `None` if it succeeded.
pub(crate) fn refusal(trailers: &HeaderMap) -> Option<String> {
    let status = match trailers.get("grpc-status") {
        Some(status) if status == "0" => return None,
        Some(status) => status.to_str().unwrap_or("?"),
        None => return Some("the server's answer has no gRPC status; is this its gRPC port?".to_owned()),
    };
    let message =
        trailers.get("grpc-message").map(|text| percent_decode(text.as_bytes()).decode_utf8_lossy());
    match message {
        Some(text) if !text.is_empty() => Some(text.into_owned()),
        _ => Some(format!("gRPC status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: &'static str, message: &'static str) -> Option<String> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        trailers.insert("grpc-message", message.parse().unwrap());
        refusal(&trailers)
    }

    #[test]
    fn only_status_0_is_success() {
        assert_eq!(refused("0", ""), None);
        assert_eq!(refused("3", "no input%3A x"), Some("no input: x".to_owned()));
        assert_eq!(refused("13", ""), Some("gRPC status 13".to_owned()));
        assert!(refusal(&HeaderMap::new()).unwrap().contains("gRPC port"));
    }
}

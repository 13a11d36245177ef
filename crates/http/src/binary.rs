//! The binary extension: tensors behind the JSON.

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::TensorData;
use hyper::HeaderMap;
use hyper::header::HeaderName;

use crate::body::Segments;

/// How many bytes of the body are JSON, after decompression.
pub(crate) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// The length that the client gave for the JSON. Read as C reads numbers: what is none is 0, as in Triton.
#[derive(Debug)]
pub(crate) struct HeaderLength {
    value: i64,
    text: String,
}

impl HeaderLength {
    pub(crate) fn of(headers: &HeaderMap) -> Option<HeaderLength> {
        let text = String::from_utf8_lossy(headers.get(HEADER_LENGTH)?.as_bytes()).into_owned();
        Some(HeaderLength { value: leading_number(&text), text })
    }

    /// Whether the body has no JSON at all.
    pub(crate) fn is_zero(&self) -> bool {
        self.value == 0
    }

    /// The length, if the body has as many bytes.
    pub(crate) fn within(&self, body: usize) -> Result<usize> {
        usize::try_from(self.value).ok().filter(|&length| length <= body).ok_or_else(|| {
            Error::invalid_arg(format!(
                "inference header size should be in range (0, {body}), got: {}",
                self.text
            ))
        })
    }
}

fn leading_number(text: &str) -> i64 {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.bytes().map_while(|b| char::from(b).to_digit(10));
    sign * digits.fold(0, |number: i64, digit| number.saturating_mul(10).saturating_add(i64::from(digit)))
}

/// Takes an input's bytes from what follows the JSON.
pub(crate) fn take(body: &mut Segments, size: u64, input: &str, model: &str) -> Result<TensorData> {
    let missing = size.saturating_sub(body.len() as u64);
    if missing > 0 {
        return Err(Error::invalid_arg(format!(
            "unexpected size for input '{input}', expecting {missing} additional bytes for model '{model}'"
        )));
    }
    Ok(body.take(size as usize))
}

/// Sees to it that every byte belonged to an input.
pub(crate) fn nothing_left(body: &Segments, model: &str) -> Result<()> {
    if body.len() == 0 {
        return Ok(());
    }
    Err(Error::invalid_arg(format!("unexpected additional input data for model '{model}'")))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::header::HeaderValue;

    use super::*;

    fn within(value: &'static str, body: usize) -> Result<usize> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_LENGTH, HeaderValue::from_static(value));
        HeaderLength::of(&headers).unwrap().within(body)
    }

    #[test]
    fn the_length_is_within_the_body() {
        assert_eq!(within("210", 338).unwrap(), 210);
        assert_eq!(within("338", 338).unwrap(), 338);
        assert_eq!(within("abc", 338).unwrap(), 0);
        for outside in ["-1", "339", "99999999999999999999", "-99999999999999999999"] {
            let text = format!("inference header size should be in range (0, 338), got: {outside}");
            assert_eq!(within(outside, 338).unwrap_err().message(), text);
        }
        assert!(HeaderLength::of(&HeaderMap::new()).is_none());
    }

    #[test]
    fn tensors_are_taken_in_order() {
        let mut body = Segments::from(Bytes::from_static(b"abcdef"));
        assert_eq!(take(&mut body, 4, "A", "m").unwrap().to_contiguous(), "abcd");
        assert_eq!(
            take(&mut body, u64::MAX, "B", "m").unwrap_err().message(),
            "unexpected size for input 'B', expecting 18446744073709551613 additional bytes for model 'm'"
        );
        assert_eq!(
            nothing_left(&body, "m").unwrap_err().message(),
            "unexpected additional input data for model 'm'"
        );
        assert_eq!(take(&mut body, 2, "B", "m").unwrap().len(), 2);
        assert!(nothing_left(&body, "m").is_ok());
    }
}

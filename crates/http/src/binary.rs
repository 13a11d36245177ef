//! The binary extension: tensors behind the JSON.

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::TensorData;
use hyper::HeaderMap;
use hyper::header::HeaderName;

use hippocamp_http_content::Segments;

/// How many bytes of the body are JSON, after decompression.
pub(crate) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// The length that the client gave for the JSON: a plain decimal number.
#[derive(Debug)]
pub(crate) struct HeaderLength {
    /// Saturated; negative for a number with a minus sign.
    value: i64,
    text: String,
}

impl HeaderLength {
    /// `None` without the header. A value that is no number is refused: taken for a 0, the JSON would become the tensor.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<HeaderLength>> {
        let mut values = headers.get_all(HEADER_LENGTH).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let text = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
        match number(&text) {
            Some(number) if values.all(|other| other == value) => {
                Ok(Some(HeaderLength { value: number, text }))
            }
            _ => Err(Error::invalid_arg(format!(
                "the header Inference-Header-Content-Length is expected to be the size of the request's JSON in bytes, one \
                 decimal number, got: {text}"
            ))),
        }
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

/// A minus sign is understood, so that a negative size can be told to be out of range.
fn number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    if digits.is_empty() {
        return None;
    }
    let number = digits.bytes().try_fold(0i64, |number, byte| {
        let digit = char::from(byte).to_digit(10)?;
        Some(number.saturating_mul(10).saturating_add(i64::from(digit)))
    })?;
    Some(sign * number)
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
    if body.is_empty() {
        return Ok(());
    }
    Err(Error::invalid_arg(format!("unexpected additional input data for model '{model}'")))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::header::HeaderValue;

    use super::*;

    fn of(values: &[&'static str]) -> Result<Option<HeaderLength>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER_LENGTH, HeaderValue::from_static(value));
        }
        HeaderLength::of(&headers)
    }

    fn within(value: &'static str, body: usize) -> Result<usize> {
        of(&[value])?.unwrap().within(body)
    }

    #[test]
    fn the_length_is_within_the_body() {
        assert_eq!(within("210", 338).unwrap(), 210);
        assert_eq!(within("338", 338).unwrap(), 338);
        assert_eq!(within("0", 338).unwrap(), 0);
        for outside in ["-1", "339", "99999999999999999999", "-99999999999999999999"] {
            let text = format!("inference header size should be in range (0, 338), got: {outside}");
            assert_eq!(within(outside, 338).unwrap_err().message(), text);
        }
        assert!(of(&[]).unwrap().is_none());
    }

    #[test]
    fn what_is_no_plain_number_is_refused() {
        for value in ["", "abc", "0x58", "12abc", "1 2", "+7", "-", "--1", "1.0", "1e2"] {
            let text = format!(
                "the header Inference-Header-Content-Length is expected to be the size of the request's JSON in bytes, \
                 one decimal number, got: {value}"
            );
            assert_eq!(of(&[value]).unwrap_err().message(), text);
        }
        assert!(of(&["7", "8"]).is_err(), "two that differ");
        assert_eq!(of(&["7", "7"]).unwrap().unwrap().within(9).unwrap(), 7);
    }

    #[test]
    fn tensors_are_taken_in_order() {
        let mut body = Segments::from(Bytes::from_static(b"abcdef"));
        assert_eq!(take(&mut body, 4, "A", "m").unwrap().to_host().unwrap(), "abcd");
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

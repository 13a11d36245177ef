//! The header `traceparent` of W3C Trace Context, as clients send it.

use std::fmt;
use std::str::FromStr;

/// The span that a request belongs to: `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The id of the whole trace; not all zeros.
    pub trace_id: [u8; 16],
    /// The id of the span that sent the request; not all zeros.
    pub parent_id: [u8; 8],
    /// Bit 0: the sender records this trace.
    pub flags: u8,
}

/// The text is not a valid `traceparent`. The standard says to ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTraceParent;

impl TraceParent {
    /// Whether the sender records this trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 != 0
    }
}

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    fn from_str(text: &str) -> Result<TraceParent, NoTraceParent> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(NoTraceParent);
        let [version] = hex(next()?)?;
        let parent =
            TraceParent { trace_id: hex(next()?)?, parent_id: hex(next()?)?, flags: hex::<1>(next()?)?[0] };
        // Later versions may add parts; version 0 has just these, and 255 is none.
        let is_whole = version != 0 || parts.next().is_none();
        let is_set = parent.trace_id != [0; 16] && parent.parent_id != [0; 8];
        if version != u8::MAX && is_whole && is_set { Ok(parent) } else { Err(NoTraceParent) }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.parent_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl fmt::Display for NoTraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a traceparent of W3C Trace Context")
    }
}

impl std::error::Error for NoTraceParent {}

/// Parses exactly `N` bytes in lower-case hex digits, as the standard requires.
fn hex<const N: usize>(text: &str) -> Result<[u8; N], NoTraceParent> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NoTraceParent),
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return Err(NoTraceParent);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let parent: TraceParent = TEXT.parse().unwrap();
        assert_eq!((parent.trace_id[0], parent.parent_id[7], parent.is_sampled()), (0x4b, 0xb7, true));
        assert_eq!(parent.to_string(), TEXT);
        assert_eq!(format!("cc{}-more", &TEXT[2..]).parse(), Ok(parent), "a later version");
    }

    #[test]
    fn anything_else_is_none() {
        let zeros = [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ];
        let forms = [
            "",
            "00",
            &TEXT[..54],
            &format!("{TEXT}-more"),
            &format!("ff{}", &TEXT[2..]),
            &TEXT.to_uppercase(),
            "00-ü-x-1",
        ];
        for text in zeros.into_iter().chain(forms) {
            assert_eq!(text.parse::<TraceParent>(), Err(NoTraceParent), "{text}");
        }
    }
}

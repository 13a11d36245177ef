//! The header of a V1 request in protobuf's text format is read, or refused with its place; what was read is read again as it is
//! written.
#![no_main]

use hippocamp_v1_http::fuzzing::{parse, write_any};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Some(header) = parse(text) else { return };
    let written = write_any("InferRequestHeader", &header);
    assert_eq!(parse(written.as_bytes()).as_ref(), Some(&header), "{written}");
    // In one line, as in a header of HTTP.
    let line = written.replace('\n', " ");
    assert_eq!(parse(line.as_bytes()).as_ref(), Some(&header), "{line}");
});

//! A V1 request is read from the frames that it came in as prost reads it from one piece, or it is left to tonic; a response in
//! the text format is one line of ASCII.
#![no_main]

use bytes::Bytes;
use hippocamp_proto::v1::{InferRequest, InferResponseHeader};
use hippocamp_v1_http::fuzzing::{write, write_any};
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// The mark that is before a gRPC message: whether it is compressed, and its length. Not looked at here.
const HEADER: usize = 5;

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (cuts, message) = input;
    let mut rest = Bytes::from([&[0; HEADER][..], message].concat());
    let mut frames: Vec<Bytes> =
        cuts.iter().map(|&cut| rest.split_to(usize::from(cut).min(rest.len()))).collect();
    frames.push(rest);
    let expected = InferRequest::decode(message).ok();
    let decoded = hippocamp_v1_grpc::fuzzing::decode(&frames);
    if decoded.is_none() && expected.is_some() {
        assert!(frames.len() > 1 && may_have_a_group(message), "left to tonic, but prost reads {expected:?}");
    } else {
        assert_eq!(decoded, expected);
    }
    if let Ok(header) = InferResponseHeader::decode(message) {
        let line = write(&header);
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
        write_any("InferResponseHeader", &header);
    }
});

/// Whether a byte could be the key of a group, which prost passes over and which is not read from frames.
fn may_have_a_group(message: &[u8]) -> bool {
    message.iter().any(|&byte| matches!(byte & 7, 3 | 4))
}

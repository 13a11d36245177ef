//! A request is read from the frames that it came in as prost reads it from one piece, or it is left to tonic.
#![no_main]

use bytes::Bytes;
use hippocamp_proto::inference::ModelInferRequest;
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
    let expected = ModelInferRequest::decode(message).ok();
    let decoded = hippocamp_grpc::fuzzing::decode(&frames);
    if decoded.is_none() && expected.is_some() {
        assert!(frames.len() > 1 && may_be_unusual(message), "left to tonic, but prost reads {expected:?}");
        return;
    }
    // By their bytes, as some floats are not equal to themselves.
    let bytes = |request: Option<ModelInferRequest>| request.map(|request| request.encode_to_vec());
    assert_eq!(bytes(decoded), bytes(expected));
});

/// Whether a byte could be the key of a group, or of `parameters` (number 4) in another form than a map has. prost passes over the
/// first and reads the second all the same; neither is read from frames.
fn may_be_unusual(message: &[u8]) -> bool {
    let key = |byte: u8| (byte & 0x7F) >> 3;
    message.iter().any(|&byte| matches!(byte & 7, 3 | 4) || (key(byte) == 4 && byte & 7 != 2))
}

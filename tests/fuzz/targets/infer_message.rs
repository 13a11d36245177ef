//! Any message is either a request or refused; decoding allocates no more than a small multiple of what came.
#![no_main]

use bytes::Bytes;
use hippocamp_proto::inference::{ModelInferRequest, RepositoryModelLoadRequest};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|message: &[u8]| {
    let message = Bytes::copy_from_slice(message);
    let _ = RepositoryModelLoadRequest::decode(message.clone());
    if let Ok(request) = ModelInferRequest::decode(message) {
        let again = Bytes::from(request.encode_to_vec());
        assert_eq!(
            ModelInferRequest::decode(again).as_ref().map(Message::encoded_len),
            Ok(request.encoded_len())
        );
    }
});

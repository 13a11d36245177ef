use hippocamp_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use hippocamp_proto::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, infer_parameter::ParameterChoice,
};
use proptest::prelude::*;

use super::*;

#[derive(Debug)]
struct ModelInfer;

impl RawTensors for ModelInfer {
    type Message = ModelInferRequest;

    const FIELD: u64 = 7;
    const MAP: Option<u64> = Some(4);

    fn take(message: &mut ModelInferRequest) -> Vec<Bytes> {
        std::mem::take(&mut message.raw_input_contents)
    }
}

/// A message behind a header, cut into frames at these places.
fn frames(message: &[u8], cuts: &[usize]) -> Vec<Bytes> {
    let mut rest = Bytes::from([&[0; HEADER][..], message].concat());
    let mut frames: Vec<Bytes> = cuts.iter().map(|&cut| rest.split_to(cut.min(rest.len()))).collect();
    frames.push(rest);
    frames
}

/// The message with its tensors in it, as prost would have read it.
fn whole(frames: &[Bytes]) -> Option<ModelInferRequest> {
    let (mut request, raw) = decode::<ModelInfer>(frames)?;
    assert!(request.raw_input_contents.is_empty());
    request.raw_input_contents = raw.iter().map(|data| data.to_host().unwrap()).collect();
    Some(request)
}

#[test]
fn tensors_are_views_of_the_frames() {
    let request = ModelInferRequest {
        model_name: "m".to_owned(),
        raw_input_contents: vec![vec![1; 5000].into(), vec![2; 3000].into()],
        ..ModelInferRequest::default()
    };
    let message = request.encode_to_vec();
    for cuts in [&[][..], &[4096, 2048]] {
        let frames = frames(&message, cuts);
        let (_, raw) = decode::<ModelInfer>(&frames).unwrap();
        assert_eq!(raw.iter().map(TensorData::len).collect::<Vec<_>>(), [5000, 3000]);
        for segment in raw.iter().flat_map(|data| data.as_segments().unwrap()) {
            let is_within = |frame: &Bytes| frame.as_ptr_range().contains(&segment.as_ptr());
            assert!(frames.iter().any(is_within), "a copy of {} bytes", segment.len());
        }
    }
}

#[test]
fn parameters_of_another_wire_type_are_left_to_tonic() {
    // By its key a number, 3. prost takes that for the length of what follows, which is then no tensor.
    let message = [0x20, 3, 0x3A, 1, b'A'];
    assert!(ModelInferRequest::decode(&message[..]).unwrap().raw_input_contents.is_empty());
    assert!(decode::<ModelInfer>(&frames(&message, &[6])).is_none());
}

fn text() -> impl Strategy<Value = String> {
    "[a-z]{0,8}"
}

fn request() -> impl Strategy<Value = ModelInferRequest> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let input = (text(), text(), prop::collection::vec(any::<i64>(), 0..4), bytes()).prop_map(
        |(name, datatype, shape, content)| InferInputTensor {
            name,
            datatype,
            shape,
            contents: Some(InferTensorContents {
                fp32_contents: content.iter().map(|&byte| f32::from(byte)).collect(),
                bytes_contents: vec![content.into()],
                ..InferTensorContents::default()
            }),
            ..InferInputTensor::default()
        },
    );
    let parameters = prop::collection::btree_map(text(), any::<i64>(), 0..3);
    let lists = (prop::collection::vec(input, 0..3), prop::collection::vec(text(), 0..3));
    let raw = prop::collection::vec(bytes(), 0..4);
    (text(), text(), text(), parameters, lists, raw).prop_map(
        |(model_name, model_version, id, parameters, (inputs, outputs), raw)| {
            let parameter =
                |value| InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(value)) };
            let output = |name| InferRequestedOutputTensor { name, ..InferRequestedOutputTensor::default() };
            ModelInferRequest {
                model_name,
                model_version,
                id,
                parameters: parameters.into_iter().map(|(name, value)| (name, parameter(value))).collect(),
                inputs,
                outputs: outputs.into_iter().map(output).collect(),
                raw_input_contents: raw.into_iter().map(Bytes::from).collect(),
            }
        },
    )
}

proptest! {
    #[test]
    fn reads_what_prost_reads(request in request(), cuts in prop::collection::vec(0usize..400, 0..8)) {
        let message = request.encode_to_vec();
        prop_assert_eq!(whole(&frames(&message, &cuts)), Some(request));
    }

    #[test]
    fn broken_messages_are_read_as_by_prost_or_not_at_all(
        request in request(),
        broken in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(0usize..400, 0..8),
    ) {
        let mut message = request.encode_to_vec();
        message.push(0);
        for (at, byte) in broken {
            let at = at.index(message.len());
            message[at] = byte;
        }
        message.truncate(end.index(message.len()));
        let expected = ModelInferRequest::decode(&message[..]).ok();
        let got = whole(&frames(&message, &cuts));
        // Floats that are not equal to themselves are compared by their bytes.
        let bytes = |request: Option<ModelInferRequest>| request.map(|request| request.encode_to_vec());
        let (got, expected) = (bytes(got), bytes(expected));
        prop_assert!(got.is_none() || got == expected);
    }

    #[test]
    fn any_bytes_are_read_as_by_prost_or_not_at_all(
        message in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..0x40], 0..60),
        cuts in prop::collection::vec(0usize..20, 0..5),
    ) {
        let bytes = |request: Option<ModelInferRequest>| request.map(|request| request.encode_to_vec());
        let got = bytes(whole(&frames(&message, &cuts)));
        prop_assert!(got.is_none() || got == bytes(ModelInferRequest::decode(&message[..]).ok()));
    }
}

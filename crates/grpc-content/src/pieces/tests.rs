use hippocamp_proto::inference::ModelInferResponse;
use hippocamp_proto::inference::model_infer_response::InferOutputTensor;
use proptest::prelude::*;

use super::*;

/// A response, and its tensors.
struct Reply {
    message: ModelInferResponse,
    raw: SmallVec<[HostSegments; 4]>,
}

impl Reply {
    fn into_pieces(self) -> Result<VecDeque<Bytes>, Status> {
        pieces(&self.message, 6, self.raw)
    }

    fn into_message(self) -> ModelInferResponse {
        let raw = self.raw.iter().map(|data| data.join().unwrap());
        ModelInferResponse { raw_output_contents: raw.collect(), ..self.message }
    }
}

/// A tensor in pieces of these sizes.
fn tensor(sizes: &[usize]) -> HostSegments {
    let mut data = HostSegments::default();
    for (n, &size) in sizes.iter().enumerate() {
        data.push(Bytes::from(vec![n as u8 + 1; size]));
    }
    data
}

fn of(tensors: &[Vec<usize>]) -> Reply {
    let output = |n: usize| InferOutputTensor { name: format!("OUTPUT{n}"), ..InferOutputTensor::default() };
    let message = ModelInferResponse {
        model_name: "m".to_owned(),
        outputs: (0..tensors.len()).map(output).collect(),
        ..ModelInferResponse::default()
    };
    Reply { message, raw: tensors.iter().map(|sizes| tensor(sizes)).collect() }
}

#[test]
fn a_small_reply_is_one_piece() {
    assert_eq!(of(&[vec![64], vec![0], vec![3, 5]]).into_pieces().unwrap().len(), 1);
    assert_eq!(of(&[]).into_pieces().unwrap().len(), 1);
}

#[test]
fn large_tensors_are_sent_from_where_they_are() {
    let reply = of(&[vec![SMALL, 7], vec![4], vec![2 * SMALL]]);
    let starts = |data: &HostSegments| data.as_slice().iter().map(|s| s.as_ptr()).collect::<Vec<_>>();
    let expected = [starts(&reply.raw[0]), starts(&reply.raw[2])].concat();
    let pieces = reply.into_pieces().unwrap();
    let sent: Vec<_> = [1, 2, 4].iter().map(|&n| pieces[n].as_ptr()).collect();
    assert_eq!((pieces.len(), sent), (5, expected));
}

proptest! {
    #[test]
    fn the_pieces_are_what_prost_writes(
        tensors in prop::collection::vec(prop::collection::vec(prop_oneof![0usize..300, SMALL - 2..SMALL + 2], 0..3), 0..4)
    ) {
        let message = of(&tensors).into_message().encode_to_vec();
        let pieces = of(&tensors).into_pieces().unwrap();
        let sent: Vec<u8> = pieces.iter().flatten().copied().collect();
        prop_assert_eq!(&sent[HEADER..], &message[..]);
        prop_assert_eq!(&sent[..HEADER], &[&[0][..], &(message.len() as u32).to_be_bytes()].concat()[..]);
    }
}

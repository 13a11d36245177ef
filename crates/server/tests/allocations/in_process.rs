//! A tensor stays in the same memory between decoding and encoding.

use bytes::Bytes;
use hippocamp_core::{InferInput, InferRequest};
use hippocamp_tensor::{DataType, Shape};
use smallvec::smallvec;

use crate::allocator::turn;
use crate::{SIZE, content, server};

#[tokio::test]
async fn an_ensemble_passes_tensors_by_reference() {
    let _turn = turn().await;
    let server = server().await;
    let tensor = Bytes::from(content());
    for name in ["m", "e"] {
        let model = server.core.model(name, None).unwrap();
        let request = InferRequest::new(smallvec![InferInput {
            name: "INPUT0",
            data_type: Some(DataType::Fp32),
            shape: Shape::from([SIZE as i64 / 4]),
            data: tensor.clone().into(),
        }]);
        let response = model.infer(request).unwrap().only().await.unwrap();
        let output = response.outputs[0].data.as_contiguous().unwrap();
        assert_eq!((output.as_ptr(), output.len()), (tensor.as_ptr(), SIZE), "{name}");
    }
}

//! What it costs to assemble a batch: 1 to 64 requests of a picture's size, joined along the first dimension.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hippocamp_backend::{Delivery, InputTensor, Request, channel};
use hippocamp_batching::{Gather, InputMemory};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{DataType, Shape, TensorData};
use smallvec::smallvec;

const DIMS: [i64; 3] = [3, 224, 224];

fn interface() -> Interface {
    let spec = TensorSpec {
        name: "x".into(),
        data_type: DataType::Fp32,
        dims: Shape::from(DIMS),
        reshape: None,
        optional: false,
        is_shape_tensor: false,
        allow_ragged_batch: false,
        label_filename: String::new(),
    };
    Interface { inputs: vec![spec], max_batch_size: 64, ..Interface::default() }
}

fn request(picture: &Bytes) -> Request {
    let now = Instant::now();
    let (response, _) = channel(Delivery::Once, now, Arc::default());
    let shape = Shape::from(DIMS).with_batch(1);
    Request::new(smallvec![Some(InputTensor { shape, data: TensorData::from(picture.clone()) })], 1, response)
}

fn gather(c: &mut Criterion) {
    let interface = interface();
    let picture = Bytes::from(vec![0u8; 3 * 224 * 224 * 4]);
    let mut group = c.benchmark_group("gather");
    for count in [1usize, 2, 8, 64] {
        let requests: Vec<Request> = (0..count).map(|_| request(&picture)).collect();
        let mut gather = Gather::default();
        group.throughput(Throughput::Bytes((picture.len() * count) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(count), &requests, |b, requests| {
            b.iter(|| {
                gather
                    .gather(&interface, requests, count, |_| InputMemory::default())
                    .map(|inputs| inputs.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, gather);
criterion_main!(benches);

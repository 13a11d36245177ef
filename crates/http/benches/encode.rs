//! Writing a response's JSON: a few numbers, many, and none because the tensor follows.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hippocamp_http_content::json::{JsonWriter, write_tensor};
use hippocamp_tensor::DataType;

/// A response with one output; `data` is `None` if it follows the JSON.
fn response(data_type: DataType, count: usize, data: Option<&[u8]>) -> Vec<u8> {
    let mut writer = JsonWriter::with_capacity(512);
    writer.open_object();
    writer.name("model_name");
    writer.string(b"model");
    writer.name("model_version");
    writer.string(b"1");
    writer.name("outputs");
    writer.open_array();
    writer.open_object();
    writer.name("name");
    writer.string(b"OUTPUT0");
    writer.name("datatype");
    writer.string(data_type.protocol_name().as_bytes());
    writer.name("shape");
    writer.shape(&[count as i64]);
    if let Some(data) = data {
        writer.name("data");
        write_tensor(&mut writer, "OUTPUT0", data_type, count, data).expect("the size fits");
    } else {
        writer.name("parameters");
        writer.open_object();
        writer.name("binary_data_size");
        writer.integer(count * 4);
        writer.close_object();
    }
    writer.close_object();
    writer.close_array();
    writer.close_object();
    writer.into_bytes()
}

fn encode(c: &mut Criterion) {
    let ints: Vec<u8> = (0..16i32).flat_map(i32::to_le_bytes).collect();
    let float = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e6;
    let floats: Vec<u8> = (0..37_632).flat_map(|i| float(i).to_le_bytes()).collect();
    let cases = [
        ("16 ints", DataType::Int32, 16, Some(&ints)),
        ("150 kB of floats", DataType::Fp32, 37_632, Some(&floats)),
        ("tensor behind it", DataType::Fp32, 150_528, None),
    ];
    let mut group = c.benchmark_group("encode");
    for (name, data_type, count, data) in cases {
        group.throughput(Throughput::Bytes(response(data_type, count, data.map(Vec::as_slice)).len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| response(data_type, black_box(count), data.map(Vec::as_slice)).len());
        });
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);

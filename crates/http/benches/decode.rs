//! Reading a request's JSON: numbers of a small one, many numbers, and one whose tensors follow it.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hippocamp_http::json::parse_infer;

const MAX: usize = 64 << 20;

fn small() -> String {
    let input = |name: &str| {
        let data: Vec<String> = (0..16).map(|i: i32| i.to_string()).collect();
        let data = data.join(", ");
        format!(r#"{{"name": "{name}", "shape": [1, 16], "datatype": "INT32", "data": [{data}]}}"#)
    };
    format!(r#"{{"inputs": [{}, {}]}}"#, input("INPUT0"), input("INPUT1"))
}

/// 37,632 floats, as many as 150 kB hold, written as a client writes 32-bit ones: through a double.
fn floats() -> String {
    let mut data = String::new();
    for i in 0..37_632u32 {
        let value = f64::from((i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e6);
        write!(data, "{}{value}", if i > 0 { "," } else { "" }).expect("a string takes everything");
    }
    format!(r#"{{"inputs":[{{"name":"x","shape":[37632],"datatype":"FP32","data":[{data}]}}]}}"#)
}

fn behind() -> String {
    let input = |name: &str| {
        format!(
            r#"{{"name":"{name}","shape":[1,3,224,224],"datatype":"FP32","parameters":{{"binary_data_size":602112}}}}"#
        )
    };
    let output = r#"{"name":"y","parameters":{"binary_data":true}}"#;
    format!(r#"{{"id":"1","inputs":[{},{}],"outputs":[{output}]}}"#, input("a"), input("b"))
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, json) in
        [("16 ints twice", small()), ("150 kB of floats", floats()), ("tensors behind it", behind())]
    {
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                parse_infer(black_box(json.as_bytes()), MAX).expect("it is a valid request").inputs.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);

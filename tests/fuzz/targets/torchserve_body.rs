//! Any body of a request to TorchServe's ports is taken apart into contents that lie in it, and any JSON is a tensor of as many bytes as its
//! shape has, or an error. The first byte says which type the body has.
#![no_main]

use bytes::Bytes;
use hippocamp_tensor::DataType;
use hippocamp_torchserve::fuzzing::input;
use hippocamp_torchserve_http::fuzzing::contents;
use libfuzzer_sys::fuzz_target;

const FORMS: [&str; 3] =
    ["multipart/form-data; boundary=\"x-y\"", "application/x-www-form-urlencoded", "application/json"];
const TYPES: [DataType; 6] =
    [DataType::Fp32, DataType::Int8, DataType::Uint64, DataType::Bool, DataType::Bytes, DataType::Fp64];
const SHAPES: [&[i64]; 4] = [&[], &[1], &[-1], &[2, -1]];

fuzz_target!(|bytes: &[u8]| {
    let [kind, body @ ..] = bytes else { return };
    let kind = usize::from(*kind);
    if let Some(form) = FORMS.get(kind) {
        if let Some((_, size)) = contents(form, Bytes::copy_from_slice(body)) {
            assert!(size <= body.len(), "contents are parts of the body");
        }
        return;
    }
    let (data_type, dims) = (TYPES[kind % TYPES.len()], SHAPES[kind / 8 % SHAPES.len()]);
    let Some((shape, size)) = input(body, data_type, dims, kind & 0x80 != 0) else { return };
    let elements = shape.element_count().expect("a number of elements");
    match data_type.byte_size() {
        Some(each) => assert_eq!(size, elements * each),
        None => assert!(size >= elements * 4),
    }
});

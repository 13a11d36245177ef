//! The data of an output that a server answers by type, as KServe does, rather than as raw bytes.

use bytes::Bytes;
use hippocamp_proto::inference::InferTensorContents;
use hippocamp_tensor::{DataType, push_element};

/// The bytes of a tensor with these contents; `None` if there is no field for the type.
pub(crate) fn bytes(data_type: DataType, contents: &InferTensorContents) -> Option<Bytes> {
    fn each<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Bytes {
        values.iter().flat_map(|&value| bytes(value)).collect()
    }
    Some(match data_type {
        DataType::Bool => each(&contents.bool_contents, |value| [u8::from(value)]),
        DataType::Int8 => each(&contents.int_contents, |value| (value as i8).to_le_bytes()),
        DataType::Int16 => each(&contents.int_contents, |value| (value as i16).to_le_bytes()),
        DataType::Int32 => each(&contents.int_contents, i32::to_le_bytes),
        DataType::Int64 => each(&contents.int64_contents, i64::to_le_bytes),
        DataType::Uint8 => each(&contents.uint_contents, |value| (value as u8).to_le_bytes()),
        DataType::Uint16 => each(&contents.uint_contents, |value| (value as u16).to_le_bytes()),
        DataType::Uint32 => each(&contents.uint_contents, u32::to_le_bytes),
        DataType::Uint64 => each(&contents.uint64_contents, u64::to_le_bytes),
        DataType::Fp32 => each(&contents.fp32_contents, f32::to_le_bytes),
        DataType::Fp64 => each(&contents.fp64_contents, f64::to_le_bytes),
        DataType::Bytes => {
            let mut data = Vec::new();
            contents.bytes_contents.iter().for_each(|element| push_element(&mut data, element.as_ref()));
            data.into()
        }
        DataType::Fp16 | DataType::Bf16 => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_as_in_raw_bytes() {
        let contents = InferTensorContents {
            bool_contents: vec![true, false],
            int_contents: vec![-2],
            int64_contents: vec![-3],
            uint_contents: vec![200],
            uint64_contents: vec![u64::MAX],
            fp32_contents: vec![1.0],
            fp64_contents: vec![-0.5],
            bytes_contents: vec![b"hi".to_vec().into(), Vec::new().into()],
        };
        let cases: [(DataType, &[u8]); 12] = [
            (DataType::Bool, &[1, 0]),
            (DataType::Int8, &[0xfe]),
            (DataType::Int16, &[0xfe, 0xff]),
            (DataType::Int32, &[0xfe, 0xff, 0xff, 0xff]),
            (DataType::Int64, &[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            (DataType::Uint8, &[200]),
            (DataType::Uint16, &[200, 0]),
            (DataType::Uint32, &[200, 0, 0, 0]),
            (DataType::Uint64, &[0xff; 8]),
            (DataType::Fp32, &[0, 0, 0x80, 0x3f]),
            (DataType::Fp64, &[0, 0, 0, 0, 0, 0, 0xe0, 0xbf]),
            (DataType::Bytes, b"\x02\0\0\0hi\0\0\0\0"),
        ];
        for (data_type, want) in cases {
            assert_eq!(bytes(data_type, &contents).unwrap(), want, "{data_type}");
        }
        assert_eq!(bytes(DataType::Fp16, &contents), None);
    }
}

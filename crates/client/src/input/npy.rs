//! Parses files of `numpy.save`: a short text header, then the elements.

use bytes::Bytes;
use hippocamp_tensor::DataType;

const MAGIC: &[u8] = b"\x93NUMPY";

#[derive(Debug)]
pub(crate) struct Array {
    pub(crate) data_type: DataType,
    pub(crate) shape: Vec<i64>,
    pub(crate) data: Bytes,
}

/// Parses versions 1 to 3 of the format.
pub(crate) fn read(content: &Bytes) -> Result<Array, String> {
    let none = || "it is no .npy file".to_owned();
    let rest = content.strip_prefix(MAGIC).ok_or_else(none)?;
    let (length, begin) = match *rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 10),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
        _ => return Err(none()),
    };
    let end = begin + length;
    let header =
        content.get(begin..end).and_then(|header| std::str::from_utf8(header).ok()).ok_or_else(none)?;
    let data_type = data_type(quoted(header, "descr").ok_or("it holds no plain numbers")?)?;
    if value(header, "fortran_order").is_some_and(|value| value.starts_with("True")) {
        return Err("it is saved column by column; save numpy.ascontiguousarray(x)".to_owned());
    }
    let shape = shape(header).ok_or_else(none)?;
    Ok(Array { data_type, shape, data: content.slice(end..) })
}

/// The value of a key in the header, which is a Python dictionary.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, behind) = header.split_once(&format!("'{key}'"))?;
    Some(behind.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (text, _) = value(header, key)?.strip_prefix('\'')?.split_once('\'')?;
    Some(text)
}

fn shape(header: &str) -> Option<Vec<i64>> {
    let (sizes, _) = value(header, "shape")?.strip_prefix('(')?.split_once(')')?;
    sizes.split(',').map(str::trim).filter(|size| !size.is_empty()).map(|size| size.parse().ok()).collect()
}

fn data_type(descr: &str) -> Result<DataType, String> {
    Ok(match descr {
        "|b1" => DataType::Bool,
        "|u1" => DataType::Uint8,
        "|i1" => DataType::Int8,
        "<u2" => DataType::Uint16,
        "<u4" => DataType::Uint32,
        "<u8" => DataType::Uint64,
        "<i2" => DataType::Int16,
        "<i4" => DataType::Int32,
        "<i8" => DataType::Int64,
        "<f2" => DataType::Fp16,
        "<f4" => DataType::Fp32,
        "<f8" => DataType::Fp64,
        other => return Err(format!("its elements of type '{other}' have no name in the protocol")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &str, data: &[u8]) -> Bytes {
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat().into()
    }

    #[test]
    fn an_array_as_numpy_writes_it() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }      \n";
        let array = read(&file(header, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40])).unwrap();
        assert_eq!((array.data_type, array.shape), (DataType::Fp32, vec![1, 2]));
        assert_eq!(array.data.len(), 8);
        let scalar = file("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", &[0; 8]);
        assert_eq!(read(&scalar).unwrap().shape, [0i64; 0]);
    }

    #[test]
    fn what_cannot_be_taken_is_reported() {
        let refused = |header: &str| read(&file(header, &[])).unwrap_err();
        assert!(
            refused("{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }").contains("column by column")
        );
        assert!(refused("{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }").contains("'>f4'"));
        assert!(refused("{'descr': [('a', '<f4')], 'shape': (3,), }").contains("no plain numbers"));
        assert_eq!(refused("{'descr': '<f4', 'shape': (x,), }"), "it is no .npy file");
        assert_eq!(read(&Bytes::from_static(b"PK\x03\x04")).unwrap_err(), "it is no .npy file");
    }

    proptest! {
        #[test]
        fn no_file_breaks_the_reader(mut content: Vec<u8>, honest: bool) {
            if honest {
                content.splice(0..0, [MAGIC, &[1, 0]].concat());
            }
            drop(read(&content.into()));
        }
    }
}

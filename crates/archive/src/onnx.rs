//! The inputs and outputs of an ONNX model, read from the file as a stream.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};

use hippocamp_proto::inference::DataType;

use crate::wire::{Field, Region};

/// The most inputs, outputs or weights of a model.
const MAX_TENSORS: usize = 100_000;

/// The longest name in bytes, and the most dimensions of an input or output.
const MAX_NAME: u64 = 4096;
const MAX_DIMS: usize = 64;

/// The most bytes of all their names together: a hundred thousand with 160 each.
const MAX_NAMES: usize = 16 << 20;

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Its whole shape, with the batch; -1 for a size that is free.
    pub dims: Vec<i64>,
}

/// The inputs and outputs of a model, in the order of the file. Weights that a file lists as inputs are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// What a request brings.
    pub inputs: Vec<Port>,
    /// What a response has.
    pub outputs: Vec<Port>,
}

/// Reads the signature of an ONNX model of at most `size` bytes. Memory is taken for names only.
pub fn read_signature(reader: impl Read, size: u64) -> io::Result<Signature> {
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    let mut model = Region::new(&mut reader, size);
    let mut signature = None;
    while let Some(field) = model.next()? {
        match field {
            Field::Bytes(7, content) if signature.is_none() => signature = Some(graph(content)?),
            Field::Bytes(_, content) => content.end()?,
            Field::Number(..) => {}
        }
    }
    signature.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it has no graph"))
}

fn graph<R: Read>(mut graph: Region<'_, R>) -> io::Result<Signature> {
    let mut signature = Signature::default();
    let mut weights = BTreeSet::new();
    let mut names = 0;
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("it has too many {what}"));
    while let Some(field) = graph.next()? {
        let Field::Bytes(number, content) = field else { continue };
        match number {
            5 => {
                let name = weight(content)?;
                names += name.len();
                weights.insert(name);
            }
            11 | 12 => {
                let port = port(content)?;
                names += port.name.len();
                if number == 11 { signature.inputs.push(port) } else { signature.outputs.push(port) }
            }
            _ => content.end()?,
        }
        if weights.len() + signature.inputs.len() + signature.outputs.len() > MAX_TENSORS {
            return Err(wrong("tensors"));
        }
        if names > MAX_NAMES {
            return Err(wrong("bytes in their names"));
        }
    }
    signature.inputs.retain(|input| !weights.contains(&input.name));
    Ok(signature)
}

/// The name of a weight, whose numbers are passed over.
fn weight<R: Read>(mut tensor: Region<'_, R>) -> io::Result<String> {
    let mut name = String::new();
    while let Some(field) = tensor.next()? {
        match field {
            Field::Bytes(8, content) => name = content.text(MAX_NAME)?,
            Field::Bytes(_, content) => content.end()?,
            Field::Number(..) => {}
        }
    }
    Ok(name)
}

fn port<R: Read>(mut info: Region<'_, R>) -> io::Result<Port> {
    let mut port = Port { name: String::new(), data_type: DataType::TypeInvalid, dims: Vec::new() };
    while let Some(field) = info.next()? {
        match field {
            Field::Bytes(1, content) => port.name = content.text(MAX_NAME)?,
            Field::Bytes(2, mut kind) => {
                while let Some(field) = kind.next()? {
                    match field {
                        // A tensor; other kinds of values have no data type here.
                        Field::Bytes(1, content) => tensor(content, &mut port)?,
                        Field::Bytes(_, content) => content.end()?,
                        Field::Number(..) => {}
                    }
                }
            }
            Field::Bytes(_, content) => content.end()?,
            Field::Number(..) => {}
        }
    }
    Ok(port)
}

fn tensor<R: Read>(mut kind: Region<'_, R>, port: &mut Port) -> io::Result<()> {
    while let Some(field) = kind.next()? {
        match field {
            Field::Number(1, number) => port.data_type = data_type(number),
            Field::Bytes(2, mut shape) => {
                while let Some(field) = shape.next()? {
                    match field {
                        Field::Bytes(1, content) if port.dims.len() < MAX_DIMS => {
                            port.dims.push(dim(content)?);
                        }
                        Field::Bytes(_, content) => content.end()?,
                        Field::Number(..) => {}
                    }
                }
            }
            Field::Bytes(_, content) => content.end()?,
            Field::Number(..) => {}
        }
    }
    Ok(())
}

/// The size of a dimension; -1 if it has a name only.
fn dim<R: Read>(mut dim: Region<'_, R>) -> io::Result<i64> {
    let mut size = -1;
    while let Some(field) = dim.next()? {
        match field {
            Field::Number(1, number) => size = i64::try_from(number).unwrap_or(-1),
            Field::Number(..) => {}
            Field::Bytes(_, content) => content.end()?,
        }
    }
    Ok(size)
}

fn data_type(number: u64) -> DataType {
    match number {
        1 => DataType::TypeFp32,
        2 => DataType::TypeUint8,
        3 => DataType::TypeInt8,
        4 => DataType::TypeUint16,
        5 => DataType::TypeInt16,
        6 => DataType::TypeInt32,
        7 => DataType::TypeInt64,
        8 => DataType::TypeString,
        9 => DataType::TypeBool,
        10 => DataType::TypeFp16,
        11 => DataType::TypeFp64,
        12 => DataType::TypeUint32,
        13 => DataType::TypeUint64,
        16 => DataType::TypeBf16,
        _ => DataType::TypeInvalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_no_more_memory_than_names_do() {
        // A weight with a name of 4,096 bytes, in a graph that has so many.
        let name = [vec![8 << 3 | 2, 0x80, 0x20], vec![b'n'; 4096]].concat();
        let weight = [vec![5 << 3 | 2, 0x83, 0x20], name].concat();
        let model = |count: usize| {
            let graph = weight.repeat(count);
            let mut model = vec![7 << 3 | 2];
            let mut left = graph.len();
            while left >= 0x80 {
                model.push(left as u8 | 0x80);
                left >>= 7;
            }
            model.push(left as u8);
            [model, graph].concat()
        };
        let read = |model: Vec<u8>| read_signature(&*model, model.len() as u64);
        assert!(read(model(1000)).is_ok());
        let fault = read(model(MAX_NAMES / 4096 + 1)).unwrap_err().to_string();
        assert_eq!(fault, "it has too many bytes in their names");
    }
}

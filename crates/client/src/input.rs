//! Converts the command line's `NAME=VALUE` to tensors.

mod npy;
pub(crate) mod numbers;
mod shape;
pub(crate) mod undeclared;

use std::path::Path;

use bytes::{Bytes, BytesMut};
use hippocamp_tensor::{DataType, push_element};

use crate::answer::{Metadata, Parameter, Tensor, TensorInfo, count, describe};
use crate::failure::{Failure, Result, fail};

/// The inputs of a request in the model's order, and the content of the first file, which may be an image.
#[derive(Debug)]
pub struct Inputs {
    pub tensors: Vec<Tensor>,
    pub file: Option<Bytes>,
    /// The model's inputs without a value, formatted for messages.
    pub missing: Vec<String>,
}

/// Makes the tensors of a request from all `--input` and `--shape`.
pub(crate) fn inputs(metadata: &Metadata, values: &[String], shapes: &[String]) -> Result<Inputs> {
    let inputs = given_inputs(metadata, values, &given_shapes(metadata, shapes)?)?;
    // A request without any input is surely a mistake.
    if !inputs.missing.is_empty() && inputs.tensors.is_empty() {
        fail!(
            "give the model's inputs by --input NAME=VALUE or --input NAME=@FILE:\n  {}",
            inputs.missing.join("\n  ")
        );
    }
    Ok(inputs)
}

/// Parses all `--shape`: the names of inputs, and their shapes.
pub fn given_shapes(metadata: &Metadata, shapes: &[String]) -> Result<Vec<(String, Vec<i64>)>> {
    shapes.iter().map(|text| shape::given(metadata, text)).collect()
}

/// Makes the tensors for which `values`, which are all `--input`, have a value; the shape of one is in `shapes`, or follows
/// from its value.
pub fn given_inputs(metadata: &Metadata, values: &[String], shapes: &[(String, Vec<i64>)]) -> Result<Inputs> {
    let mut inputs = Inputs { tensors: Vec::new(), file: None, missing: Vec::new() };
    for text in values {
        let (info, value) = named(metadata, text)?;
        let given = shapes.iter().find(|(name, _)| *name == info.name).map(|(_, shape)| shape.as_slice());
        let tensor = tensor(info, value, given, &mut inputs.file)?;
        match inputs.tensors.iter_mut().find(|other| other.name == info.name) {
            Some(first) => join(first, &tensor)?,
            None => inputs.tensors.push(tensor),
        }
    }
    inputs.missing = metadata
        .inputs
        .iter()
        .filter(|info| !inputs.tensors.iter().any(|tensor| tensor.name == info.name))
        .map(describe)
        .collect();
    inputs.tensors.sort_by_key(|tensor| metadata.inputs.iter().position(|info| info.name == tensor.name));
    Ok(inputs)
}

/// Splits `NAME=VALUE`. Returns the input's metadata and the value.
fn named<'a, 't>(metadata: &'a Metadata, text: &'t str) -> Result<(&'a TensorInfo, &'t str)> {
    // Names may contain an equals sign, so the longest matching name counts.
    let known = metadata.inputs.iter().filter_map(|info| {
        let value = text.strip_prefix(info.name.as_str())?.strip_prefix('=')?;
        Some((info, value))
    });
    if let Some(found) = known.max_by_key(|(info, _)| info.name.len()) {
        return Ok(found);
    }
    if let ([only], true) = (metadata.inputs.as_slice(), text.starts_with('@')) {
        return Ok((only, text));
    }
    let all: Vec<String> = metadata.inputs.iter().map(describe).collect();
    let name = text.split('=').next().unwrap_or(text);
    fail!("the model has no input '{name}'; it has:\n  {}", all.join("\n  "))
}

fn tensor(info: &TensorInfo, value: &str, given: Option<&[i64]>, file: &mut Option<Bytes>) -> Result<Tensor> {
    let (data, own_shape) = match value.strip_prefix('@') {
        Some(path) => {
            let content = read(Path::new(path))?;
            let parsed = from_file(info, path, &content)?;
            file.get_or_insert(content);
            parsed
        }
        None => (from_text(info, value)?, None),
    };
    let shape = shape::resolve(info, &data, given.or(own_shape.as_deref()))?;
    Ok(Tensor { name: info.name.clone(), data_type: info.data_type, shape, data })
}

fn read(path: &Path) -> Result<Bytes> {
    let content = std::fs::read(path);
    content.map(Bytes::from).map_err(|why| Failure::new(format!("{} cannot be read: {why}", path.display())))
}

/// The data of a file in wire encoding, and its shape if the file has one.
fn from_file(info: &TensorInfo, path: &str, content: &Bytes) -> Result<(Bytes, Option<Vec<i64>>)> {
    let ends = |ending: &str| path.to_ascii_lowercase().ends_with(ending);
    if info.data_type == DataType::Bytes {
        return Ok((one_element(content), None));
    }
    if ends(".npy") {
        let array = npy::read(content).map_err(|why| Failure::new(format!("{path}: {why}")))?;
        if array.data_type != info.data_type {
            fail!(
                "{path} holds {}, input '{}' takes {}; convert it",
                array.data_type,
                info.name,
                info.data_type
            );
        }
        return Ok((array.data, Some(array.shape)));
    }
    if info.data_type == DataType::Uint8 || ends(".raw") || ends(".bin") {
        return Ok((content.clone(), None));
    }
    let Ok(text) = std::str::from_utf8(content) else {
        fail!(
            "input '{}' takes numbers of type {}, {path} is no text; name a tensor's bytes FILE.raw, or use .npy",
            info.name,
            info.data_type
        );
    };
    Ok((from_text(info, text)?, None))
}

fn from_text(info: &TensorInfo, text: &str) -> Result<Bytes> {
    if info.data_type == DataType::Bytes {
        // A text is one element, unless the model's shape wants more.
        let fixed: Vec<i64> = info.shape.iter().copied().filter(|&size| size != -1).collect();
        if count(&fixed).is_some_and(|count| count > 1) {
            let mut data = Vec::new();
            for word in text.split(',') {
                push_element(&mut data, word.trim().as_bytes());
            }
            return Ok(data.into());
        }
        return Ok(one_element(text.as_bytes()));
    }
    numbers::parse(info.data_type, text).map_err(|why| Failure::new(format!("input '{}': {why}", info.name)))
}

fn one_element(content: &[u8]) -> Bytes {
    let mut data = Vec::with_capacity(content.len() + 4);
    push_element(&mut data, content);
    data.into()
}

/// Appends a further row of the batch to the first one.
fn join(first: &mut Tensor, next: &Tensor) -> Result<()> {
    let fits = first.shape.get(1..) == next.shape.get(1..);
    let (Some(rows), Some(more), true) = (first.shape.first().copied(), next.shape.first(), fits) else {
        fail!("the values of input '{}' were expected to have the same shape, to be a batch", first.name);
    };
    first.shape[0] = rows + more;
    let mut data = BytesMut::from(std::mem::take(&mut first.data));
    data.extend_from_slice(&next.data);
    first.data = data.freeze();
    Ok(())
}

/// Parses `KEY=VALUE` of `--param`.
pub fn parameter(text: &str) -> Result<(String, Parameter)> {
    let Some((key, value)) = text.split_once('=') else {
        fail!("--param '{text}' was expected to be KEY=VALUE");
    };
    let value = match value {
        "true" => Parameter::Bool(true),
        "false" => Parameter::Bool(false),
        value => match (value.parse(), value.parse()) {
            (Ok(whole), _) => Parameter::Int(whole),
            (_, Ok(number)) => Parameter::Double(number),
            _ => Parameter::String(value.to_owned()),
        },
    };
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests;

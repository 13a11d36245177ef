//! The inputs of a model whose server does not name them: `mlserver` and `kserve` name none unless the author of the model has.

use std::path::Path;

use hippocamp_tensor::DataType;

use super::{npy, numbers, read, shape};
use crate::answer::{Metadata, TensorInfo};
use crate::failure::{Failure, Result, fail};

/// The metadata; if it has no inputs, with those that `values`, which are all `--input`, have a value for. The type of one
/// follows from its value, and how many dimensions it has from `shapes`, which are all `--shape`, or from its file.
///
/// # Errors
/// If a value has no name, or its file cannot be read.
pub fn completed(mut metadata: Metadata, values: &[String], shapes: &[String]) -> Result<Metadata> {
    if !metadata.inputs.is_empty() {
        return Ok(metadata);
    }
    for text in values {
        let Some((name, value)) = text.split_once('=') else {
            fail!("the server does not name the model's inputs: '{text}' was expected to be NAME=VALUE");
        };
        if metadata.inputs.iter().any(|info| info.name == name) {
            continue;
        }
        let given = shapes.iter().filter_map(|text| shape::parse(text)).find(|(of, _)| *of == name);
        let (data_type, own) = kind(value)?;
        // A batch of one is what most models take, and the shape of one that takes something else has to be given.
        let dimensions = given.map(|(_, shape)| shape.len()).or(own).unwrap_or(2);
        metadata.inputs.push(TensorInfo { name: name.to_owned(), data_type, shape: vec![-1; dimensions] });
    }
    Ok(metadata)
}

/// The type of a value, and the number of its dimensions if it is an array.
fn kind(value: &str) -> Result<(DataType, Option<usize>)> {
    if let Some(path) = value.strip_prefix('@') {
        if !path.to_ascii_lowercase().ends_with(".npy") {
            return Ok((DataType::Bytes, None));
        }
        let array =
            npy::read(&read(Path::new(path))?).map_err(|why| Failure::new(format!("{path}: {why}")))?;
        return Ok((array.data_type, Some(array.shape.len())));
    }
    let all_are = |data_type| numbers::parse(data_type, value).is_ok_and(|data| !data.is_empty());
    let types = [DataType::Int64, DataType::Fp32];
    Ok((types.into_iter().find(|&data_type| all_are(data_type)).unwrap_or(DataType::Bytes), None))
}

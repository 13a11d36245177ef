//! Determines the shape of an input from the model's metadata, the command line and the number of elements.

use bytes::Bytes;
use hippocamp_tensor::{BytesElements, DataType};

use crate::answer::{Metadata, TensorInfo, count, describe, dims};
use crate::failure::{Failure, Result, fail};

/// Parses `NAME=1,3,224,224` or `NAME:1,3,224,224` of `--shape`.
pub(super) fn given(metadata: &Metadata, text: &str) -> Result<(String, Vec<i64>)> {
    let Some((name, shape)) = parse(text) else {
        fail!("--shape '{text}' was expected to be NAME=SIZE,SIZE,...");
    };
    if !metadata.inputs.iter().any(|info| info.name == name) {
        let all: Vec<String> = metadata.inputs.iter().map(describe).collect();
        fail!("--shape: the model has no input '{name}'; it has:\n  {}", all.join("\n  "));
    }
    Ok((name.to_owned(), shape))
}

/// The name and the shape of a `--shape`.
pub(super) fn parse(text: &str) -> Option<(&str, Vec<i64>)> {
    let (name, sizes) = text.rsplit_once(['=', ':'])?;
    let sizes = sizes.trim_matches(['[', ']']).split([',', 'x']).map(|size| size.trim().parse().ok());
    Some((name, sizes.collect::<Option<_>>()?))
}

/// The shape of a tensor with this data. `given` is the shape on the command line or in the file.
pub(super) fn resolve(info: &TensorInfo, data: &Bytes, given: Option<&[i64]>) -> Result<Vec<i64>> {
    let elements =
        info.data_type.byte_size().map_or_else(|| BytesElements::new(data).count(), |size| data.len() / size);
    if info.data_type != DataType::Bytes
        && !data.len().is_multiple_of(info.data_type.byte_size().unwrap_or(1))
    {
        fail!("input '{}': {} bytes are no whole number of {}", info.name, data.len(), info.data_type);
    }
    let shape = match given {
        Some(given) => with_batch(info, given)?,
        None => deduce(info, elements)?,
    };
    if count(&shape) != Some(elements) {
        fail!(
            "input '{}' of shape {} takes {} elements, got {elements}",
            info.name,
            dims(&shape),
            elements_of(&shape)
        );
    }
    Ok(shape)
}

fn elements_of(shape: &[i64]) -> String {
    count(shape).map_or_else(|| "too many".to_owned(), |count| count.to_string())
}

/// The given shape, preceded by a batch dimension of 1 if the model's shape has one dimension more.
fn with_batch(info: &TensorInfo, given: &[i64]) -> Result<Vec<i64>> {
    let fits = |shape: &[i64]| {
        shape.len() == info.shape.len()
            && shape.iter().zip(&info.shape).all(|(given, wanted)| *wanted == -1 || given == wanted)
    };
    let batched = [&[1], given].concat();
    match (fits(given), fits(&batched)) {
        (true, _) => Ok(given.to_vec()),
        (false, true) => Ok(batched),
        _ => fail!("input '{}' has shape {}, got {}", info.name, dims(&info.shape), dims(given)),
    }
}

/// Completes the shape from the number of elements. A variable first dimension is a batch of one, unless it is the only
/// variable one.
fn deduce(info: &TensorInfo, elements: usize) -> Result<Vec<i64>> {
    let mut shape = info.shape.clone();
    if shape.iter().filter(|&&size| size == -1).count() > 1 && shape.first() == Some(&-1) {
        shape[0] = 1;
    }
    let fixed: Vec<i64> = shape.iter().copied().filter(|&size| size != -1).collect();
    let open: Vec<usize> = (0..shape.len()).filter(|&place| shape[place] == -1).collect();
    match open[..] {
        [] => {}
        [place] => {
            let each = count(&fixed).filter(|&each| each > 0).unwrap_or(1);
            shape[place] = elements.div_ceil(each) as i64;
        }
        _ => {
            return Err(Failure::new(format!(
                "the shape of input '{}' does not follow from its value, the model leaves more than one size open: {}\n\
                 say it by --shape {}=SIZE,SIZE,...",
                info.name,
                dims(&info.shape),
                info.name
            )));
        }
    }
    Ok(shape)
}

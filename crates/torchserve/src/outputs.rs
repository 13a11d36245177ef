//! From the outputs of a model to the content of an answer.

use bytes::Bytes;
use hippocamp_backend::{Error, Response, Result};
use hippocamp_core::{LoadedModel, OutputPlan};
use hippocamp_tensor::{DataType, HostSegments, Shape, TensorData};
use serde_json::Value;

use crate::json_tensor::{object, texts, to_value};

struct Output {
    name: String,
    data_type: DataType,
    shape: Shape,
    data: TensorData,
}

/// The content of a response: one text as it is, everything else as JSON, as TorchServe's handlers return it. `keep_batch` says
/// whether the batch dimension is shown.
pub(crate) fn content(
    model: &LoadedModel,
    plan: &mut OutputPlan,
    response: Response,
    keep_batch: bool,
) -> Result<HostSegments> {
    let outputs = delivered(model, plan, response)?;
    if let [only] = outputs.as_slice()
        && only.data_type == DataType::Bytes
        && only.shape.element_count() == Some(1)
    {
        return text_alone(&only.data);
    }
    let batched = model.interface.max_batch_size > 0;
    let value = value(&outputs, batched && !keep_batch)?;
    let text = serde_json::to_string_pretty(&value).map_err(|error| Error::internal(error.to_string()))?;
    Ok(std::iter::once(Bytes::from(text)).collect())
}

/// The rows of a response, one JSON value for each.
pub(crate) fn rows(model: &LoadedModel, plan: &mut OutputPlan, response: Response) -> Result<Vec<Value>> {
    let outputs = delivered(model, plan, response)?;
    let batched = model.interface.max_batch_size > 0;
    let value = value(&outputs, false)?;
    if !batched {
        return Ok(vec![value]);
    }
    match value {
        Value::Array(rows) => Ok(rows.into_iter().map(text_as_json).collect()),
        Value::Object(members) => {
            let count = members.values().filter_map(Value::as_array).map(Vec::len).min().unwrap_or(0);
            let row = |index: usize| {
                object(members.iter().map(|(name, rows)| (name.clone(), rows[index].clone())).collect())
            };
            Ok((0..count).map(row).collect())
        }
        other => Ok(vec![other]),
    }
}

/// A text that is JSON, such as that of a pipeline, as what it says: also within the list of one that a row of texts is.
fn text_as_json(row: Value) -> Value {
    let text = match &row {
        Value::String(text) => text,
        Value::Array(list) => match list.as_slice() {
            [Value::String(text)] => text,
            _ => return row,
        },
        _ => return row,
    };
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
}

fn delivered(model: &LoadedModel, plan: &mut OutputPlan, response: Response) -> Result<Vec<Output>> {
    let mut outputs = Vec::with_capacity(response.outputs.len());
    plan.deliver(model, response.outputs, |delivered| {
        outputs.push(Output {
            name: delivered.spec.name.to_string(),
            data_type: delivered.data_type,
            shape: delivered.shape,
            data: delivered.data.unwrap_or_default(),
        });
        Ok(())
    })?;
    Ok(outputs)
}

/// The bytes of a text without their length in front. Copies nothing.
fn text_alone(data: &TensorData) -> Result<HostSegments> {
    let host = data.to_host()?;
    if texts(&host)?.len() != 1 {
        return Err(Error::internal("an output of BYTES does not have the one element that its shape says"));
    }
    Ok(std::iter::once(host.slice(4..)).collect())
}

fn value(outputs: &[Output], one_row: bool) -> Result<Value> {
    let each = |output: &Output| {
        let data = output.data.to_host()?;
        let shape: &[i64] = match output.shape.split_first() {
            Some((1, rest)) if one_row => rest,
            _ => &output.shape,
        };
        to_value(output.data_type, shape, &data)
    };
    if let [only] = outputs {
        return each(only);
    }
    let members = outputs.iter().map(|output| Ok((output.name.clone(), each(output)?)));
    Ok(object(members.collect::<Result<_>>()?))
}

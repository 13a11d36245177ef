//! Formats a response as JSON, like the protocol without binary tensors.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::elements::values;

pub(crate) fn render(answer: &Answer) -> String {
    let outputs: Vec<Value> = answer
        .outputs
        .iter()
        .map(|tensor| {
            json!({
                "name": tensor.name,
                "datatype": tensor.data_type.protocol_name(),
                "shape": tensor.shape,
                "data": values(tensor),
            })
        })
        .collect();
    let answer = json!({"model_name": answer.model, "model_version": answer.version, "outputs": outputs});
    format!("{answer}\n")
}

//! A response as one flat object.

use std::sync::Arc;

use hippocamp_backend::{OutputTensor, ParameterValue, Response, Result};
use hippocamp_core::ModelRef;
use hippocamp_http_content::{
    LARGE_OUTPUT,
    json::{JsonWriter, write_flat},
    off_thread,
};
use hippocamp_model_config::TensorSpec;
use smallvec::SmallVec;

use crate::encode::parameter;

/// Writes the responses to one request.
#[derive(Debug)]
pub(super) struct Encoder {
    model: ModelRef,
    id: String,
}

/// The value of a member.
enum Value<'a> {
    Text(&'a str),
    Parameter(&'a ParameterValue),
    Output(&'a TensorSpec, &'a OutputTensor),
}

impl Encoder {
    pub(super) fn new(model: ModelRef, id: String) -> Encoder {
        Encoder { model, id }
    }

    /// The response as JSON. One with much data is written on another thread.
    pub(super) async fn encode(self: &Arc<Self>, response: Response) -> Result<Vec<u8>> {
        let size: usize = response.outputs.iter().map(|output| output.data.len()).sum();
        let encoder = Arc::clone(self);
        off_thread(size > LARGE_OUTPUT, move || encoder.written(&response)).await
    }

    /// Id, model, version, parameters and outputs, in the order of their names. Of several with the same name the first
    /// of these is written.
    fn written(&self, response: &Response) -> Result<Vec<u8>> {
        let mut members: SmallVec<[(&str, Value<'_>); 8]> = SmallVec::new();
        if !self.id.is_empty() {
            members.push(("id", Value::Text(&self.id)));
        }
        members.push(("model_name", Value::Text(&self.model.name)));
        members.push(("model_version", Value::Text(&self.model.version_text)));
        members.extend(response.parameters.iter().map(|(name, value)| (name, Value::Parameter(value))));
        for output in &response.outputs {
            let spec = self.model.output(output.index)?;
            members.push((&spec.name, Value::Output(spec, output)));
        }
        members.sort_by_key(|(name, _)| *name);
        members.dedup_by_key(|(name, _)| *name);
        let mut writer = JsonWriter::with_capacity(256);
        writer.open_object();
        for (name, value) in members {
            writer.name(name);
            value.write(&mut writer)?;
        }
        writer.close_object();
        Ok(writer.into_bytes())
    }
}

impl Value<'_> {
    fn write(self, writer: &mut JsonWriter) -> Result<()> {
        match self {
            Value::Text(text) => writer.string(text.as_bytes()),
            Value::Parameter(value) => parameter(writer, value),
            Value::Output(spec, output) => {
                let count = output.shape.element_count().unwrap_or(usize::MAX);
                let data_type = output.data_type.unwrap_or(spec.data_type);
                write_flat(writer, &spec.name, data_type, count, &output.data.to_host()?)?;
            }
        }
        Ok(())
    }
}

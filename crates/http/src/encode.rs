//! The response of an inference: JSON, and the tensors that follow it.

use bytes::Bytes;
use hippocamp_backend::{Error, OutputTensor, ParameterValue, Response as ModelResponse, Result};
use hippocamp_core::{Delivered, LoadedModel, OutputPlan};
use hippocamp_http_content::{
    AcceptedCoding, Coding,
    json::{JsonWriter, write_tensor},
};
use hippocamp_model_config::{Interface, TensorLookup};
use hippocamp_tensor::TensorData;
use hyper::Response;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use smallvec::SmallVec;

use crate::binary::HEADER_LENGTH;
use crate::json::JsonRequest;
use crate::response::{JSON, ResponseBody};

const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// How an output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    /// Behind the JSON.
    Binary,
}

impl Form {
    fn of(is_binary: bool) -> Form {
        if is_binary { Form::Binary } else { Form::Json }
    }
}

/// How a request wants its response to be written.
#[derive(Debug)]
pub(crate) struct Wanted {
    id: String,
    /// Outputs that were listed, by their place in the model's list, and in that order.
    listed: SmallVec<[(usize, Form); 4]>,
    /// If none was.
    others: Form,
}

impl Wanted {
    /// All outputs in the same form.
    pub(crate) fn all(form: Form) -> Wanted {
        Wanted { id: String::new(), listed: SmallVec::new(), others: form }
    }

    pub(crate) fn of(request: &JsonRequest<'_>, interface: &Interface) -> Wanted {
        let others = Form::of(request.parameters.binary_data_output);
        let mut lookup = TensorLookup::new(&interface.outputs);
        // Names that the model does not have are refused with the request, and so is one that is listed twice.
        let listed = request.outputs.iter().filter_map(|output| {
            let index = lookup.find(&output.name)?;
            Some((index, output.binary.map_or(others, Form::of)))
        });
        let mut listed: SmallVec<[(usize, Form); 4]> = listed.collect();
        listed.sort_unstable_by_key(|(index, _)| *index);
        Wanted { id: request.id.as_ref().to_owned(), listed, others }
    }

    fn form(&self, index: usize) -> Form {
        let found = self.listed.binary_search_by_key(&index, |(listed, _)| *listed);
        found.map_or(self.others, |found| self.listed[found].1)
    }

    /// Bytes that have to be looked at one by one to encode the response.
    pub(crate) fn work(
        &self,
        response: &ModelResponse,
        interface: &Interface,
        plan: &OutputPlan,
        accepted: AcceptedCoding,
    ) -> usize {
        let touched = |output: &&OutputTensor| {
            let name = interface.outputs.get(output.index).map_or("", |spec| &*spec.name);
            let is_sent_as_it_is = plan.returns_values(name)
                && self.form(output.index) == Form::Binary
                && accepted.of_response(true) == Coding::Identity;
            !is_sent_as_it_is && !plan.is_shared(name)
        };
        response.outputs.iter().filter(touched).map(|output| output.data.len()).sum()
    }
}

/// A response that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Encoded {
    json: Vec<u8>,
    /// In the order of their outputs; no empty ones.
    tensors: SmallVec<[Bytes; 4]>,
}

/// Encodes a response, and writes the outputs that go to shared memory there. Copies no tensor that follows the JSON.
pub(crate) fn encode(
    model: &LoadedModel,
    wanted: &Wanted,
    plan: &mut OutputPlan,
    response: ModelResponse,
) -> Result<Encoded> {
    let mut writer = JsonWriter::with_capacity(512);
    let mut tensors = SmallVec::new();
    writer.open_object();
    if !wanted.id.is_empty() {
        writer.quoted_name("\"id\":");
        writer.string(wanted.id.as_bytes());
    }
    writer.quoted_name("\"model_name\":");
    writer.string(model.name.as_bytes());
    writer.quoted_name("\"model_version\":");
    writer.string(model.version_text.as_bytes());
    if !response.parameters.is_empty() {
        writer.quoted_name("\"parameters\":");
        writer.open_object();
        for (name, value) in response.parameters.iter() {
            writer.name(name);
            parameter(&mut writer, value);
        }
        writer.close_object();
    }
    writer.quoted_name("\"outputs\":");
    writer.open_array();
    plan.deliver(model, response.outputs, |output| {
        let form = wanted.form(output.index);
        if let Some(data) = encode_output(&mut writer, output, form)? {
            tensors.extend(data.into_host()?);
        }
        Ok(())
    })?;
    writer.close_array();
    writer.close_object();
    Ok(Encoded { json: writer.into_bytes(), tensors })
}

pub(crate) fn parameter(writer: &mut JsonWriter, value: &ParameterValue) {
    match value {
        ParameterValue::Bool(value) => writer.boolean(*value),
        ParameterValue::Int64(value) => writer.integer(*value),
        ParameterValue::Uint64(value) => writer.integer(*value),
        ParameterValue::Double(value) => writer.double(*value),
        ParameterValue::String(value) => writer.string(value.as_bytes()),
    }
}

/// Writes one output, and returns its bytes if they follow the JSON.
fn encode_output(writer: &mut JsonWriter, output: Delivered<'_>, form: Form) -> Result<Option<TensorData>> {
    let Delivered { spec, data_type, shape, data, .. } = output;
    writer.open_object();
    writer.quoted_name("\"name\":");
    writer.string(spec.name.as_bytes());
    writer.quoted_name("\"datatype\":");
    writer.string(data_type.protocol_name().as_bytes());
    writer.quoted_name("\"shape\":");
    writer.shape(&shape);
    let data = match (data, form) {
        (None, _) => None,
        (Some(data), Form::Binary) => {
            writer.quoted_name("\"parameters\":");
            writer.open_object();
            writer.quoted_name("\"binary_data_size\":");
            writer.integer(data.len());
            writer.close_object();
            (!data.is_empty()).then_some(data)
        }
        (Some(data), Form::Json) => {
            writer.quoted_name("\"data\":");
            let count = shape.element_count().unwrap_or(usize::MAX);
            write_tensor(writer, &spec.name, data_type, count, &data.to_host()?)?;
            None
        }
    };
    writer.close_object();
    Ok(data)
}

impl Encoded {
    pub(crate) fn into_response(self, accepted: AcceptedCoding) -> Result<Response<ResponseBody>> {
        let header_length = self.json.len();
        let binary = !self.tensors.is_empty();
        let coding = accepted.of_response(binary);
        let mut pieces: SmallVec<[Bytes; 4]> = SmallVec::with_capacity(1 + self.tensors.len());
        pieces.push(self.json.into());
        pieces.extend(self.tensors);
        let body = if coding == Coding::Identity {
            ResponseBody::from_iter(pieces)
        } else {
            let compressed = coding.compress(&pieces).map_err(|e| {
                Error::internal(format!("failed to compress the response: {e}")).with_source(e)
            })?;
            ResponseBody::from_iter([compressed.into()])
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, if binary { OCTET_STREAM } else { JSON });
        if binary {
            headers.insert(HEADER_LENGTH, HeaderValue::from(header_length));
        }
        if coding != Coding::Identity {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        Ok(response)
    }
}

//! From the contents of a request to the inputs of a model.

use bytes::Bytes;
use hippocamp_backend::{Error, Result, Sequence};
use hippocamp_core::{IncomingRequest, InferInput, InferRequest, LoadedModel, OutputPlan};
use hippocamp_model_config::TensorSpec;
use hippocamp_shm::SharedMemory;
use hippocamp_tensor::{DataType, Shape, TensorData};
use serde_json::Value;
use smallvec::SmallVec;

use crate::json_tensor;

/// One content of a request: a body, a field of a form, or an entry of a message.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its name; `body` for a body.
    pub name: String,
    /// What its sender says it is.
    pub kind: ContentKind,
    /// Its bytes, as they arrived.
    pub data: TensorData,
}

/// What a content is, by its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentKind {
    /// JSON.
    Json,
    /// Anything else, or nothing that was said.
    #[default]
    Other,
}

/// A request whose contents are not yet tensors.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) contents: Vec<Content>,
    /// Rows that JSON brought, each without a batch dimension.
    pub(crate) rows: Option<Vec<Value>>,
    pub(crate) sequence: Option<Sequence>,
    /// Whether the request has a batch dimension of its own, so that the answer has it as well.
    pub(crate) has_batch: bool,
}

impl IncomingRequest for Incoming {
    fn sequence(&self) -> Option<&Sequence> {
        self.sequence.as_ref()
    }

    fn decode<'a>(
        &'a mut self,
        model: &'a LoadedModel,
        _: &SharedMemory,
        _: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        let batched = model.interface.max_batch_size > 0;
        let specs = &model.interface.inputs;
        let mut inputs: SmallVec<[InferInput<'a>; 4]> = SmallVec::new();
        if let Some(rows) = self.rows.take() {
            self.has_batch = true;
            for tensor in json_tensor::of_rows(&model.name, specs, batched, &rows)? {
                inputs.push(tensor);
            }
        } else if let [spec] = specs.as_slice() {
            let contents = std::mem::take(&mut self.contents);
            let (tensor, has_batch) = single(&model.name, spec, batched, contents)?;
            self.has_batch = has_batch;
            inputs.push(tensor);
        } else {
            let contents = std::mem::take(&mut self.contents);
            for (spec, content) in named(model, contents)? {
                let (tensor, has_batch) = tensor(&model.name, spec, batched, content)?;
                self.has_batch |= has_batch;
                inputs.push(tensor);
            }
        }
        let mut request = InferRequest::new(inputs);
        request.sequence.clone_from(&self.sequence);
        Ok(request)
    }
}

/// The only input of a model: from a content of any name, or from that member of a JSON object.
fn single<'a>(
    model: &str,
    spec: &'a TensorSpec,
    batched: bool,
    mut contents: Vec<Content>,
) -> Result<(InferInput<'a>, bool)> {
    if contents.len() > 1 {
        let names: Vec<&str> = contents.iter().map(|content| content.name.as_str()).collect();
        let known = ["data", "body", &spec.name];
        let Some(place) = contents.iter().position(|content| known.contains(&content.name.as_str())) else {
            return Err(Error::invalid_arg(format!(
                "model '{model}' takes one input '{}', or 'data', got {}",
                spec.name,
                names.join(", ")
            )));
        };
        contents.swap(0, place);
    }
    let content = contents.into_iter().next().unwrap_or_else(|| Content {
        name: "body".to_owned(),
        kind: ContentKind::Other,
        data: TensorData::default(),
    });
    tensor(model, spec, batched, content)
}

/// The inputs of a model that has several, from contents of their names, or from one JSON object with their names.
fn named(model: &LoadedModel, contents: Vec<Content>) -> Result<Vec<(&TensorSpec, Content)>> {
    let specs = &model.interface.inputs;
    let find = |name: &str| specs.iter().find(|spec| &*spec.name == name);
    let expected = || {
        let names: Vec<&str> = specs.iter().map(|spec| &*spec.name).collect();
        format!(
            "model '{}' takes the inputs {}, as fields of a form or members of a JSON object",
            model.name,
            names.join(", ")
        )
    };
    if let [only] = contents.as_slice()
        && find(&only.name).is_none()
    {
        let text = only.data.to_host()?;
        let Ok(Value::Object(members)) = serde_json::from_slice::<Value>(&text) else {
            return Err(Error::invalid_arg(format!("{}, got one content '{}'", expected(), only.name)));
        };
        let each = members.into_iter().map(|(name, value)| {
            let spec =
                find(&name).ok_or_else(|| Error::invalid_arg(format!("{}, got '{name}'", expected())))?;
            let data = TensorData::from(Bytes::from(value.to_string()));
            Ok((spec, Content { name, kind: ContentKind::Json, data }))
        });
        return each.collect();
    }
    let each = contents.into_iter().map(|content| {
        let spec = find(&content.name)
            .ok_or_else(|| Error::invalid_arg(format!("{}, got '{}'", expected(), content.name)))?;
        Ok((spec, content))
    });
    each.collect()
}

/// One input, and whether its content has a batch dimension.
fn tensor<'a>(
    model: &str,
    spec: &'a TensorSpec,
    batched: bool,
    content: Content,
) -> Result<(InferInput<'a>, bool)> {
    let Content { kind, data, .. } = content;
    let is_one_text = spec.data_type == DataType::Bytes && spec.dims.iter().all(|&dim| dim == 1 || dim == -1);
    if is_one_text {
        // A file or a text, whatever it is.
        let dims = spec.dims.iter().map(|_| 1);
        let shape = batched.then_some(1).into_iter().chain(dims).collect();
        return Ok((input(spec, shape, one_element(data)?), false));
    }
    let is_json =
        kind == ContentKind::Json || spec.data_type == DataType::Bytes || begins_like_json(&data, spec);
    if is_json {
        let text = data.to_host()?;
        let value: Value = serde_json::from_slice(&text).map_err(|error| {
            Error::invalid_arg(format!(
                "input '{}' of model '{model}' was expected to be JSON, or its bytes as they are: {error}",
                spec.name
            ))
        })?;
        return json_tensor::of_value(model, spec, batched, &value);
    }
    let shape = deduced(model, spec, batched, data.len())?;
    Ok((input(spec, shape, data), false))
}

fn input(spec: &TensorSpec, shape: Shape, data: TensorData) -> InferInput<'_> {
    InferInput { name: &spec.name, data_type: Some(spec.data_type), shape, data }
}

/// The content with its length in front.
fn one_element(content: TensorData) -> Result<TensorData> {
    let length = u32::try_from(content.len())
        .map_err(|_| Error::invalid_arg("an element of a BYTES tensor is shorter than 4 GiB"))?;
    let length = Bytes::copy_from_slice(&length.to_le_bytes());
    Ok(std::iter::once(length).chain(content.into_host()?).collect())
}

/// Whether bytes that do not fill the tensor may be a list or an object in JSON.
fn begins_like_json(data: &TensorData, spec: &TensorSpec) -> bool {
    let fixed = spec.dims.byte_size(spec.data_type);
    if fixed == Some(data.len()) {
        return false;
    }
    let Ok(text) = data.to_host() else { return false };
    matches!(text.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'[' | b'{'))
}

/// The shape of bytes that are a tensor as it is: the open dimension takes what there is.
fn deduced(model: &str, spec: &TensorSpec, batched: bool, size: usize) -> Result<Shape> {
    if spec.dims.iter().filter(|&&dim| dim == -1).count() > 1 {
        return Err(Error::invalid_arg(format!(
            "input '{}' of model '{model}' has more than one dimension of any size, {}, so that it has to come as JSON",
            spec.name, spec.dims
        )));
    }
    let fixed: Shape = spec.dims.iter().copied().filter(|&dim| dim != -1).collect();
    let open = match fixed.byte_size(spec.data_type) {
        None | Some(0) => 0,
        Some(each) => (size / each) as i64,
    };
    let dims = spec.dims.iter().map(|&dim| if dim == -1 { open } else { dim });
    Ok(batched.then_some(1).into_iter().chain(dims).collect())
}

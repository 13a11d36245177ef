//! The inputs of a request: their shapes, which V1 writes without the batch dimension, and their sizes, which follow from the
//! model's types.

use hippocamp_backend::{Error, Result};
use hippocamp_core::{InferInput, LoadedModel, OutputPlan, check_tensor_count};
use hippocamp_model_config::{TensorLookup, TensorSpec};
use hippocamp_proto::v1::InferRequestHeader;
use hippocamp_proto::v1::infer_request_header::Input;
use hippocamp_shm::SharedMemory;
use hippocamp_tensor::{DataType, Shape, TensorData};
use smallvec::SmallVec;

use crate::Encoding;

/// Checks the batch size, which is beside the shapes and at least 1 for every model.
pub(crate) fn check_batch_size(model: &LoadedModel, batch_size: u32) -> Result<()> {
    let (name, most) = (&model.name, model.interface.max_batch_size);
    if batch_size == 0 {
        return Err(Error::invalid_arg(format!("inference request batch-size must be >= 1 for '{name}'")));
    }
    if batch_size > most && batch_size != 1 {
        return Err(Error::invalid_arg(format!(
            "inference request batch-size must be <= {most} for '{name}'"
        )));
    }
    Ok(())
}

/// The inputs with their shapes and bytes, in the header's order.
pub(crate) fn decode<'a, E: Encoding>(
    header: &'a InferRequestHeader,
    raw: &mut E,
    model: &LoadedModel,
    memory: &SharedMemory,
    plan: &mut OutputPlan,
) -> Result<SmallVec<[InferInput<'a>; 4]>> {
    check_tensor_count(header.input.len(), "inputs")?;
    check_count(model, header.input.len())?;
    let mut lookup = TensorLookup::new(&model.interface.inputs);
    let mut inputs = SmallVec::with_capacity(header.input.len());
    for input in &header.input {
        let Some(index) = lookup.find(&input.name) else {
            let (input, model) = (&input.name, &model.name);
            return Err(Error::invalid_arg(format!(
                "unexpected inference input '{input}' for model '{model}'"
            )));
        };
        let spec = &model.interface.inputs[index];
        let shape = shape(model, spec, input, header.batch_size)?;
        let size = byte_size(model, spec, input, &shape)?;
        let data = data::<E>(input, size, raw, model, memory, plan)?;
        inputs.push(InferInput { name: &input.name, data_type: Some(spec.data_type), shape, data });
    }
    raw.end(&model.name)?;
    Ok(inputs)
}

fn check_count(model: &LoadedModel, got: usize) -> Result<()> {
    let specs = &model.interface.inputs;
    let required = specs.iter().filter(|spec| !spec.optional).count();
    if (required..=specs.len()).contains(&got) {
        return Ok(());
    }
    let (expected, model) = (specs.len(), &model.name);
    Err(Error::invalid_arg(format!("expected {expected} inputs but got {got} inputs for model '{model}'")))
}

/// The shape with the batch dimension, if the model has one.
fn shape(model: &LoadedModel, spec: &TensorSpec, input: &Input, batch_size: u32) -> Result<Shape> {
    let dims = if input.dims.is_empty() { &spec.dims[..] } else { &input.dims };
    let is_open = dims.iter().any(|&dim| dim < 0);
    if is_open && input.dims.is_empty() {
        return Err(Error::invalid_arg(format!(
            "model supports variable-size for input '{}', request must specify input shape for model '{}'",
            spec.name, model.name
        )));
    }
    if is_open || !spec.dims.admits(dims) {
        return Err(Error::invalid_arg(format!(
            "unexpected shape for input '{}' for model '{}'. Expected {}, got {}",
            spec.name,
            model.name,
            spec.dims,
            Shape::from(dims)
        )));
    }
    let has_batch = model.interface.max_batch_size > 0 && !spec.is_shape_tensor;
    let batch = has_batch.then_some(i64::from(batch_size));
    Ok(batch.into_iter().chain(dims.iter().copied()).collect())
}

/// The size in bytes of all entries of the batch.
fn byte_size(model: &LoadedModel, spec: &TensorSpec, input: &Input, shape: &Shape) -> Result<usize> {
    let given = input.batch_byte_size;
    let (name, model) = (&spec.name, &model.name);
    if spec.data_type == DataType::Bytes {
        let shared = input.shared_memory.as_ref().map_or(0, |part| part.byte_size);
        let size = if given == 0 { shared } else { given };
        if size == 0 && shape.element_count() != Some(0) {
            return Err(Error::invalid_arg(format!(
                "batch-byte-size must be specified for input '{name}' with non-fixed-size datatype for model '{model}'"
            )));
        }
        return usize::try_from(size).map_err(|_| too_large(name, model, shape));
    }
    let size = shape.byte_size(spec.data_type).ok_or_else(|| too_large(name, model, shape))?;
    if given != 0 && given != size as u64 {
        return Err(Error::invalid_arg(format!(
            "specific batch-byte-size for input '{name}' does not match expected byte-size calculated from shape and \
             datatype for model '{model}'"
        )));
    }
    Ok(size)
}

#[cold]
fn too_large(input: &str, model: &str, shape: &Shape) -> Error {
    Error::invalid_arg(format!(
        "input '{input}' for model '{model}' has more bytes than fit into memory, its shape is {shape}"
    ))
}

fn data<E: Encoding>(
    input: &Input,
    size: usize,
    raw: &mut E,
    model: &LoadedModel,
    memory: &SharedMemory,
    plan: &mut OutputPlan,
) -> Result<TensorData> {
    let Some(part) = &input.shared_memory else { return raw.take(&input.name, size, &model.name) };
    if part.byte_size != size as u64 {
        let text = E::wrong_shared_size(&input.name, part.byte_size, size as u64, &model.name);
        return Err(Error::invalid_arg(text));
    }
    plan.shared_input(memory, &part.name, part.offset, part.byte_size)
}

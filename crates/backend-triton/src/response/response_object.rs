//! A response while a backend fills it.

use std::sync::Arc;

use hippocamp_backend::{Error, OutputTensor, Parameters, Response, Result};
use hippocamp_batching::client_shape;
use hippocamp_tensor::{DataType, LENGTH_PREFIX, Shape, TensorData};
use parking_lot::Mutex;

use super::{OutputMemory, ResponseChannel};
use crate::border::{Kind, Object, Owned, Registry};
use crate::objects::BufferAttributesObject;

/// A response that was not sent yet.
#[derive(Debug)]
pub(crate) struct ResponseObject {
    pub(crate) channel: Arc<ResponseChannel>,
    pub(crate) content: Mutex<ResponseContent>,
}

/// What the backend has put into a response.
#[derive(Debug, Default)]
pub(crate) struct ResponseContent {
    pub(crate) outputs: Vec<Output>,
    pub(crate) parameters: Parameters,
}

/// One output, by the handle of the response and its place in the list.
#[derive(Debug)]
pub(crate) struct Output {
    /// The place in the model's list of outputs.
    pub(crate) index: usize,
    pub(crate) data_type: DataType,
    /// Its address stays while the response is there.
    pub(crate) shape: Box<[i64]>,
    /// `None` until the backend asks for it.
    pub(crate) memory: Option<OutputMemory>,
    pub(crate) attributes: Option<Owned<BufferAttributesObject>>,
}

impl Object for ResponseObject {
    const KIND: Kind = Kind::Response;

    fn registry() -> &'static Registry<Self> {
        static RESPONSES: Registry<ResponseObject> = Registry::new(Kind::Response);
        &RESPONSES
    }
}

impl ResponseObject {
    pub(crate) fn new(channel: &Arc<ResponseChannel>) -> ResponseObject {
        ResponseObject { channel: Arc::clone(channel), content: Mutex::default() }
    }

    /// What is sent. An output that the request did not ask for is left out.
    pub(crate) fn take(&self) -> Result<Response> {
        let ResponseContent { outputs, parameters } = std::mem::take(&mut *self.content.lock());
        let (names, wanted) = (&self.channel.names, &self.channel.wanted);
        let mut response = Response { parameters, ..Response::default() };
        for output in outputs.into_iter().filter(|output| wanted.contains(output.index)) {
            response.outputs.push(output.into_tensor(&self.channel.names)?);
        }
        if !response.outputs.is_sorted_by_key(|output| output.index) {
            response.outputs.sort_by_key(|output| output.index);
        }
        debug_assert!(response.outputs.iter().all(|output| output.index < names.outputs.len()));
        Ok(response)
    }
}

impl Output {
    /// The tensor as clients get it. Its size has to be that of its shape.
    fn into_tensor(self, names: &crate::life::TensorNames) -> Result<OutputTensor> {
        let interface = &names.interface;
        let spec = &interface.outputs[self.index];
        let shape = Shape::from(&*self.shape);
        let size = self.memory.as_ref().map_or(0, OutputMemory::size);
        check_size(names.model(), &spec.name, self.data_type, &shape, size)?;
        let batched = interface.max_batch_size > 0 && !spec.is_shape_tensor;
        let data = self.memory.map_or_else(TensorData::default, |memory| memory.freeze().into());
        // As in Triton, it may be another one than the config says.
        let data_type = (self.data_type != spec.data_type).then_some(self.data_type);
        Ok(OutputTensor { index: self.index, shape: client_shape(spec, shape, batched), data, data_type })
    }
}

/// Fails if a tensor of this shape cannot have so many bytes.
pub(crate) fn check_size(
    model: &str,
    name: &str,
    data_type: DataType,
    shape: &Shape,
    size: usize,
) -> Result<()> {
    let count = shape.element_count();
    let fits = match (data_type.byte_size(), count) {
        (_, None) => false,
        (Some(element), Some(count)) => count.checked_mul(element) == Some(size),
        // Each element has its length before it.
        (None, Some(count)) => count.checked_mul(LENGTH_PREFIX).is_some_and(|least| least <= size),
    };
    if fits {
        return Ok(());
    }
    let name = format!("output '{name}' of model '{model}'");
    let type_name = data_type.protocol_name();
    let expected = match (data_type.byte_size(), count) {
        (_, None) => format!("{name} has shape {shape}, expected no negative dimension"),
        (Some(element), Some(count)) => format!(
            "{name} has {size} bytes, expected {} for its shape {shape} and type {type_name}",
            count.saturating_mul(element)
        ),
        (None, Some(count)) => format!(
            "{name} has {size} bytes, expected {} or more for its shape {shape} and type {type_name}",
            count.saturating_mul(LENGTH_PREFIX)
        ),
    };
    // What numpy 2 does to a Python backend that was built with the headers of numpy 1.
    let hint = if size == 0 { "; a Python backend up to 24.10 needs numpy<2" } else { "" };
    Err(Error::internal(expected + hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_is_not_the_shapes_is_told() {
        let check = |data_type, shape: &[i64], size| {
            check_size("m", "y", data_type, &Shape::from(shape), size)
                .map_err(|error| error.message().to_owned())
        };
        assert_eq!(check(DataType::Fp32, &[2, 2], 16), Ok(()));
        assert_eq!(check(DataType::Bytes, &[2], 8), Ok(()));
        assert_eq!(check(DataType::Bytes, &[0], 0), Ok(()));
        assert_eq!(
            check(DataType::Fp32, &[2, 2], 0).unwrap_err(),
            "output 'y' of model 'm' has 0 bytes, expected 16 for its shape [2,2] and type FP32; a Python backend up to 24.10 \
             needs numpy<2"
        );
        let few = check(DataType::Bytes, &[2], 7).unwrap_err();
        assert_eq!(
            few,
            "output 'y' of model 'm' has 7 bytes, expected 8 or more for its shape [2] and type BYTES"
        );
        let negative = check(DataType::Fp32, &[-1], 4).unwrap_err();
        assert_eq!(negative, "output 'y' of model 'm' has shape [-1], expected no negative dimension");
    }
}

//! A tensor of the model, as the engine knows it.

use std::ffi::CString;
use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::TensorSpec;
use hippocamp_tensor::{DataType, Shape};

use crate::plan::PlanTensor;

/// A tensor that requests bring or get, and what the plan says of it.
#[derive(Debug)]
pub(crate) struct Port {
    /// The name as the library takes it.
    pub(crate) text: CString,
    pub(crate) tensor: PlanTensor,
    pub(crate) spec: TensorSpec,
    /// It is a shape tensor whose first value is the batch, which no request has.
    pub(crate) has_batch_value: bool,
}

impl Port {
    pub(crate) fn all<'a>(
        model: &str,
        specs: impl Iterator<Item = &'a TensorSpec>,
        tensors: &[PlanTensor],
        is_batching: bool,
    ) -> Result<Vec<Port>> {
        specs.map(|spec| Port::new(model, spec, tensors, is_batching)).collect()
    }

    fn new(model: &str, spec: &TensorSpec, tensors: &[PlanTensor], is_batching: bool) -> Result<Port> {
        let tensor = tensors.iter().find(|tensor| tensor.name == *spec.name).ok_or_else(|| {
            Error::internal(format!("model '{model}' was expected to have '{}', its plan has not", spec.name))
        })?;
        let text = CString::new(&*spec.name).map_err(|_| {
            Error::invalid_arg(format!(
                "a name of a tensor of model '{model}' has a null byte: {:?}",
                spec.name
            ))
        })?;
        let has_batch_value = is_batching && spec.is_shape_tensor && tensor.on_host;
        Ok(Port { text, tensor: tensor.clone(), spec: spec.clone(), has_batch_value })
    }

    /// One that the config does not list.
    pub(crate) fn unlisted(model: &str, tensor: &PlanTensor) -> Result<Port> {
        let spec = TensorSpec {
            name: tensor.name.as_str().into(),
            data_type: tensor.data_type,
            dims: Shape::from(tensor.dims.as_slice()),
            reshape: None,
            optional: false,
            is_shape_tensor: false,
            allow_ragged_batch: false,
            label_filename: String::new(),
        };
        Port::new(model, &spec, std::slice::from_ref(tensor), false)
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.spec.name
    }

    /// The bytes of a value, of a shape tensor.
    pub(crate) fn value_bytes(&self, value: i64) -> Vec<u8> {
        if self.tensor.data_type == DataType::Int64 {
            value.to_le_bytes().to_vec()
        } else {
            (value as i32).to_le_bytes().to_vec()
        }
    }

    /// The values of a shape tensor.
    pub(crate) fn values(&self, bytes: &[u8]) -> Vec<i64> {
        if self.tensor.data_type == DataType::Int64 {
            bytes.as_chunks().0.iter().map(|value| i64::from_le_bytes(*value)).collect()
        } else {
            bytes.as_chunks().0.iter().map(|value| i32::from_le_bytes(*value).into()).collect()
        }
    }

    /// The bytes that a tensor of that shape takes.
    pub(crate) fn size(&self, model: &str, shape: &[i64]) -> Result<usize> {
        Shape::from(shape).byte_size(self.tensor.data_type).ok_or_else(|| {
            Error::internal(format!(
                "'{}' of model '{model}' has the impossible shape {shape:?}",
                self.name()
            ))
        })
    }
}

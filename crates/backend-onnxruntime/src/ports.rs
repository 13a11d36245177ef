//! What an instance knows of each tensor of its model.

use std::ffi::CString;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{SignatureTensor, TensorSpec};
use hippocamp_tensor::{DataType, Shape};

use crate::guard::{Guard, InputGuard};

/// A tensor of the model.
pub(crate) struct Port {
    pub(crate) name: CString,
    pub(crate) data_type: DataType,
    /// Whether the input is optional.
    pub(crate) optional: bool,
    /// The checks for the input.
    pub(crate) guard: InputGuard,
    /// For a scalar, its shape in the config, where a shape without dimensions is not possible.
    pub(crate) scalar: Option<Shape>,
}

/// Those of the config, in its order.
pub(crate) fn ports<'a>(
    model: &str,
    specs: impl Iterator<Item = &'a TensorSpec>,
    tensors: &[SignatureTensor],
    guard: &Guard,
) -> Result<Vec<Port>> {
    specs.map(|spec| Port::new(model, spec, tensors, guard)).collect()
}

impl Port {
    fn new(model: &str, spec: &TensorSpec, tensors: &[SignatureTensor], guard: &Guard) -> Result<Port> {
        let tensor = tensors.iter().find(|tensor| tensor.name == *spec.name);
        let tensor = tensor.ok_or_else(|| {
            Error::internal(format!(
                "model '{model}' was expected to have '{}', it has no such tensor",
                spec.name
            ))
        })?;
        let is_scalar = tensor.dims.as_ref().is_some_and(Vec::is_empty);
        Ok(Port {
            name: CString::new(&*spec.name).map_err(|_| {
                Error::invalid_arg(format!(
                    "a name of a tensor of model '{model}' has a null byte: {:?}",
                    spec.name
                ))
            })?,
            data_type: spec.data_type,
            optional: tensor.optional,
            guard: guard.for_input(&spec.name),
            scalar: is_scalar.then(|| spec.reshape.clone().unwrap_or_else(|| spec.dims.clone())),
        })
    }

    /// The error of a request that leaves the input out, for which the model has no value.
    #[cold]
    pub(crate) fn missing(&self, model: &str) -> Error {
        Error::invalid_arg(format!(
            "model '{model}' has no value of its own for input '{}', and the request gives none",
            self.name.to_string_lossy()
        ))
    }

    /// The error of a model whose output is not what it declares.
    #[cold]
    pub(crate) fn of_another_type(&self, model: &str) -> Error {
        Error::internal(format!(
            "output '{}' of model '{model}' was expected to be of {}, the model gave another type",
            self.name.to_string_lossy(),
            self.data_type,
        ))
    }
}

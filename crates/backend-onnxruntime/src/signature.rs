//! Reads the signature of a model: its inputs and outputs.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{ModelConfig, Signature, SignatureTensor};
use ort::session::Session;
use ort::value::ValueType;
use tracing::warn;

use crate::element_type::data_type;
use crate::ffi::session::{Ports, has_shape};
use crate::model_file::ModelFile;

/// The signature of a loaded model in the order of the file. Initializers that are also graph inputs come last and are
/// optional. An output of an unsupported type is left out if the config lists other outputs.
pub(crate) fn read(
    model: &str,
    session: &Session,
    config: &ModelConfig,
    file: &ModelFile,
) -> Result<Signature> {
    let reader = Reader { model, session, config, file };
    let mut inputs = Vec::new();
    for (index, input) in session.inputs().iter().enumerate() {
        inputs.push(reader.tensor(Ports::Inputs, index, input.name(), input.dtype())?);
    }
    for (index, input) in session.overridable_initializers().iter().enumerate() {
        // An input of an unsupported type keeps its initializer.
        if let Ok(tensor) = reader.tensor(Ports::OverridableInitializers, index, input.name(), input.dtype())
        {
            inputs.push(tensor);
        }
    }
    let mut outputs = Vec::new();
    for (index, output) in session.outputs().iter().enumerate() {
        match reader.tensor(Ports::Outputs, index, output.name(), output.dtype()) {
            Ok(tensor) => outputs.push(tensor),
            Err(_) if reader.does_without(output.name()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Signature { inputs, outputs })
}

struct Reader<'a> {
    model: &'a str,
    session: &'a Session,
    config: &'a ModelConfig,
    file: &'a ModelFile,
}

impl Reader<'_> {
    fn tensor(&self, ports: Ports, index: usize, name: &str, kind: &ValueType) -> Result<SignatureTensor> {
        let ValueType::Tensor { ty, shape, .. } = kind else {
            let hint = if kind.to_string().contains("Map<") && matches!(ports, Ports::Outputs) {
                "; convert the model without ZipMap (skl2onnx: options={'zipmap': False}), or list only the outputs that are \
                 tensors in its config"
            } else {
                ""
            };
            return Err(self.unserveable(ports, name, &format!("is no tensor but {kind}{hint}")));
        };
        let Some(data_type) = data_type(*ty) else {
            return Err(self.unserveable(
                ports,
                name,
                &format!("has elements of type {ty}, which no client can send"),
            ));
        };
        let has_rank = !shape.is_empty() || has_shape(self.session, ports, index)?;
        let is_known = has_rank && !(shape.is_empty() && self.is_declared_wrong(ports, name));
        Ok(SignatureTensor {
            name: name.to_owned(),
            data_type,
            dims: is_known.then(|| shape.to_vec()),
            optional: matches!(ports, Ports::OverridableInitializers),
        })
    }

    /// Whether the config lists outputs, but not this one.
    fn does_without(&self, output: &str) -> bool {
        let listed = &self.config.output;
        !listed.is_empty() && listed.iter().all(|each| each.name != output)
    }

    /// Whether the engine reports an output as a scalar only because the file declares a wrong rank.
    fn is_declared_wrong(&self, ports: Ports, name: &str) -> bool {
        let declared = self.file.output_ranks.get(name).copied().unwrap_or(0);
        if !matches!(ports, Ports::Outputs) || declared == 0 {
            return false;
        }
        let model = self.model;
        warn!(
            model,
            "its file declares output '{name}' with {declared} dimensions, which is not what its graph gives; until its \
             config says more, its shape is not known"
        );
        true
    }

    #[cold]
    fn unserveable(&self, ports: Ports, name: &str, why: &str) -> Error {
        let kind = if matches!(ports, Ports::Outputs) { "output" } else { "input" };
        Error::unsupported(format!("unable to load model '{}', {kind} '{name}' {why}", self.model))
    }
}

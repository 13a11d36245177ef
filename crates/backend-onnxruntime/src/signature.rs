//! What a model file says of its inputs and outputs.

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{Signature, SignatureTensor};
use ort::session::Session;
use ort::value::ValueType;

use crate::element_type::data_type;
use crate::ffi::session::{Ports, has_shape};

/// The signature of a loaded model, in the order of the file. Initializers that are graph inputs as well come last and
/// are optional: the model has values for them.
pub(crate) fn read(model: &str, session: &Session) -> Result<Signature> {
    let reader = Reader { model, session };
    let mut inputs = Vec::new();
    for (index, input) in session.inputs().iter().enumerate() {
        inputs.push(reader.tensor(Ports::Inputs, index, input.name(), input.dtype())?);
    }
    for (index, input) in session.overridable_initializers().iter().enumerate() {
        // One that no client can send keeps the value that it has.
        if let Ok(tensor) = reader.tensor(Ports::OverridableInitializers, index, input.name(), input.dtype())
        {
            inputs.push(tensor);
        }
    }
    let outputs = session.outputs().iter().enumerate();
    let outputs =
        outputs.map(|(index, output)| reader.tensor(Ports::Outputs, index, output.name(), output.dtype()));
    Ok(Signature { inputs, outputs: outputs.collect::<Result<_>>()? })
}

struct Reader<'a> {
    model: &'a str,
    session: &'a Session,
}

impl Reader<'_> {
    fn tensor(&self, ports: Ports, index: usize, name: &str, kind: &ValueType) -> Result<SignatureTensor> {
        let ValueType::Tensor { ty, shape, .. } = kind else {
            return Err(self.unserveable(ports, name, &format!("is no tensor but {kind}")));
        };
        let Some(data_type) = data_type(*ty) else {
            return Err(self.unserveable(
                ports,
                name,
                &format!("has elements of type {ty}, which no client can send"),
            ));
        };
        let has_rank = !shape.is_empty() || has_shape(self.session, ports, index)?;
        Ok(SignatureTensor {
            name: name.to_owned(),
            data_type,
            dims: has_rank.then(|| shape.to_vec()),
            optional: matches!(ports, Ports::OverridableInitializers),
        })
    }

    #[cold]
    fn unserveable(&self, ports: Ports, name: &str, why: &str) -> Error {
        let kind = if matches!(ports, Ports::Outputs) { "output" } else { "input" };
        Error::unsupported(format!("unable to load model '{}', {kind} '{name}' {why}", self.model))
    }
}

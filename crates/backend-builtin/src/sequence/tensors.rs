//! Finds and decodes the tensors of the sequence backends.

use bytes::Bytes;
use hippocamp_backend::{Error, Request, Result};
use hippocamp_model_config::{Interface, ModelConfig, config_value, control_data_type, sequence_batching};
use hippocamp_proto::inference::model_sequence_batching::{Control, control::Kind as ControlKind};
use hippocamp_tensor::{BytesElements, DataType, Shape};

use super::Kind;

/// The indices of the inputs; `None` for a control that the model does not have.
#[derive(Clone, Debug)]
pub(super) struct Tensors {
    start: Option<Flag>,
    end: Option<Flag>,
    ready: Option<Flag>,
    correlation_id: Option<(usize, DataType)>,
}

/// A boolean control.
#[derive(Clone, Debug)]
struct Flag {
    input: usize,
    /// The bytes that mean true.
    yes: Vec<u8>,
}

/// The decoded inputs of one request.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) start: bool,
    pub(super) end: bool,
    /// `None` for a text that is no number, and without a CORRID control.
    pub(super) correlation_id: Option<u64>,
    pub(super) elements: Vec<i32>,
    /// The shape of INPUT and OUTPUT.
    pub(super) shape: Shape,
}

/// Checks a config; the error says what is wrong.
pub(super) fn check(kind: Kind, config: &ModelConfig) -> Result<(), String> {
    let Some(batching) = sequence_batching(config) else {
        return Err("it must use the sequence batcher".to_owned());
    };
    let controls = batching.control_input.iter().flat_map(|input| &input.control);
    let kinds: Vec<ControlKind> = controls.map(Control::kind).collect();
    let due: &[ControlKind] = match kind {
        Kind::BySlot => &[ControlKind::ControlSequenceStart, ControlKind::ControlSequenceReady],
        Kind::ByCorrelationId => &[ControlKind::ControlSequenceStart, ControlKind::ControlSequenceCorrid],
    };
    for control in due {
        if !kinds.contains(control) {
            return Err(format!("a control input of kind {} must be configured", control.as_str_name()));
        }
    }
    let int32 = config_value(DataType::Int32);
    let [input] = config.input.as_slice() else {
        return Err("model must have one input 'INPUT' with vector shape, any length".to_owned());
    };
    let [output] = config.output.as_slice() else {
        return Err("model must have one output 'OUTPUT' with vector shape, any length".to_owned());
    };
    if input.name != "INPUT" {
        return Err("model input must be named 'INPUT'".to_owned());
    }
    if output.name != "OUTPUT" {
        return Err("model output must be named 'OUTPUT'".to_owned());
    }
    if input.data_type != int32 || output.data_type != int32 {
        return Err("model input and output must have TYPE_INT32 data-type".to_owned());
    }
    if input.dims.len() != 1 || output.dims != input.dims {
        return Err("model must have output 'OUTPUT' with vector shape matching 'INPUT'".to_owned());
    }
    Ok(())
}

impl Tensors {
    /// Finds the tensors in a config that was checked.
    pub(super) fn of(config: &ModelConfig, interface: &Interface) -> Tensors {
        let mut tensors = Tensors { start: None, end: None, ready: None, correlation_id: None };
        let batching = sequence_batching(config);
        for control_input in batching.iter().flat_map(|batching| &batching.control_input) {
            let place = interface.all_inputs().position(|spec| *spec.name == *control_input.name);
            let (Some(input), Some(control)) = (place, control_input.control.first()) else { continue };
            let flag = || Some(Flag { input, yes: yes(control) });
            match control.kind() {
                ControlKind::ControlSequenceStart => tensors.start = flag(),
                ControlKind::ControlSequenceEnd => tensors.end = flag(),
                ControlKind::ControlSequenceReady => tensors.ready = flag(),
                ControlKind::ControlSequenceCorrid => {
                    tensors.correlation_id = control_data_type(control).map(|data_type| (input, data_type));
                }
            }
        }
        tensors
    }

    /// Decodes a request; `None` if its row is not ready.
    pub(super) fn step(&self, request: &Request) -> Result<Option<Step>> {
        let is_set = |flag: &Option<Flag>| match flag {
            Some(flag) => Ok(Some(bytes(request, flag.input)? == flag.yes)),
            None => Ok::<_, Error>(None),
        };
        if is_set(&self.ready)? == Some(false) {
            return Ok(None);
        }
        let input = request.inputs.first().and_then(Option::as_ref);
        let input = input.ok_or_else(|| Error::internal("the request has no input 'INPUT'"))?;
        let data = input.data.to_host()?;
        let (elements, _) = data.as_chunks::<4>();
        Ok(Some(Step {
            start: is_set(&self.start)?.unwrap_or(false),
            end: is_set(&self.end)?.unwrap_or(false),
            correlation_id: self.correlation_id(request)?,
            elements: elements.iter().map(|element| i32::from_le_bytes(*element)).collect(),
            shape: input.shape.clone(),
        }))
    }

    fn correlation_id(&self, request: &Request) -> Result<Option<u64>> {
        let Some((input, data_type)) = self.correlation_id else { return Ok(None) };
        Ok(id(&bytes(request, input)?, data_type))
    }
}

fn bytes(request: &Request, input: usize) -> Result<Bytes> {
    let input = request.inputs.get(input).and_then(Option::as_ref);
    Ok(input.map(|input| input.data.to_host()).transpose()?.unwrap_or_default())
}

fn id(bytes: &[u8], data_type: DataType) -> Option<u64> {
    if data_type == DataType::Bytes {
        let text = BytesElements::new(bytes).next()?.ok()?;
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut number = [0; 8];
    number.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    Some(u64::from_le_bytes(number))
}

/// The bytes of a flag's second value, which means true.
fn yes(control: &Control) -> Vec<u8> {
    match control_data_type(control) {
        Some(DataType::Int32) => control.int32_false_true.get(1).map(|v| v.to_le_bytes().to_vec()),
        Some(DataType::Fp32) => control.fp32_false_true.get(1).map(|v| v.to_le_bytes().to_vec()),
        _ => control.bool_false_true.get(1).map(|v| vec![u8::from(*v)]),
    }
    .unwrap_or_default()
}

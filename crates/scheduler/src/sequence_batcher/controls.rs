//! Control inputs: how the model learns of the start, the end and the id of a sequence.

use bytes::{BufMut, Bytes, BytesMut};
use hippocamp_backend::{CorrelationId, InputTensor};
use hippocamp_model_config::control_data_type;
use hippocamp_proto::inference::ModelSequenceBatching;
use hippocamp_proto::inference::model_sequence_batching::{Control as ControlConfig, control::Kind};
use hippocamp_tensor::{DataType, Shape};

/// The controls of a model, in the order of its added inputs.
#[derive(Debug, Default)]
pub(super) struct Controls(Vec<Control>);

#[derive(Debug)]
enum Control {
    /// Both values are made once; each request gets one of them.
    Flag {
        kind: Kind,
        no: InputTensor,
        yes: InputTensor,
    },
    CorrelationId {
        data_type: DataType,
        shape: Shape,
    },
}

/// The control values of one row of the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) start: bool,
    pub(super) end: bool,
    pub(super) ready: bool,
    /// `None` for a row without a request.
    pub(super) correlation_id: Option<&'a CorrelationId>,
}

impl Controls {
    pub(super) fn new(batching: &ModelSequenceBatching, batched: bool) -> Controls {
        let shape = if batched { Shape::from([1, 1]) } else { Shape::from([1]) };
        let controls = batching.control_input.iter().filter_map(|input| {
            let control = input.control.first()?;
            let (kind, data_type) = (control.kind(), control_data_type(control)?);
            if kind == Kind::ControlSequenceCorrid {
                return Some(Control::CorrelationId { data_type, shape: shape.clone() });
            }
            let tensor = |value: usize| InputTensor {
                shape: shape.clone(),
                data: flag(control, data_type, value).into(),
            };
            Some(Control::Flag { kind, no: tensor(0), yes: tensor(1) })
        });
        Controls(controls.collect())
    }

    /// The tensors of one row, in order.
    pub(super) fn row<'a>(&'a self, row: Row<'a>) -> impl Iterator<Item = InputTensor> + 'a {
        self.0.iter().map(move |control| match control {
            Control::Flag { kind, no, yes } => {
                let set = match kind {
                    Kind::ControlSequenceStart => row.start,
                    Kind::ControlSequenceEnd => row.end,
                    _ => row.ready,
                };
                if set { yes.clone() } else { no.clone() }
            }
            Control::CorrelationId { data_type, shape } => InputTensor {
                shape: shape.clone(),
                data: correlation_id(row.correlation_id, *data_type).into(),
            },
        })
    }

    /// The data type of a CORRID control that cannot hold this id, if there is one: the id is a text and the control is
    /// numeric.
    pub(super) fn refuses(&self, id: &CorrelationId) -> Option<DataType> {
        self.0.iter().find_map(|control| match (control, id) {
            (Control::CorrelationId { data_type, .. }, CorrelationId::Text(_)) => {
                (*data_type != DataType::Bytes).then_some(*data_type)
            }
            _ => None,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// One of the two values that the config gives for a flag.
fn flag(control: &ControlConfig, data_type: DataType, value: usize) -> Bytes {
    match data_type {
        DataType::Int32 => {
            let number = control.int32_false_true.get(value).copied().unwrap_or_default();
            Bytes::copy_from_slice(&number.to_le_bytes())
        }
        DataType::Fp32 => {
            let number = control.fp32_false_true.get(value).copied().unwrap_or_default();
            Bytes::copy_from_slice(&number.to_le_bytes())
        }
        _ => {
            let set = control.bool_false_true.get(value).copied().unwrap_or_default();
            Bytes::copy_from_slice(&[u8::from(set)])
        }
    }
}

/// The id in the model's type. A narrower number gets the low bits, as in Triton; a model of strings gets a number in
/// decimal.
fn correlation_id(id: Option<&CorrelationId>, data_type: DataType) -> Bytes {
    let number = match id {
        Some(CorrelationId::Number(number)) => *number,
        _ => 0,
    };
    if let Some(size) = data_type.byte_size() {
        return Bytes::copy_from_slice(&number.to_le_bytes()[..size.min(8)]);
    }
    let decimal;
    let text = match id {
        Some(CorrelationId::Text(text)) => &**text,
        Some(CorrelationId::Number(number)) => {
            decimal = number.to_string();
            &decimal
        }
        None => "",
    };
    let mut element = BytesMut::with_capacity(4 + text.len());
    element.put_u32_le(text.len() as u32);
    element.put_slice(text.as_bytes());
    element.freeze()
}

#[cfg(test)]
mod tests;

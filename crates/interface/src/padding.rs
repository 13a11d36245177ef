//! Batches of requests of different lengths, padded: the parameters whose names begin with `padding.`.
//!
//! Triton has no such thing. The parameters are ours, and Triton passes them over.

mod half;

use std::collections::BTreeSet;

use hippocamp_proto::inference::ModelConfig;
use hippocamp_tensor::DataType;

use crate::fault::Faults;
use crate::{Interface, TensorSpec, parameter};

const PREFIX: &str = "padding.";
const BUCKETS: &str = "padding.buckets";
const LENGTH: &str = "padding.length";
const INPUT: &str = "padding.input.";
const OUTPUT: &str = "padding.output.";

/// No input that is made for a request has more elements beside its length.
const MAX_MADE_ROW: i64 = 1 << 16;

/// The longest edge of a bucket.
const MAX_EDGE: usize = 1 << 24;

/// How requests whose lengths are in the same bucket share a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Padding {
    pub inputs: Vec<PaddedInput>,
    pub outputs: Vec<PaddedOutput>,
    /// The longest length of each bucket, ascending; at least one.
    edges: Vec<usize>,
    /// Pads to the bucket's edge instead of the longest request of a batch.
    to_edge: bool,
}

/// An input with a dimension to be padded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaddedInput {
    /// Its place among the inputs.
    pub index: usize,
    /// The dimension, counted with the batch dimension.
    pub dim: usize,
    /// The element to pad with, as bytes.
    pub value: Box<[u8]>,
    /// What to make the input of where a request leaves it out: a mask has ones.
    pub fill: Option<Box<[u8]>>,
}

/// An output that is cut back to the length of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaddedOutput {
    /// Its place among the outputs.
    pub index: usize,
    /// The dimension, counted with the batch dimension.
    pub dim: usize,
}

impl Padding {
    /// Whether requests of these lengths may share a batch. Those beyond the last bucket share it with their like only,
    /// so that nobody's length decides about more memory than the config does. Those without a length are on their own.
    pub fn fit_together(&self, a: usize, b: usize) -> bool {
        let bucket = |length| self.edges.partition_point(|edge| *edge < length);
        a > 0 && b > 0 && (a == b || (bucket(a) == bucket(b) && bucket(a) < self.edges.len()))
    }

    /// The length that a batch is padded to whose longest request has this one.
    pub fn padded_length(&self, longest: usize) -> usize {
        let edge = self.edges.iter().find(|edge| **edge >= longest);
        edge.copied().filter(|_| self.to_edge && longest > 0).unwrap_or(longest)
    }

    /// How the input at that place is padded.
    pub fn input(&self, index: usize) -> Option<&PaddedInput> {
        self.inputs.iter().find(|input| input.index == index)
    }

    /// How the output at that place is cut.
    pub fn output(&self, index: usize) -> Option<&PaddedOutput> {
        self.outputs.iter().find(|output| output.index == index)
    }
}

/// The inputs that the server makes where a request leaves them out.
pub fn made_inputs(config: &ModelConfig) -> BTreeSet<&str> {
    let parameters = config.parameters.iter();
    let made = parameters.filter_map(|(key, parameter)| {
        let name = key.strip_prefix(INPUT)?;
        settings(&parameter.string_value).any(|(setting, _)| setting == "fill").then_some(name)
    });
    made.collect()
}

/// What the config says of padding; `None` if it says nothing, or something wrong, which is then among the faults.
pub(crate) fn read(interface: &Interface, config: &ModelConfig, faults: &mut Faults) -> Option<Padding> {
    let mut keys: Vec<&String> = config.parameters.keys().filter(|key| key.starts_with(PREFIX)).collect();
    if keys.is_empty() {
        return None;
    }
    keys.sort();
    let mut padding = Padding { inputs: Vec::new(), outputs: Vec::new(), edges: Vec::new(), to_edge: false };
    if interface.max_batch_size == 0 {
        faults.push(None, &path(keys[0]), "padding needs a model with a max_batch_size of 1 or more");
    }
    for key in keys {
        let text = parameter(config, key).unwrap_or_default();
        if let Err(message) = padding.set(interface, key, text) {
            faults.push(None, &path(key), message);
        }
    }
    padding.inputs.sort_by_key(|input| input.index);
    if padding.edges.is_empty() {
        let message = format!("padding needs the parameter '{BUCKETS}', such as \"32,64,128\"");
        faults.push(None, "parameters", message);
    }
    if padding.inputs.iter().all(|input| input.fill.is_some()) {
        let message = "padding needs an input that every request gives, to tell its length";
        faults.push(None, "parameters", message);
    }
    Some(padding)
}

impl Padding {
    fn set(&mut self, interface: &Interface, key: &str, text: &str) -> Result<(), String> {
        if key == BUCKETS {
            self.edges = edges(text)?;
        } else if key == LENGTH {
            self.to_edge = match text {
                "batch" => false,
                "bucket" => true,
                _ => return Err(format!("expected \"batch\" or \"bucket\", got \"{text}\"")),
            };
        } else if let Some(name) = key.strip_prefix(INPUT) {
            self.inputs.push(input(interface, name, text)?);
        } else if let Some(name) = key.strip_prefix(OUTPUT) {
            let (index, spec) = find(&interface.outputs, "output", name)?;
            let mut dim = None;
            for (setting, value) in settings(text) {
                match setting {
                    "dim" => dim = Some(value),
                    _ => return Err(format!("expected the setting dim, got \"{setting}\"")),
                }
            }
            self.outputs.push(PaddedOutput { index, dim: padded_dim(spec, dim)? });
        } else {
            return Err(format!(
                "unknown parameter; there are {BUCKETS}, {LENGTH}, {INPUT}NAME and {OUTPUT}NAME"
            ));
        }
        Ok(())
    }
}

fn path(key: &str) -> String {
    format!("parameters[\"{key}\"]")
}

/// `name=value` pairs, between commas or blanks.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let words = text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
    words.map(|word| word.split_once('=').unwrap_or((word, "")))
}

fn edges(text: &str) -> Result<Vec<usize>, String> {
    let numbers = text.split(',').map(|number| number.trim().parse::<usize>());
    let edges: Vec<usize> = numbers.map(|number| number.unwrap_or(0)).collect();
    let ascending = edges.is_sorted_by(|a, b| a < b);
    if ascending && edges.iter().all(|edge| (1..=MAX_EDGE).contains(edge)) {
        return Ok(edges);
    }
    Err(format!("expected ascending lengths of 1 to {MAX_EDGE} such as \"32,64,128\", got \"{text}\""))
}

fn input(interface: &Interface, name: &str, text: &str) -> Result<PaddedInput, String> {
    let (index, spec) = find(&interface.inputs, "input", name)?;
    let (mut dim, mut value, mut fill) = (None, None, None);
    for (setting, content) in settings(text) {
        match setting {
            "dim" => dim = Some(content),
            "value" => value = Some(element(spec, content)?),
            "fill" => fill = Some(element(spec, content)?),
            _ => return Err(format!("expected the settings value, dim and fill, got \"{setting}\"")),
        }
    }
    let dim = padded_dim(spec, dim)?;
    if spec.allow_ragged_batch || spec.is_shape_tensor {
        return Err(format!("input '{name}' cannot be padded: it is ragged or a shape"));
    }
    let rest: i64 = spec.dims.iter().filter(|d| **d > 0).fold(1, |product, d| product.saturating_mul(*d));
    if fill.is_some() && (!spec.optional || rest > MAX_MADE_ROW) {
        return Err(format!(
            "input '{name}' can be filled only if it is optional and has at most {MAX_MADE_ROW} elements for each \
             of its length"
        ));
    }
    let value = match value {
        Some(value) => value,
        None => element(spec, "0")?,
    };
    Ok(PaddedInput { index, dim, value, fill })
}

fn find<'a>(tensors: &'a [TensorSpec], kind: &str, name: &str) -> Result<(usize, &'a TensorSpec), String> {
    let found = tensors.iter().enumerate().find(|(_, spec)| *spec.name == *name);
    let (index, spec) = found.ok_or_else(|| format!("the model has no {kind} '{name}'"))?;
    if spec.reshape.is_some() {
        return Err(format!("{kind} '{name}' cannot be padded: the config reshapes it"));
    }
    if spec.data_type == DataType::Bytes {
        return Err(format!("{kind} '{name}' cannot be padded: its elements have no fixed size"));
    }
    Ok((index, spec))
}

/// The only free dimension, which is the one that was named, if any was. Counted with the batch dimension.
fn padded_dim(spec: &TensorSpec, named: Option<&str>) -> Result<usize, String> {
    let mut open = spec.dims.iter().enumerate().filter(|(_, size)| **size == -1).map(|(dim, _)| dim);
    match (open.next(), open.next()) {
        (Some(dim), None) if named.is_none_or(|named| named.parse() == Ok(dim)) => Ok(dim + 1),
        _ => Err(format!(
            "'{}' has dims {}: expected exactly one dimension of -1, and a dim that names it or none",
            spec.name, spec.dims
        )),
    }
}

/// An element of a tensor from its text.
fn element(spec: &TensorSpec, text: &str) -> Result<Box<[u8]>, String> {
    fn number<T: std::str::FromStr, const N: usize>(
        text: &str,
        bytes: fn(T) -> [u8; N],
    ) -> Option<Box<[u8]>> {
        text.parse().ok().map(|number| bytes(number).into())
    }
    let element = match spec.data_type {
        DataType::Bool => match text {
            "0" | "false" => Some([0].into()),
            "1" | "true" => Some([1].into()),
            _ => None,
        },
        DataType::Uint8 => number(text, u8::to_le_bytes),
        DataType::Uint16 => number(text, u16::to_le_bytes),
        DataType::Uint32 => number(text, u32::to_le_bytes),
        DataType::Uint64 => number(text, u64::to_le_bytes),
        DataType::Int8 => number(text, i8::to_le_bytes),
        DataType::Int16 => number(text, i16::to_le_bytes),
        DataType::Int32 => number(text, i32::to_le_bytes),
        DataType::Int64 => number(text, i64::to_le_bytes),
        DataType::Fp32 => number(text, f32::to_le_bytes),
        DataType::Fp64 => number(text, f64::to_le_bytes),
        DataType::Fp16 => number(text, half::fp16),
        DataType::Bf16 => number(text, half::bf16),
        DataType::Bytes => None,
    };
    element.ok_or_else(|| {
        format!("expected an element of {} for '{}', got \"{text}\"", spec.data_type, spec.name)
    })
}

#[cfg(test)]
mod tests;

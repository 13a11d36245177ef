//! What an engine says of its tensors and profiles.

use std::ffi::CString;

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::DataType;
use hippocamp_tensorrt_sys::{Engine, IoMode, Selector, TensorFormat, TensorLocation};

use crate::data_type::data_type;

/// A plan's inputs and outputs, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) inputs: Vec<PlanTensor>,
    pub(crate) outputs: Vec<PlanTensor>,
    pub(crate) profile_count: usize,
}

/// A tensor of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlanTensor {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    /// -1 for what varies.
    pub(crate) dims: Vec<i64>,
    /// The values are a shape, or decide on one.
    pub(crate) is_shape_tensor: bool,
    /// The memory is the host's, not the device's.
    pub(crate) on_host: bool,
    /// Of an input: what each profile takes.
    pub(crate) ranges: Vec<Range>,
}

/// The shapes of an input that a profile takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) min: Vec<i64>,
    pub(crate) opt: Vec<i64>,
    pub(crate) max: Vec<i64>,
    /// Of a shape tensor: the values that it takes instead, if they are known.
    pub(crate) values: Option<[Vec<i64>; 3]>,
}

impl Plan {
    /// Reads what an engine says. Refuses what no request can bring.
    pub(crate) fn of(model: &str, engine: &Engine) -> Result<Plan> {
        if engine.has_implicit_batch() {
            return Err(Error::unsupported(format!(
                "unable to load model '{model}', its plan has no batch dimension of its own (an implicit batch, as TensorRT 8 and \
                 older built from Caffe and UFF): build it anew from ONNX, where the first dimension is the batch, and leave \
                 'reshape' out of the config"
            )));
        }
        let profile_count = usize::try_from(engine.profile_count()).unwrap_or(0).max(1);
        let mut plan = Plan { inputs: Vec::new(), outputs: Vec::new(), profile_count };
        for name in engine.tensor_names() {
            let Ok(text) = CString::new(name.as_str()) else { continue };
            let is_input = match engine.io_mode(&text) {
                IoMode::Input => true,
                IoMode::Output => false,
                IoMode::None => continue,
            };
            let reader = Reader { model, engine, name: &name, text: &text };
            let tensor = reader.tensor(is_input, profile_count)?;
            (if is_input { &mut plan.inputs } else { &mut plan.outputs }).push(tensor);
        }
        Ok(plan)
    }

    /// Whether the plan takes one item: all inputs begin with a 1.
    pub(crate) fn takes_one(&self) -> bool {
        let mut batched = self.inputs.iter().filter(|input| !input.is_shape_tensor).peekable();
        batched.peek().is_some() && batched.all(|input| input.dims.first() == Some(&1))
    }

    /// The largest batch that some profile takes; 0 if the inputs have no batch dimension that varies.
    pub(crate) fn max_batch_size(&self) -> i64 {
        let batched = || self.inputs.iter().filter(|input| !input.is_shape_tensor);
        if batched().next().is_none() || batched().any(|input| input.dims.first() != Some(&-1)) {
            return 0;
        }
        let of_profile = |profile: usize| {
            let largest = batched().map(|input| {
                input.ranges.get(profile).and_then(|range| range.max.first()).copied().unwrap_or(0)
            });
            largest.min().unwrap_or(0)
        };
        (0..self.profile_count).map(of_profile).max().unwrap_or(0)
    }
}

struct Reader<'a> {
    model: &'a str,
    engine: &'a Engine,
    name: &'a str,
    text: &'a CString,
}

impl Reader<'_> {
    fn tensor(&self, is_input: bool, profile_count: usize) -> Result<PlanTensor> {
        let Reader { engine, text, .. } = *self;
        let known = engine.data_type(text).map_err(|number| format!("type {number}"));
        let known = known.and_then(|known| data_type(known).ok_or(format!("type {known:?}")));
        let data_type = known.map_err(|which| {
            self.unserveable(&format!("has elements of {which}, which no client can send or read"))
        })?;
        for profile in 0..profile_count as i32 {
            let format = engine.format(text, profile);
            if format != Ok(TensorFormat::Linear) {
                let described = engine.format_description(text, profile);
                let name = format.map_or_else(|number| format!("{number}"), |format| format!("{format:?}"));
                return Err(self.unserveable(&format!(
                    "is stored in format {name} ({described}), while tensors of requests are linear: build the plan with linear \
                     inputs and outputs (trtexec --inputIOFormats=fp32:chw --outputIOFormats=fp32:chw), from which TensorRT \
                     reformats by itself"
                )));
            }
        }
        let dims = engine.shape(text).ok_or_else(|| self.unserveable("has no shape"))?;
        let dims = dims.get().unwrap_or_default().to_vec();
        let mut tensor = PlanTensor {
            name: self.name.to_owned(),
            data_type,
            is_shape_tensor: engine.is_shape_tensor(text),
            on_host: engine.location(text) == TensorLocation::Host,
            ranges: Vec::new(),
            dims,
        };
        if is_input {
            tensor.ranges = (0..profile_count).map(|profile| self.range(&tensor, profile as i32)).collect();
        }
        Ok(tensor)
    }

    fn range(&self, tensor: &PlanTensor, profile: i32) -> Range {
        let shape = |which| {
            let dims = self.engine.profile_shape(self.text, profile, which);
            // An input without dimensions that vary is as the plan says under every profile.
            let dims = dims.and_then(|dims| dims.get().map(<[i64]>::to_vec));
            dims.filter(|dims| dims.len() == tensor.dims.len()).unwrap_or_else(|| tensor.dims.clone())
        };
        let mut range = Range {
            min: shape(Selector::Min),
            opt: shape(Selector::Opt),
            max: shape(Selector::Max),
            values: None,
        };
        let count: i64 = tensor.dims.iter().product();
        if tensor.is_shape_tensor && tensor.on_host && count > 0 {
            let values = |which| self.engine.profile_values(self.text, profile, which, count as usize);
            range.values = match [Selector::Min, Selector::Opt, Selector::Max].map(values) {
                [Some(min), Some(opt), Some(max)] => Some([min, opt, max]),
                _ => None,
            };
        }
        range
    }

    #[cold]
    fn unserveable(&self, why: &str) -> Error {
        Error::unsupported(format!(
            "unable to load model '{}', tensor '{}' of its plan {why}",
            self.model, self.name
        ))
    }
}

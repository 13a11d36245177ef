//! `softmax` and `topk`: post-processing of classifiers.

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_tensor::DataType;
use serde::Deserialize;

use super::labels::Labels;
use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Kind, Slot, TensorKind, Value, Values};
use hippocamp_detection::{classes_text, named_classes_text, softmax, top_k};

/// Softmax along the last dimension. An input of the model that no other step reads has one dimension.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Softmax {
    input: String,
    output: String,
}

#[derive(Clone, Debug)]
struct SoftmaxStep {
    input: Slot,
    output: Slot,
}

impl StepFile for Softmax {
    const OP: &'static str = "softmax";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let wanted = match ports.kind_of(&self.input) {
            Some(Kind::Tensor(kind)) => TensorKind { data_type: DataType::Fp32, dims: kind.dims.clone() },
            _ => TensorKind::new(DataType::Fp32, [-1]),
        };
        let (input, dims) = ports.read_tensor("input", &self.input, wanted);
        let kind = Kind::Tensor(TensorKind { data_type: DataType::Fp32, dims });
        Box::new(SoftmaxStep { input, output: ports.write("output", &self.output, kind) })
    }
}

impl Step for SoftmaxStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut output = values.take_tensor(self.output);
        let input = values.tensor(self.input)?;
        let width = input.dims().last().map_or(1, |&width| usize::try_from(width).unwrap_or(0));
        let numbers = output.begin::<f32>(input.dims())?;
        numbers.copy_from_slice(input.elements()?);
        softmax(numbers, width);
        values.set(self.output, Value::Tensor(output));
        Ok(())
    }
}

/// The `k` best of a row of scores, best first: their scores, their indices, and JSON text with labels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopK {
    input: String,
    k: usize,
    score: Option<String>,
    category: Option<String>,
    text: Option<String>,
    #[serde(default)]
    form: Form,
    #[serde(default)]
    labels: Labels,
}

/// The JSON of the classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// A list of objects with `score`, `category` and `label`.
    #[default]
    List,
    /// One object, each score under its label.
    Named,
}

#[derive(Clone, Debug)]
struct TopKStep {
    input: Slot,
    k: usize,
    score: Option<Slot>,
    category: Option<Slot>,
    text: Option<Slot>,
    form: Form,
    labels: Vec<String>,
}

impl StepFile for TopK {
    const OP: &'static str = "topk";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, dims) = ports.read_tensor("input", &self.input, TensorKind::new(DataType::Fp32, [-1]));
        let known = dims.first().and_then(|&classes| usize::try_from(classes).ok());
        if self.k == 0 || known.is_some_and(|classes| classes < self.k) {
            ports
                .fault("k", format!("it was expected to be from 1 to the number of classes, got {}", self.k));
        }
        let kind = |data_type| Kind::Tensor(TensorKind::new(data_type, [self.k as i64]));
        Box::new(TopKStep {
            input,
            k: self.k,
            score: ports.write_if_named("score", self.score.as_deref(), kind(DataType::Fp32)),
            category: ports.write_if_named("category", self.category.as_deref(), kind(DataType::Int32)),
            text: ports.write_if_named("text", self.text.as_deref(), Kind::Encoded),
            form: self.form,
            labels: self.labels.bind(ports),
        })
    }
}

impl Step for TopKStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let scores = values.tensor(self.input)?.elements::<f32>()?;
        let best = top_k(scores, self.k);
        if best.len() < self.k {
            let (k, all) = (self.k, scores.len());
            return Err(Error::invalid_arg(format!(
                "the best {k} of {all} scores were expected to be numbers"
            )));
        }
        if let Some(slot) = self.score {
            let mut tensor = values.take_tensor(slot);
            for (place, class) in tensor.begin::<f32>(&[self.k as i64])?.iter_mut().zip(&best) {
                *place = class.score;
            }
            values.set(slot, Value::Tensor(tensor));
        }
        if let Some(slot) = self.category {
            let mut tensor = values.take_tensor(slot);
            for (place, class) in tensor.begin::<i32>(&[self.k as i64])?.iter_mut().zip(&best) {
                *place = class.index as i32;
            }
            values.set(slot, Value::Tensor(tensor));
        }
        if let Some(slot) = self.text {
            let text = match self.form {
                Form::List => classes_text(&best, &self.labels),
                Form::Named => named_classes_text(&best, &self.labels),
            };
            values.set(slot, Value::Encoded(Bytes::from(text)));
        }
        Ok(())
    }
}

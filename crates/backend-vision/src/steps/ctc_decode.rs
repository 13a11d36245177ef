//! `ctc_decode`: the text of a line.

use bytes::Bytes;
use hippocamp_backend::Result;
use hippocamp_tensor::DataType;
use serde::Deserialize;

use super::labels::Labels;
use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Kind, Slot, TensorKind, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CtcDecode {
    input: String,
    output: String,
    /// The mean of the letters' probabilities.
    score: Option<String>,
    /// The letters of the classes from 1 on.
    letters: Labels,
}

#[derive(Clone, Debug)]
struct CtcDecodeStep {
    input: Slot,
    output: Slot,
    score: Option<Slot>,
    letters: std::sync::Arc<[String]>,
}

impl StepFile for CtcDecode {
    const OP: &'static str = "ctc_decode";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let rows = TensorKind::new(DataType::Fp32, [-1, -1]);
        let score = Kind::Tensor(TensorKind::new(DataType::Fp32, [1]));
        let letters = self.letters.bind_exactly("letters", ports);
        if letters.is_empty() {
            ports.fault("letters", "at least one letter was expected");
        }
        Box::new(CtcDecodeStep {
            input: ports.read_tensor("input", &self.input, rows).0,
            output: ports.write("output", &self.output, Kind::Encoded),
            score: ports.write_if_named("score", self.score.as_deref(), score),
            letters: letters.into(),
        })
    }
}

impl Step for CtcDecodeStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let rows = values.tensor(self.input)?;
        let classes = rows.dims().last().map_or(0, |&classes| usize::try_from(classes).unwrap_or(0));
        let read = hippocamp_detection::ctc_decode(rows.elements()?, classes, &self.letters);
        if let Some(slot) = self.score {
            let mut tensor = values.take_tensor(slot);
            tensor.begin::<f32>(&[1])?.copy_from_slice(&[read.score]);
            values.set(slot, Value::Tensor(tensor));
        }
        values.set(self.output, Value::Encoded(Bytes::from(read.text)));
        Ok(())
    }
}

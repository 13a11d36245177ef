//! `turn`: a picture that a classifier takes to be upside down, the right way up.

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::DataType;
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Affine, Kind, Pixels, Sample, Slot, TensorKind, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    input: String,
    /// The scores of 0 and 180 degrees.
    scores: String,
    output: String,
    /// The picture is turned if the score of 180 degrees is the higher one, and above this.
    #[serde(default)]
    threshold: f32,
}

#[derive(Clone, Debug)]
struct TurnStep {
    input: Slot,
    scores: Slot,
    output: Slot,
    threshold: f32,
}

impl StepFile for Turn {
    const OP: &'static str = "turn";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, kind) = ports.read_image("input", &self.input);
        if kind.sample != Sample::Uint8 {
            ports.fault("input", "a picture with UINT8 samples was expected");
        }
        let scores = TensorKind::new(DataType::Fp32, [2]);
        Box::new(TurnStep {
            input,
            scores: ports.read_tensor("scores", &self.scores, scores).0,
            output: ports.write("output", &self.output, Kind::Image(kind)),
            threshold: self.threshold,
        })
    }
}

impl Step for TurnStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut image = values.take_image(self.output);
        let from = values.image(self.input)?;
        let Pixels::U8(samples) = &from.pixels else {
            return Err(Error::internal("a picture was promised to have UINT8 samples"));
        };
        let &[upright, turned] = values.tensor(self.scores)?.elements::<f32>()? else {
            return Err(Error::invalid_arg("two scores were expected"));
        };
        let to = image.begin_u8(from.size, from.color)?;
        let mut to_raw = from.to_raw;
        if turned > upright && turned > self.threshold {
            let channels = from.channels();
            for (to, from) in to.chunks_exact_mut(channels).zip(samples.chunks_exact(channels).rev()) {
                to.copy_from_slice(from);
            }
            let (right, bottom) = (from.size.width as f64, from.size.height as f64);
            to_raw = to_raw * Affine::shift(right, bottom) * Affine::scale(-1.0, -1.0);
        } else {
            to.copy_from_slice(samples);
        }
        image.came_from(from.raw_size, to_raw);
        values.set(self.output, Value::Image(image));
        Ok(())
    }
}

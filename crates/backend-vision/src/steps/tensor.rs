//! `tensor`: the numbers that a network wants, made of a picture.

use hippocamp_backend::Result;
use hippocamp_tensor::DataType;
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{ImageKind, Kind, Pixels, Slot, TensorKind, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToTensor {
    input: String,
    output: String,
}

#[derive(Clone, Debug)]
struct ToTensorStep {
    input: Slot,
    output: Slot,
}

impl StepFile for ToTensor {
    const OP: &'static str = "tensor";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, ImageKind { size, color, .. }) = ports.read_image("input", &self.input);
        let [height, width] = size.map_or([-1; 2], |s| [s.height as i64, s.width as i64]);
        let kind = TensorKind::new(DataType::Fp32, [color.channels() as i64, height, width]);
        let output = ports.write("output", &self.output, Kind::Tensor(kind));
        Box::new(ToTensorStep { input, output })
    }
}

impl Step for ToTensorStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut tensor = values.take_tensor(self.output);
        let image = values.image(self.input)?;
        let (channels, size) = (image.channels(), image.size);
        let planes = tensor.begin::<f32>(&[channels as i64, size.height as i64, size.width as i64])?;
        if let Pixels::U8(samples) = &image.pixels {
            for (c, plane) in planes.chunks_exact_mut(size.pixels().max(1)).enumerate() {
                for (to, pixel) in plane.iter_mut().zip(samples.chunks_exact(channels)) {
                    *to = f32::from(pixel[c]);
                }
            }
        }
        values.set(self.output, Value::Tensor(tensor));
        Ok(())
    }
}

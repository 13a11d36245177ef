//! `encode`: encodes an image as a JPEG or PNG file.

use bytes::Bytes;
use hippocamp_backend::{Error, Result};
use hippocamp_drawing::Format;
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Color, Kind, Pixels, Sample, Slot, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encode {
    input: String,
    output: String,
    #[serde(default)]
    format: Kinds,
    #[serde(default = "ninety")]
    quality: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kinds {
    #[default]
    Jpeg,
    Png,
}

fn ninety() -> u8 {
    90
}

#[derive(Clone, Debug)]
struct EncodeStep {
    input: Slot,
    output: Slot,
    format: Format,
    /// Memory for images that have to be converted to RGB.
    scratch: Vec<u8>,
}

impl StepFile for Encode {
    const OP: &'static str = "encode";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, kind) = ports.read_image("input", &self.input);
        if kind.sample != Sample::Uint8 {
            ports.fault("input", "a picture with UINT8 samples was expected");
        }
        if !(1..=100).contains(&self.quality) {
            ports.fault("quality", format!("it was expected to be from 1 to 100, got {}", self.quality));
        }
        Box::new(EncodeStep {
            input,
            output: ports.write("output", &self.output, Kind::Encoded),
            format: if self.format == Kinds::Png { Format::Png } else { Format::Jpeg(self.quality) },
            scratch: Vec::new(),
        })
    }
}

impl Step for EncodeStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let image = values.image(self.input)?;
        let Pixels::U8(samples) = &image.pixels else {
            return Err(Error::internal("a picture was promised to have UINT8 samples"));
        };
        let samples = if image.color == Color::Bgr {
            self.scratch.clear();
            self.scratch.extend(samples.as_chunks().0.iter().flat_map(|&[b, g, r]| [r, g, b]));
            &self.scratch
        } else {
            samples
        };
        let file = hippocamp_drawing::encode(samples, image.size.width, image.size.height, self.format);
        let file = file.map_err(Error::invalid_arg)?;
        values.set(self.output, Value::Encoded(Bytes::from(file)));
        Ok(())
    }
}

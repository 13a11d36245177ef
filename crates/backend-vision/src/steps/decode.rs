//! `decode`: a picture out of a file's bytes.

use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use crate::pipeline::Ports;
use crate::step::{Step, StepFile};
use crate::value::{Affine, Color, ImageKind, Kind, Sample, Slot, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decode {
    input: String,
    output: String,
    #[serde(default)]
    color: Color,
}

#[derive(Clone, Debug)]
struct DecodeStep {
    input: Slot,
    output: Slot,
    color: Color,
}

impl StepFile for Decode {
    const OP: &'static str = "decode";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let kind = ImageKind { size: None, color: self.color, sample: Sample::Uint8 };
        Box::new(DecodeStep {
            input: ports.read_encoded("input", &self.input),
            output: ports.write("output", &self.output, Kind::Image(kind)),
            color: self.color,
        })
    }
}

impl Step for DecodeStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut image = values.take_image(self.output);
        let bytes = values.encoded(self.input)?;
        let decoded = image::load_from_memory(bytes)
            .map_err(|error| Error::invalid_arg(format!("the picture cannot be read: {error}")))?
            .to_rgb8();
        let size = crate::value::Size::new(decoded.width() as usize, decoded.height() as usize);
        image.begin_u8(size, self.color)?.copy_from_slice(&decoded);
        image.came_from(size, Affine::IDENTITY);
        values.set(self.output, Value::Image(image));
        Ok(())
    }
}

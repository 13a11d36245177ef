//! `line`: the picture of a line of text as a network's input: of one height, its width following up to the tensor's, zeros behind.

use hippocamp_backend::{Error, Result};
use hippocamp_tensor::DataType;
use serde::Deserialize;

use super::moved::{MAX_SIDE, check_size};
use crate::pipeline::Ports;
use crate::resample::{FixedPoint, Window};
use crate::step::{Step, StepFile};
use crate::value::{Color, Kind, Pixels, Sample, Size, Slot, TensorKind, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    input: String,
    output: String,
    height: usize,
    /// The tensor's width: a number, or the name of an INT32 tensor of one.
    width: Width,
    /// The order of the channels; by default the picture's.
    color: Option<Color>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Width {
    Fixed(usize),
    Value(String),
}

#[derive(Clone, Debug)]
struct LineStep {
    input: Slot,
    output: Slot,
    height: usize,
    width: usize,
    /// What tells the width instead.
    widths: Option<Slot>,
    is_reversed: bool,
    resized: Vec<u8>,
    resampler: Resampler,
}

/// Its memory is not copied with the step.
#[derive(Debug, Default)]
struct Resampler(FixedPoint);

impl Clone for Resampler {
    fn clone(&self) -> Self {
        Resampler::default()
    }
}

impl StepFile for Line {
    const OP: &'static str = "line";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, kind) = ports.read_image("input", &self.input);
        if kind.color.channels() != 3 || kind.sample != Sample::Uint8 {
            ports.fault("input", "a picture of three channels with UINT8 samples was expected");
        }
        let color = self.color.unwrap_or(kind.color);
        if color.channels() != 3 {
            ports.fault("color", "\"rgb\" or \"bgr\" was expected");
        }
        let (width, widths) = match self.width {
            Width::Fixed(width) => (width, None),
            Width::Value(name) => {
                let one = TensorKind::new(DataType::Int32, [1]);
                (1, Some(ports.read_tensor("width", &name, one).0))
            }
        };
        check_size(Size::new(width, self.height), ports);
        let dim = if widths.is_some() { -1 } else { width as i64 };
        let tensor = TensorKind::new(DataType::Fp32, [3, self.height as i64, dim]);
        Box::new(LineStep {
            input,
            output: ports.write("output", &self.output, Kind::Tensor(tensor)),
            height: self.height.max(1),
            width,
            widths,
            is_reversed: color != kind.color,
            resized: Vec::new(),
            resampler: Resampler::default(),
        })
    }
}

impl LineStep {
    fn width(&self, values: &Values) -> Result<usize> {
        let Some(widths) = self.widths else { return Ok(self.width) };
        let given = values.tensor(widths)?.elements::<i32>()?.first().copied().unwrap_or(0);
        match usize::try_from(given) {
            Ok(width @ 1..=MAX_SIDE) => Ok(width),
            _ => Err(Error::invalid_arg(format!("a width from 1 to {MAX_SIDE} was expected, got {given}"))),
        }
    }
}

impl Step for LineStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut tensor = values.take_tensor(self.output);
        let width = self.width(values)?;
        let image = values.image(self.input)?;
        let Pixels::U8(samples) = &image.pixels else {
            return Err(Error::internal("a picture was promised to have UINT8 samples"));
        };
        let shape = image.size.width as f64 / image.size.height.max(1) as f64;
        let inner = Size::new(((self.height as f64 * shape).ceil() as usize).clamp(1, width), self.height);
        let samples = if inner == image.size {
            samples
        } else {
            let count = 3 * inner.pixels();
            self.resized.clear();
            let no_memory =
                |_| Error::unavailable(format!("there is no memory for a line of {width} pixels"));
            self.resized.try_reserve(count).map_err(no_memory)?;
            self.resized.resize(count, 0);
            self.resampler.0.run(samples, image.size, &mut Window::whole_of(&mut self.resized, inner, 3));
            &self.resized
        };
        let to = tensor.begin::<f32>(&[3, self.height as i64, width as i64])?;
        for (channel, plane) in to.chunks_exact_mut(self.height * width).enumerate() {
            let channel = if self.is_reversed { 2 - channel } else { channel };
            let rows = plane.chunks_exact_mut(width).zip(samples.chunks_exact(3 * inner.width));
            for (row, from) in rows {
                let (text, padding) = row.split_at_mut(inner.width);
                for (to, pixel) in text.iter_mut().zip(from.as_chunks::<3>().0) {
                    *to = (f32::from(pixel[channel]) / 255.0 - 0.5) / 0.5;
                }
                padding.fill(0.0);
            }
        }
        values.set(self.output, Value::Tensor(tensor));
        Ok(())
    }
}

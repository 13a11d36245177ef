//! `tensor`: converts an image to a network's input: scales, normalises, casts and lays it out in one pass.

mod fraction;
mod number;

use hippocamp_backend::Result;
use serde::Deserialize;

use super::per_channel::PerChannel;
use crate::pipeline::Ports;
use crate::resample::Scalar;
use crate::step::{Step, StepFile};
use crate::value::{Color, Frame, Image, ImageKind, Kind, Pixels, Slot, TensorKind, Value, Values};
use fraction::Fraction;
use number::Number;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToTensor {
    input: String,
    output: String,
    #[serde(default)]
    data_type: Numbers,
    #[serde(default)]
    layout: Layout,
    /// The order of the channels; by default the image's.
    color: Option<Color>,
    /// The factor that samples are multiplied by first.
    #[serde(default)]
    scale: Fraction,
    /// Subtracted next: one number for each channel, or one for all.
    mean: Option<PerChannel>,
    /// Divided by last.
    std: Option<PerChannel>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Numbers {
    #[default]
    Fp32,
    Fp16,
    Uint8,
    Int8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Layout {
    /// Channels first.
    #[default]
    Nchw,
    /// Channels last.
    Nhwc,
}

#[derive(Clone, Debug)]
struct ToTensorStep<T> {
    input: Slot,
    output: Slot,
    layout: Layout,
    /// For each channel of the tensor: the channel of the image, and the conversion of its samples.
    channels: Vec<Channel<T>>,
}

#[derive(Clone, Debug)]
struct Channel<T> {
    source: usize,
    factor: f64,
    offset: f64,
    /// The converted value of each 8-bit sample.
    table: Box<[T; 256]>,
}

impl StepFile for ToTensor {
    const OP: &'static str = "tensor";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        match self.data_type {
            Numbers::Fp32 => self.bind_as::<f32>(ports),
            Numbers::Fp16 => self.bind_as::<half::f16>(ports),
            Numbers::Uint8 => self.bind_as::<u8>(ports),
            Numbers::Int8 => self.bind_as::<i8>(ports),
        }
    }
}

impl ToTensor {
    fn bind_as<T: Number>(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, ImageKind { size, color, .. }) = ports.read_image("input", &self.input);
        let channels = self.channels::<T>(color, ports);
        let [height, width] = size.map_or([-1; 2], |s| [s.height as i64, s.width as i64]);
        let kind = TensorKind::new(T::DATA_TYPE, self.layout.dims(channels.len() as i64, height, width));
        let output = ports.write("output", &self.output, Kind::Tensor(kind));
        Box::new(ToTensorStep { input, output, layout: self.layout, channels })
    }

    fn channels<T: Number>(&self, color: Color, ports: &mut Ports<'_, '_>) -> Vec<Channel<T>> {
        let wanted = self.color.unwrap_or(color);
        if wanted.channels() != color.channels() {
            ports.fault(
                "color",
                "between grey and colours the step 'color' leads; here channels only change places",
            );
        }
        let count = color.channels();
        let means = PerChannel::of("mean", self.mean.as_ref(), count, 0.0, ports);
        let stds = PerChannel::of("std", self.std.as_ref(), count, 1.0, ports);
        if !stds.iter().all(|std| std.is_finite() && *std != 0.0)
            || !means.iter().all(|mean| mean.is_finite())
        {
            ports.fault("std", "'mean' was expected to be finite, and 'std' not to be 0");
        }
        let channel = |(index, (mean, std)): (usize, (f64, f64))| {
            let source = if wanted == color { index } else { count - 1 - index };
            let (factor, offset) = (self.scale.0 / std, -mean / std);
            let table = Box::new(std::array::from_fn(|sample| T::nearest(sample as f64 * factor + offset)));
            Channel { source, factor, offset, table }
        };
        means.into_iter().zip(stds).enumerate().map(channel).collect()
    }
}

impl Layout {
    fn dims(self, channels: i64, height: i64, width: i64) -> [i64; 3] {
        match self {
            Layout::Nchw => [channels, height, width],
            Layout::Nhwc => [height, width, channels],
        }
    }
}

impl<T: Number> Step for ToTensorStep<T> {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut tensor = values.take_tensor(self.output);
        let image = values.image(self.input)?;
        let dims =
            self.layout.dims(self.channels.len() as i64, image.size.height as i64, image.size.width as i64);
        let to = tensor.begin::<T>(&dims)?;
        match &image.pixels {
            Pixels::U8(samples) => {
                self.write(image, samples, to, |channel, sample| channel.table[usize::from(sample)]);
            }
            Pixels::F32(samples) => self.write(image, samples, to, |channel, sample| {
                T::nearest(f64::from(sample) * channel.factor + channel.offset)
            }),
        }
        values.set(self.output, Value::Tensor(tensor));
        Ok(())
    }
}

impl<T: Number> ToTensorStep<T> {
    fn write<S: Scalar>(
        &self,
        image: &Image,
        from: &[S],
        to: &mut [T],
        number: impl Fn(&Channel<T>, S) -> T,
    ) {
        match (self.layout, self.channels.as_slice()) {
            (_, [grey]) => {
                for (to, sample) in to.iter_mut().zip(from) {
                    *to = number(grey, *sample);
                }
            }
            (Layout::Nchw, [a, b, c]) => planes(image, from, [a, b, c], to, number),
            (_, channels) => {
                let pixels = from.chunks_exact(channels.len().max(1));
                for (to, pixel) in to.chunks_exact_mut(channels.len().max(1)).zip(pixels) {
                    for (to, channel) in to.iter_mut().zip(channels) {
                        *to = number(channel, pixel[channel.source]);
                    }
                }
            }
        }
    }
}

/// Writes a plane for each of three channels. A border is filled without reading the image.
fn planes<S: Scalar, T: Copy>(
    image: &Image,
    from: &[S],
    channels: [&Channel<T>; 3],
    to: &mut [T],
    number: impl Fn(&Channel<T>, S) -> T,
) {
    let width = image.size.width;
    let all = Frame { corner: (0, 0), inner: image.size, color: [0.0; 3] };
    let frame = image.frame.unwrap_or(all);
    let ((left, top), right) = (frame.corner, frame.corner.0 + frame.inner.width);
    let rows = top * width..(top + frame.inner.height) * width;
    for (plane, channel) in to.chunks_exact_mut(image.size.pixels().max(1)).zip(channels) {
        let border = number(channel, S::from_f32(frame.color[channel.source]));
        plane[..rows.start].fill(border);
        plane[rows.end..].fill(border);
        for row in plane[rows.clone()].chunks_exact_mut(width) {
            row[..left].fill(border);
            row[right..].fill(border);
        }
    }
    let (first, rest) = to.split_at_mut(image.size.pixels());
    let (second, third) = rest.split_at_mut(image.size.pixels());
    let [a, b, c] = channels;
    let rows = first[rows.clone()]
        .chunks_exact_mut(width)
        .zip(second[rows.clone()].chunks_exact_mut(width))
        .zip(third[rows.clone()].chunks_exact_mut(width))
        .zip(from[3 * rows.start..3 * rows.end].chunks_exact(3 * width));
    for (((first, second), third), pixels) in rows {
        let (pixels, _) = pixels[3 * left..3 * right].as_chunks::<3>();
        let to = first[left..right].iter_mut().zip(&mut second[left..right]).zip(&mut third[left..right]);
        for (((first, second), third), pixel) in to.zip(pixels) {
            *first = number(a, pixel[a.source]);
            *second = number(b, pixel[b.source]);
            *third = number(c, pixel[c.source]);
        }
    }
}

//! `resize`: resizes the image.

use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use super::moved::{Canvas, MAX_PIXELS, MAX_SIDE, MatrixFile, MatrixPort, Rounding, check_size, resampler};
use crate::pipeline::Ports;
use crate::resample::{Coordinates, Method, Resampler, Window};
use crate::step::{Step, StepFile};
use crate::value::{Affine, ImageKind, Kind, Sample, Size, Slot, Value, Values};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resize {
    input: String,
    output: String,
    width: Option<usize>,
    height: Option<usize>,
    /// The new length of the shorter side; the aspect ratio is kept.
    shortest: Option<usize>,
    /// The length that the shorter side gets if it has less; the aspect ratio is kept.
    shortest_at_least: Option<usize>,
    /// The new length of the longer side; the aspect ratio is kept.
    longest: Option<usize>,
    /// How the length of the other side is rounded.
    #[serde(default)]
    rounding: Rounding,
    /// Sides are rounded to a multiple of this.
    multiple_of: Option<usize>,
    /// To which multiple: up by default.
    #[serde(default)]
    multiple: Multiple,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    coordinates: Coordinates,
    antialias: Option<bool>,
    #[serde(default)]
    data_type: Sample,
    matrix: Option<MatrixFile>,
}

#[derive(Clone, Debug)]
struct ResizeStep {
    input: Slot,
    output: Slot,
    target: Target,
    rounding: Rounding,
    multiple_of: usize,
    multiple: Multiple,
    sample: Sample,
    resampler: Resampler,
    matrix: Option<MatrixPort>,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Fixed(Size),
    Shortest(usize),
    ShortestAtLeast(usize),
    Longest(usize),
    /// The image's own size, before `multiple_of`.
    Own,
}

impl StepFile for Resize {
    const OP: &'static str = "resize";

    fn bind(self, ports: &mut Ports<'_, '_>) -> Box<dyn Step> {
        let (input, kind) = ports.read_image("input", &self.input);
        let target = self.target(ports);
        let multiple_of = self.multiple_of.unwrap_or(1);
        if multiple_of == 0 || multiple_of > MAX_SIDE {
            ports.fault("multiple_of", format!("'multiple_of' was expected to be from 1 to {MAX_SIDE}"));
        }
        // The size is known at load time unless it depends on the image.
        let size = match (target, kind.size) {
            (Target::Fixed(size), _) => Some(size),
            (_, Some(size)) => target.of(size, self.rounding).ok(),
            _ => None,
        };
        let size = size.map(|size| self.multiple.of(size, multiple_of.max(1)));
        if let Some(size) = size {
            check_size(size, ports);
        }
        let kind = ImageKind { size, sample: self.data_type, ..kind };
        Box::new(ResizeStep {
            input,
            output: ports.write("output", &self.output, Kind::Image(kind)),
            target,
            rounding: self.rounding,
            multiple_of: multiple_of.max(1),
            multiple: self.multiple,
            sample: self.data_type,
            resampler: resampler(self.method, self.coordinates, self.antialias, ports),
            matrix: MatrixFile::bind(self.matrix, ports),
        })
    }
}

impl Resize {
    fn target(&self, ports: &mut Ports<'_, '_>) -> Target {
        if let (Some(side @ 1..=MAX_SIDE), None, None) = (self.shortest_at_least, self.width, self.height)
            && (self.shortest, self.longest) == (None, None)
        {
            return Target::ShortestAtLeast(side);
        }
        match (self.width, self.height, self.shortest, self.longest) {
            (Some(width), Some(height), None, None) => Target::Fixed(Size::new(width, height)),
            (None, None, Some(side), None) if (1..=MAX_SIDE).contains(&side) => Target::Shortest(side),
            (None, None, None, Some(side)) if (1..=MAX_SIDE).contains(&side) => Target::Longest(side),
            (None, None, None, None) if self.multiple_of.is_some() && self.shortest_at_least.is_none() => {
                Target::Own
            }
            _ => {
                ports.fault(
                    "output",
                    "the size was expected as 'width' and 'height', 'shortest', 'shortest_at_least', 'longest', or 'multiple_of' alone",
                );
                Target::Own
            }
        }
    }
}

impl Target {
    fn of(self, size: Size, rounding: Rounding) -> Result<Size> {
        let keep = |from: usize, to: usize| {
            let scaled = |side: usize| match rounding {
                Rounding::Nearest => {
                    ((side as f64 * to as f64 / from as f64).round_ties_even() as usize).max(1)
                }
                Rounding::Floor => (side * to / from).max(1),
            };
            Size::new(scaled(size.width), scaled(size.height))
        };
        let wanted = match self {
            Target::Fixed(fixed) => fixed,
            Target::Shortest(length) => keep(size.width.min(size.height), length),
            Target::Longest(length) => keep(size.width.max(size.height), length),
            Target::ShortestAtLeast(length) if size.width.min(size.height) < length => {
                keep(size.width.min(size.height), length)
            }
            Target::Own | Target::ShortestAtLeast(_) => size,
        };
        self.check(size, wanted)?;
        Ok(wanted)
    }

    /// Refuses sides that are too long, and too many pixels: a very narrow image would make the other side so.
    fn check(self, from: Size, to: Size) -> Result<()> {
        let would =
            || format!("a picture of {}x{} would become {}x{}", from.width, from.height, to.width, to.height);
        if to.width > MAX_SIDE || to.height > MAX_SIDE {
            return Err(Error::invalid_arg(format!("{}, sides may have {MAX_SIDE} pixels", would())));
        }
        // What the step itself says is no wish of a request, and a large picture may stay large.
        let most = MAX_PIXELS.max(2 * from.pixels());
        if to.pixels() > most && !matches!(self, Target::Fixed(_)) {
            return Err(Error::invalid_arg(format!("{}, it may have {most} pixels", would())));
        }
        Ok(())
    }
}

/// Which multiple a side is rounded to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Multiple {
    #[default]
    Up,
    /// A half to the even one, as Python rounds; at least one.
    Nearest,
}

impl Multiple {
    fn of(self, size: Size, multiple_of: usize) -> Size {
        let rounded = |side: usize| match self {
            Multiple::Up => side.next_multiple_of(multiple_of),
            Multiple::Nearest => {
                ((side as f64 / multiple_of as f64).round_ties_even() as usize).max(1) * multiple_of
            }
        };
        Size::new(rounded(size.width), rounded(size.height))
    }
}

impl Step for ResizeStep {
    fn run(&mut self, values: &mut Values) -> Result<()> {
        let mut image = values.take_image(self.output);
        let from = values.image(self.input)?;
        let size = self.multiple.of(self.target.of(from.size, self.rounding)?, self.multiple_of);
        self.target.check(from.size, size)?;
        match Canvas::begin(&mut image, size, from.color, self.sample)? {
            Canvas::U8(samples) => {
                self.resampler.write_u8(from, Window::whole_of(samples, size, from.channels()))?;
            }
            Canvas::F32(samples) => {
                self.resampler.write_f32(from, Window::whole_of(samples, size, from.channels()))?;
            }
        }
        let factor = |from: usize, to: usize| from as f64 / to as f64;
        let to_source =
            Affine::scale(factor(from.size.width, size.width), factor(from.size.height, size.height));
        let to_raw = from.to_raw * to_source;
        image.came_from(from.raw_size, to_raw);
        values.set(self.output, Value::Image(image));
        MatrixPort::emit(self.matrix, to_raw, values)
    }
}

//! A picture in memory.

use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use super::{Affine, Sample};

/// In pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Size {
    pub(crate) fn new(width: usize, height: usize) -> Size {
        Size { width, height }
    }

    pub(crate) fn pixels(self) -> usize {
        self.width.saturating_mul(self.height)
    }
}

/// Which channels a pixel has, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Color {
    #[default]
    Rgb,
    Bgr,
    Grey,
}

impl Color {
    pub(crate) const fn channels(self) -> usize {
        match self {
            Color::Rgb | Color::Bgr => 3,
            Color::Grey => 1,
        }
    }
}

/// The samples of a picture, row after row, the channels of a pixel side by side.
#[derive(Debug)]
pub(crate) enum Pixels {
    U8(Vec<u8>),
    /// From 0 to 255 as well, but not rounded.
    F32(Vec<f32>),
}

/// A picture. Its memory is written again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Image {
    pub(crate) size: Size,
    pub(crate) color: Color,
    pub(crate) pixels: Pixels,
    /// The picture that it was made of, as it was decoded.
    pub(crate) raw_size: Size,
    /// From this picture's coordinates to those of the picture that it was made of.
    pub(crate) to_raw: Affine,
}

impl Default for Pixels {
    fn default() -> Self {
        Pixels::U8(Vec::new())
    }
}

impl Pixels {
    pub(crate) fn sample(&self) -> Sample {
        match self {
            Pixels::U8(_) => Sample::Uint8,
            Pixels::F32(_) => Sample::Fp32,
        }
    }
}

impl Image {
    /// Makes this a picture of that size and colour with 8-bit samples, and returns them to be written: they hold anything.
    pub(crate) fn begin_u8(&mut self, size: Size, color: Color) -> Result<&mut [u8]> {
        (self.size, self.color) = (size, color);
        if self.pixels.sample() != Sample::Uint8 {
            self.pixels = Pixels::U8(Vec::new());
        }
        let Pixels::U8(samples) = &mut self.pixels else { return Err(no_memory(size)) };
        make_room(samples, size, color)?;
        Ok(samples)
    }

    /// The same with samples that are not rounded.
    pub(crate) fn begin_f32(&mut self, size: Size, color: Color) -> Result<&mut [f32]> {
        (self.size, self.color) = (size, color);
        if self.pixels.sample() != Sample::Fp32 {
            self.pixels = Pixels::F32(Vec::new());
        }
        let Pixels::F32(samples) = &mut self.pixels else { return Err(no_memory(size)) };
        make_room(samples, size, color)?;
        Ok(samples)
    }

    pub(crate) fn channels(&self) -> usize {
        self.color.channels()
    }

    /// Gives memory of more bytes than that back.
    pub(crate) fn give_back(&mut self, kept: usize) {
        let bytes = match &self.pixels {
            Pixels::U8(samples) => samples.capacity(),
            Pixels::F32(samples) => samples.capacity() * size_of::<f32>(),
        };
        if bytes > kept {
            self.pixels = Pixels::default();
        }
    }

    /// Notes where this picture comes from.
    pub(crate) fn came_from(&mut self, raw_size: Size, to_raw: Affine) {
        (self.raw_size, self.to_raw) = (raw_size, to_raw);
    }
}

/// Sets the length without writing what was written before; new memory comes as zeros, untouched as yet.
fn make_room<T: Copy + Default>(samples: &mut Vec<T>, size: Size, color: Color) -> Result<()> {
    let count = size.pixels().checked_mul(color.channels()).ok_or_else(|| no_memory(size))?;
    if count > samples.capacity() {
        // The old memory goes first: a large picture shall not be there twice.
        *samples = Vec::new();
        samples.try_reserve_exact(count).map_err(|_| no_memory(size))?;
    }
    samples.resize(count, T::default());
    Ok(())
}

#[cold]
fn no_memory(size: Size) -> Error {
    Error::internal(format!("there is no memory for a picture of {}x{}", size.width, size.height))
}

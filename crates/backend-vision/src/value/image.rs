//! An image in memory.

use hippocamp_backend::{Error, Result};
use serde::Deserialize;

use super::{Affine, Sample};

/// Width and height in pixels.
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

/// The channels of a pixel and their order.
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

/// The samples of an image, row by row, channels last.
#[derive(Debug)]
pub(crate) enum Pixels {
    U8(Vec<u8>),
    /// Also from 0 to 255, but not rounded.
    F32(Vec<f32>),
}

/// A border of one colour, so that readers need not read its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    /// The upper left corner of the content.
    pub(crate) corner: (usize, usize),
    pub(crate) inner: Size,
    /// The samples of the border's colour.
    pub(crate) color: [f32; 3],
}

/// An image whose memory is reused for the next one.
#[derive(Debug, Default)]
pub(crate) struct Image {
    pub(crate) size: Size,
    pub(crate) color: Color,
    pub(crate) pixels: Pixels,
    /// The border, if one was drawn. Only a hint: the samples contain it.
    pub(crate) frame: Option<Frame>,
    /// The size of the decoded image from which it was made.
    pub(crate) raw_size: Size,
    /// The map from this image's coordinates to those of the decoded image.
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
    /// Resizes this to an image with 8-bit samples, and returns them to be overwritten; their content is undefined.
    pub(crate) fn begin_u8(&mut self, size: Size, color: Color) -> Result<&mut [u8]> {
        (self.size, self.color, self.frame) = (size, color, None);
        if self.pixels.sample() != Sample::Uint8 {
            self.pixels = Pixels::U8(Vec::new());
        }
        let Pixels::U8(samples) = &mut self.pixels else { return Err(no_memory(size)) };
        make_room(samples, size, color)?;
        Ok(samples)
    }

    /// Resizes this to an image with FP32 samples, as [`Image::begin_u8`] does.
    pub(crate) fn begin_f32(&mut self, size: Size, color: Color) -> Result<&mut [f32]> {
        (self.size, self.color, self.frame) = (size, color, None);
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

    /// Releases the memory if it is larger than `kept` bytes.
    pub(crate) fn give_back(&mut self, kept: usize) {
        let bytes = match &self.pixels {
            Pixels::U8(samples) => samples.capacity(),
            Pixels::F32(samples) => samples.capacity() * size_of::<f32>(),
        };
        if bytes > kept {
            self.pixels = Pixels::default();
        }
    }

    /// Sets size of and map to the decoded image.
    pub(crate) fn came_from(&mut self, raw_size: Size, to_raw: Affine) {
        (self.raw_size, self.to_raw) = (raw_size, to_raw);
    }
}

/// Sets the length without clearing old content; new memory is zeroed by the allocator.
fn make_room<T: Copy + Default>(samples: &mut Vec<T>, size: Size, color: Color) -> Result<()> {
    let count = size.pixels().checked_mul(color.channels()).ok_or_else(|| no_memory(size))?;
    if count > samples.capacity() {
        // The old memory is released first, so that there are never two large images.
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

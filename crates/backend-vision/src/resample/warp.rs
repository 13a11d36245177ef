//! Applies an affine map to an image, with bilinear interpolation.

use super::{Scalar, Window};
use crate::value::{Affine, Image, Pixels, Size};

/// Fraction bits of a fixed-point coordinate.
const FRACTION: u32 = 32;

/// The four source samples around each sample of a target row, and their weights. Positions are computed pixel by
/// pixel; interpolation runs over whole rows, so that the compiler vectorises it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warper {
    /// The samples at the upper left, upper right, lower left and lower right.
    around: [Vec<f32>; 4],
    /// The weights of the right and of the lower samples.
    right: Vec<f32>,
    down: Vec<f32>,
}

/// The source image, and the colour outside of it.
struct Source<'a, S> {
    samples: &'a [S],
    size: Size,
    channels: usize,
    pad: [f32; 3],
}

impl Warper {
    /// Fills the window. `to_source` maps its pixel coordinates to source coordinates.
    pub(crate) fn run<T: Scalar>(
        &mut self,
        from: &Image,
        to_source: Affine,
        pad: [f32; 3],
        to: &mut Window<'_, T>,
    ) {
        let (size, channels) = (from.size, from.channels());
        match &from.pixels {
            Pixels::U8(samples) => self.all(&Source { samples, size, channels, pad }, to_source, to),
            Pixels::F32(samples) => self.all(&Source { samples, size, channels, pad }, to_source, to),
        }
    }

    fn all<S: Scalar, T: Scalar>(&mut self, from: &Source<'_, S>, to_source: Affine, to: &mut Window<'_, T>) {
        let count = to.size().width * from.channels;
        for memory in self.around.iter_mut().chain([&mut self.right, &mut self.down]) {
            memory.resize(count, 0.0);
        }
        for y in 0..to.size().height {
            match from.channels {
                1 => self.gather::<1, S>(from, to_source, y),
                _ => self.gather::<3, S>(from, to_source, y),
            }
            self.mix(to.row(y));
        }
    }

    fn gather<const CHANNELS: usize, S: Scalar>(
        &mut self,
        from: &Source<'_, S>,
        to_source: Affine,
        row: usize,
    ) {
        let (column, line) = to_source.apply(0.0, row as f64);
        let [step_x, _, _, step_y, _, _] = to_source.0.map(fixed);
        let (mut x, mut y) = (fixed(column), fixed(line));
        let [upper_left, upper_right, lower_left, lower_right] = &mut self.around;
        let above = upper_left.chunks_exact_mut(CHANNELS).zip(upper_right.chunks_exact_mut(CHANNELS));
        let below = lower_left.chunks_exact_mut(CHANNELS).zip(lower_right.chunks_exact_mut(CHANNELS));
        let ways = self.right.chunks_exact_mut(CHANNELS).zip(self.down.chunks_exact_mut(CHANNELS));
        for ((above, below), (right, down)) in above.zip(below).zip(ways) {
            from.corners::<CHANNELS>((x >> FRACTION, y >> FRACTION), [above.0, above.1, below.0, below.1]);
            right.fill(fraction(x));
            down.fill(fraction(y));
            x = x.wrapping_add(step_x);
            y = y.wrapping_add(step_y);
        }
    }

    fn mix<T: Scalar>(&self, to: &mut [T]) {
        let [upper_left, upper_right, lower_left, lower_right] =
            self.around.each_ref().map(|samples| &samples[..to.len()]);
        let (right, down) = (&self.right[..to.len()], &self.down[..to.len()]);
        for i in 0..to.len() {
            let above = upper_left[i] + (upper_right[i] - upper_left[i]) * right[i];
            let below = lower_left[i] + (lower_right[i] - lower_left[i]) * right[i];
            to[i] = T::from_f32(above + (below - above) * down[i]);
        }
    }
}

impl<S: Scalar> Source<'_, S> {
    /// Reads the 2x2 pixels whose upper left one is at (x, y).
    #[inline]
    fn corners<const CHANNELS: usize>(&self, (x, y): (i64, i64), to: [&mut [f32]; 4]) {
        let (width, height) = (self.size.width as i64, self.size.height as i64);
        let is_inside = x >= 0 && y >= 0 && x < width - 1 && y < height - 1;
        if !is_inside {
            return self.corners_at_the_edge::<CHANNELS>((x, y), to);
        }
        let stride = self.size.width * CHANNELS;
        let start = y as usize * stride + x as usize * CHANNELS;
        let above = &self.samples[start..start + 2 * CHANNELS];
        let below = &self.samples[start + stride..start + stride + 2 * CHANNELS];
        for (to, from) in to.into_iter().zip([
            &above[..CHANNELS],
            &above[CHANNELS..],
            &below[..CHANNELS],
            &below[CHANNELS..],
        ]) {
            for channel in 0..CHANNELS {
                to[channel] = from[channel].to_f32();
            }
        }
    }

    #[cold]
    fn corners_at_the_edge<const CHANNELS: usize>(&self, (x, y): (i64, i64), to: [&mut [f32]; 4]) {
        let places = [(0, 0), (1, 0), (0, 1), (1, 1)];
        for ((right, down), to) in places.into_iter().zip(to) {
            match self.pixel::<CHANNELS>(x.saturating_add(right), y.saturating_add(down)) {
                Some(pixel) => to.iter_mut().zip(pixel).for_each(|(to, sample)| *to = sample.to_f32()),
                None => to.copy_from_slice(&self.pad[..CHANNELS]),
            }
        }
    }

    fn pixel<const CHANNELS: usize>(&self, x: i64, y: i64) -> Option<&[S]> {
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        if x >= self.size.width || y >= self.size.height {
            return None;
        }
        self.samples.get((y * self.size.width + x) * CHANNELS..)?.get(..CHANNELS)
    }
}

/// Converts a coordinate to fixed point. It saturates, which is far outside of any image.
fn fixed(value: f64) -> i64 {
    (value * (1u64 << FRACTION) as f64).round_ties_even() as i64
}

/// The fraction of a fixed-point coordinate, 0 to 1.
fn fraction(value: i64) -> f32 {
    const BITS: u32 = 24;
    let bits = (value >> (FRACTION - BITS)) as i32 & ((1 << BITS) - 1);
    bits as f32 * (1.0 / (1 << BITS) as f32)
}

//! Bilinear interpolation in floating point.

use super::{Scalar, Window};
use crate::value::Size;

/// Two samples of a row or column, and the weight of the second.
#[derive(Clone, Copy, Debug)]
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

/// How target positions map to source positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    HalfPixel,
    TfLegacy,
    /// Samples are only mixed where a target position spans two source positions, as `INTER_AREA` does when a side
    /// grows.
    Area,
}

#[derive(Debug, Default)]
pub(super) struct Bilinear {
    /// A tap for each target column; indices count samples, not pixels.
    columns: Vec<Tap>,
    /// The mix of two source rows.
    row: Vec<f32>,
}

impl Bilinear {
    pub(super) fn run<S: Scalar, T: Scalar>(
        &mut self,
        from: &[S],
        size: Size,
        places: Places,
        to: &mut Window<'_, T>,
    ) {
        let (channels, target) = (to.channels(), to.size());
        self.columns.clear();
        self.columns.extend((0..target.width).map(|x| {
            let tap = tap(x, size.width, target.width, places);
            Tap { first: tap.first * channels, second: tap.second * channels, ..tap }
        }));
        let stride = size.width * channels;
        self.row.resize(stride, 0.0);
        for y in 0..target.height {
            let Tap { first, second, weight } = tap(y, size.height, target.height, places);
            blend(
                &from[first * stride..][..stride],
                &from[second * stride..][..stride],
                weight,
                &mut self.row,
            );
            for (pixel, tap) in to.row(y).chunks_exact_mut(channels).zip(&self.columns) {
                let first = &self.row[tap.first..][..channels];
                let second = &self.row[tap.second..][..channels];
                for ((to, a), b) in pixel.iter_mut().zip(first).zip(second) {
                    *to = T::from_f32(a + (b - a) * tap.weight);
                }
            }
        }
    }
}

/// Mixes two rows. The compiler vectorises it.
fn blend<S: Scalar>(first: &[S], second: &[S], weight: f32, to: &mut [f32]) {
    for ((to, a), b) in to.iter_mut().zip(first).zip(second) {
        let a = a.to_f32();
        *to = a + (b.to_f32() - a) * weight;
    }
}

/// The tap of target position `at` when a side of length `from` becomes one of length `to`.
fn tap(at: usize, from: usize, to: usize, places: Places) -> Tap {
    let scale = from as f64 / to as f64;
    let place = match places {
        Places::HalfPixel => ((at as f64 + 0.5) * scale - 0.5).max(0.0),
        // Single precision, as in TensorFlow, for identical results.
        Places::TfLegacy => f64::from(at as f32 * (from as f32 / to as f32)),
        Places::Area => {
            let first = (at as f64 * scale).floor();
            first + ((at + 1) as f64 - (first + 1.0) / scale).max(0.0).fract()
        }
    };
    let first = (place as usize).min(from - 1);
    Tap { first, second: (first + 1).min(from - 1), weight: (place - first as f64) as f32 }
}

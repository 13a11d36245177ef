//! The weights of the source positions for a target position.

use std::f64::consts::PI;

/// The weight of a sample by its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// The triangle filter.
    Bilinear,
    /// Keys' cubic with a = -0.5.
    Bicubic,
    /// Lanczos with three lobes.
    Lanczos,
}

impl Filter {
    /// The distance from which on the weight is zero.
    fn support(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Lanczos => 3.0,
        }
    }

    fn at(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            _ if x >= self.support() => 0.0,
            Filter::Bilinear => 1.0 - x,
            Filter::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Filter::Bicubic => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            Filter::Lanczos => sinc(x) * sinc(x / 3.0),
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// The weights of one target position; they add up to 1.
#[derive(Debug, Default)]
pub(super) struct Taps {
    pub(super) weights: Vec<f64>,
}

impl Taps {
    /// Computes the weights of target position `at` when a side of length `from` becomes one of length `to`; returns
    /// the source position of the first weight.
    pub(super) fn set(&mut self, filter: Filter, at: usize, from: usize, to: usize) -> usize {
        let (scale, stretch, reach) = measures(filter, from, to);
        let center = (at as f64 + 0.5) * scale;
        // Truncation after adding one half, like Pillow; the number may be negative before `max`.
        let first = (center - reach + 0.5).max(0.0) as usize;
        let end = ((center + reach + 0.5) as usize).min(from);
        let distance = |place: usize| (place as f64 - center + 0.5) * (1.0 / stretch);
        self.weights.clear();
        self.weights.extend((first..end).map(|place| filter.at(distance(place))));
        let sum: f64 = self.weights.iter().sum();
        if sum != 0.0 {
            self.weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        first
    }

    /// The largest number of weights of any target position.
    pub(super) fn most(filter: Filter, from: usize, to: usize) -> usize {
        let (_, _, reach) = measures(filter, from, to);
        (2 * (reach.ceil() as usize) + 1).min(from)
    }
}

/// The length of a target position in source positions, the stretch of the filter, and its radius.
fn measures(filter: Filter, from: usize, to: usize) -> (f64, f64, f64) {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    (scale, stretch, filter.support() * stretch)
}

//! Shrinks images by the mean of the area that each pixel covers.

use super::{Scalar, Window};
use crate::value::Size;

#[derive(Debug, Default)]
pub(super) struct Area {
    columns: Cover,
    rows: Cover,
    /// The weighted sum of the source rows that one target row covers.
    sum: Vec<f32>,
}

/// Which source positions along one side each target position covers, with their weights.
#[derive(Debug, Default)]
struct Cover {
    /// For each target position the first source position, and the end of its weights.
    places: Vec<(usize, usize)>,
    /// The weights; they add up to 1 for each target position.
    weights: Vec<f32>,
}

impl Area {
    pub(super) fn run<S: Scalar, T: Scalar>(&mut self, from: &[S], size: Size, to: &mut Window<'_, T>) {
        let (channels, target) = (to.channels(), to.size());
        let stride = size.width * channels;
        self.columns.set(size.width, target.width);
        self.rows.set(size.height, target.height);
        self.sum.resize(stride, 0.0);
        for (y, (first, weights)) in self.rows.each().enumerate() {
            self.sum.fill(0.0);
            for (row, weight) in from[first * stride..].chunks_exact(stride).zip(weights) {
                add(row, *weight, &mut self.sum);
            }
            for (pixel, (first, weights)) in to.row(y).chunks_exact_mut(channels).zip(self.columns.each()) {
                mean(&self.sum[first * channels..], weights, pixel);
            }
        }
    }
}

/// Adds a weighted row. The compiler vectorises it.
fn add<S: Scalar>(row: &[S], weight: f32, sum: &mut [f32]) {
    for (sum, sample) in sum.iter_mut().zip(row) {
        *sum += sample.to_f32() * weight;
    }
}

fn mean<T: Scalar>(samples: &[f32], weights: &[f32], pixel: &mut [T]) {
    let channels = pixel.len();
    for (channel, to) in pixel.iter_mut().enumerate() {
        let samples = samples.iter().skip(channel).step_by(channels);
        *to = T::from_f32(samples.zip(weights).map(|(sample, weight)| sample * weight).sum());
    }
}

impl Cover {
    fn set(&mut self, from: usize, to: usize) {
        self.places.clear();
        self.weights.clear();
        let scale = from as f64 / to as f64;
        for place in 0..to {
            let (begin, end) = (place as f64 * scale, ((place + 1) as f64 * scale).min(from as f64));
            let first = begin as usize;
            let last = (end.ceil() as usize).clamp(first + 1, from);
            let covered = (first..last).map(|i| (end.min((i + 1) as f64) - begin.max(i as f64)).max(0.0));
            self.weights.extend(covered.map(|part| (part / (end - begin)) as f32));
            self.places.push((first, self.weights.len()));
        }
    }

    fn each(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let mut begin = 0;
        self.places.iter().map(move |(first, end)| {
            let weights = &self.weights[begin..*end];
            begin = *end;
            (*first, weights)
        })
    }
}

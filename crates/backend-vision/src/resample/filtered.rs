//! Convolution with a filter that widens as the image shrinks (antialiasing), as in Pillow's `resize` and
//! `antialias=True` of torchvision.
//!
//! Results identical to Pillow's need its order of work: rows are resized to the target's width and rounded to 8 bits,
//! then columns are computed from these. Only the rows that one target row needs are kept.

mod arithmetic;
mod taps;

use super::{Scalar, Window};
use crate::value::Size;
use arithmetic::Arithmetic;
pub(super) use arithmetic::{Fixed, Float};
pub(super) use taps::Filter;
use taps::Taps;

/// Tables and memory of one arithmetic, reused from image to image.
#[derive(Debug, Default)]
pub(super) struct Filtered<A: Arithmetic> {
    taps: Taps,
    columns: Vec<Column>,
    /// The weights of all columns, one after the other.
    weights: Vec<A::Number>,
    /// The weights of the current target row.
    row_weights: Vec<A::Number>,
    /// A ring of row pairs in the target's width: source rows `2 * n` and `2 * n + 1` are at `n` modulo the number of
    /// pairs.
    rows: Vec<A::Sample>,
    sums: Vec<A::Number>,
}

/// The source of a target column: its first sample in a row, and the number of weights.
#[derive(Clone, Copy, Debug)]
struct Column {
    first: usize,
    count: usize,
}

impl<A: Arithmetic> Filtered<A> {
    /// Resizes the image `from` to the window. `finish` converts a sample to the target's type.
    pub(super) fn run<S: Copy + Into<A::Sample>, T: Scalar>(
        &mut self,
        filter: Filter,
        from: &[S],
        size: Size,
        to: &mut Window<'_, T>,
        finish: impl Fn(A::Sample) -> T + Copy,
    ) {
        if to.channels() == 1 {
            self.run_channels::<1, S, T>(filter, from, size, to, finish);
        } else {
            self.run_channels::<3, S, T>(filter, from, size, to, finish);
        }
    }

    fn run_channels<const CHANNELS: usize, S: Copy + Into<A::Sample>, T: Scalar>(
        &mut self,
        filter: Filter,
        from: &[S],
        size: Size,
        to: &mut Window<'_, T>,
        finish: impl Fn(A::Sample) -> T + Copy,
    ) {
        let target = to.size();
        self.set_columns(filter, size.width, target.width, CHANNELS);
        let (stride, width) = (size.width * CHANNELS, target.width * CHANNELS);
        // A target row may begin and end within a pair.
        let kept = Taps::most(filter, size.height, target.height) / 2 + 2;
        self.rows.resize(kept * 2 * width, A::Sample::default());
        self.sums.resize(width, A::START);
        let mut narrowed = 0;
        for y in 0..target.height {
            let first = self.taps.set(filter, y, size.height, target.height);
            let end = first + self.taps.weights.len();
            for pair in narrowed.max(first / 2)..end.div_ceil(2) {
                // An odd last row is computed twice.
                let rows = [2 * pair, (2 * pair + 1).min(size.height - 1)];
                let samples = rows.map(|row| &from[row * stride..][..stride]);
                let narrow = self.rows[pair % kept * 2 * width..][..2 * width].split_at_mut(width);
                narrow_rows::<CHANNELS, A, S>(samples, &self.columns, &self.weights, narrow.into());
            }
            narrowed = narrowed.max(end.div_ceil(2));
            self.row_weights.clear();
            self.row_weights.extend(self.taps.weights.iter().map(|weight| A::weight(*weight)));
            self.sums.fill(A::START);
            for (row, weight) in (first..end).zip(&self.row_weights) {
                let place = (row / 2 % kept * 2 + row % 2) * width;
                add::<A>(&self.rows[place..][..width], *weight, &mut self.sums);
            }
            for (to, sum) in to.row(y).iter_mut().zip(&self.sums) {
                *to = finish(A::round(*sum));
            }
        }
    }

    fn set_columns(&mut self, filter: Filter, from: usize, to: usize, channels: usize) {
        self.columns.clear();
        self.weights.clear();
        for x in 0..to {
            let first = self.taps.set(filter, x, from, to);
            self.columns.push(Column { first: first * channels, count: self.taps.weights.len() });
            self.weights.extend(self.taps.weights.iter().map(|weight| A::weight(*weight)));
        }
    }
}

/// Resizes two rows to the target's width. Both at once take two thirds of the time of one after the other, because the
/// processor can overlap independent additions.
fn narrow_rows<const CHANNELS: usize, A: Arithmetic, S: Copy + Into<A::Sample>>(
    samples: [&[S]; 2],
    columns: &[Column],
    mut weights: &[A::Number],
    to: [&mut [A::Sample]; 2],
) {
    let [upper, lower] = to.map(|row| row.as_chunks_mut::<CHANNELS>().0);
    for ((upper, lower), column) in upper.iter_mut().zip(lower).zip(columns) {
        let (own, others) = weights.split_at(column.count);
        weights = others;
        let [above, below] = samples.map(|row| row[column.first..].as_chunks::<CHANNELS>().0);
        let mut sums = [[A::START; CHANNELS]; 2];
        for ((above, below), weight) in above.iter().zip(below).zip(own) {
            for channel in 0..CHANNELS {
                sums[0][channel] = A::add(sums[0][channel], above[channel].into(), *weight);
                sums[1][channel] = A::add(sums[1][channel], below[channel].into(), *weight);
            }
        }
        *upper = sums[0].map(A::round);
        *lower = sums[1].map(A::round);
    }
}

/// Adds weighted samples. The compiler vectorises it.
fn add<A: Arithmetic>(row: &[A::Sample], weight: A::Number, sums: &mut [A::Number]) {
    for (sum, sample) in sums.iter_mut().zip(row) {
        *sum = A::add(*sum, *sample, weight);
    }
}

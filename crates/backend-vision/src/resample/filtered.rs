//! Convolution with a filter that widens as the picture shrinks, so that every pixel of it counts: what Pillow's `resize`
//! does, and `antialias=True` in torchvision.
//!
//! Pillow's results to the last bit need its order of work: a row becomes as wide as the target and is rounded to 8 bits,
//! then columns are made of such rows. Only as many of these are kept as one row of the target is made of.

mod arithmetic;
mod taps;

use super::{Scalar, Window};
use crate::value::Size;
use arithmetic::Arithmetic;
pub(super) use arithmetic::{Fixed, Float};
pub(super) use taps::Filter;
use taps::Taps;

/// Tables and memory of one arithmetic, kept from picture to picture.
#[derive(Debug, Default)]
pub(super) struct Filtered<A: Arithmetic> {
    taps: Taps,
    columns: Vec<Column>,
    /// Of all columns, one after the other.
    weights: Vec<A::Number>,
    /// Of the row that is being made.
    row_weights: Vec<A::Number>,
    /// Rows of the target's width, in pairs: rows `2 * n` and `2 * n + 1` of the picture are at `n` modulo their number.
    rows: Vec<A::Sample>,
    sums: Vec<A::Number>,
}

/// What a column of the target is made of: the first sample in a row, and how many weights.
#[derive(Clone, Copy, Debug)]
struct Column {
    first: usize,
    count: usize,
}

impl<A: Arithmetic> Filtered<A> {
    /// Writes the picture `from` into the window, in the window's size. `finish` brings a sample to the target's type.
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
        // A row of the target may begin and end within a pair.
        let kept = Taps::most(filter, size.height, target.height) / 2 + 2;
        self.rows.resize(kept * 2 * width, A::Sample::default());
        self.sums.resize(width, A::START);
        let mut narrowed = 0;
        for y in 0..target.height {
            let first = self.taps.set(filter, y, size.height, target.height);
            let end = first + self.taps.weights.len();
            for pair in narrowed.max(first / 2)..end.div_ceil(2) {
                // The last row may have none beside it, and is then made twice.
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

/// Two rows in the target's width. Both at once take two thirds of the time that one after the other would: the processor
/// has additions to do that do not wait for each other.
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

/// The compiler makes vectors of it.
fn add<A: Arithmetic>(row: &[A::Sample], weight: A::Number, sums: &mut [A::Number]) {
    for (sum, sample) in sums.iter_mut().zip(row) {
        *sum = A::add(*sum, *sample, weight);
    }
}

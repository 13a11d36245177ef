//! Copies the nearest sample.

use super::{Scalar, Window};
use crate::value::Size;

/// Resizes an image. `columns` is reused memory.
pub(super) fn run<S: Scalar, T: Scalar>(
    from: &[S],
    size: Size,
    columns: &mut Vec<usize>,
    to: &mut Window<'_, T>,
) {
    let (channels, target) = (to.channels(), to.size());
    columns.clear();
    columns.extend((0..target.width).map(|x| place(x, size.width, target.width) * channels));
    let stride = size.width * channels;
    for y in 0..target.height {
        let row = &from[place(y, size.height, target.height) * stride..][..stride];
        for (pixel, at) in to.row(y).chunks_exact_mut(channels).zip(&*columns) {
            for (to, sample) in pixel.iter_mut().zip(&row[*at..]) {
                *to = T::from_f32(sample.to_f32());
            }
        }
    }
}

fn place(at: usize, from: usize, to: usize) -> usize {
    ((at as f64 * (from as f64 / to as f64)) as usize).min(from - 1)
}

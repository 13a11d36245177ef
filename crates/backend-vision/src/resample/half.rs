//! Halves an image: the mean of four pixels, which is the result of both bilinear and area. OpenCV has the same special
//! case.

use super::Window;
use crate::value::Size;

/// Whether `from` is exactly twice as large as `to`.
pub(super) fn is_half(from: Size, to: Size) -> bool {
    from.width == 2 * to.width && from.height == 2 * to.height
}

/// Halves an 8-bit image. `means` is reused memory.
pub(super) fn run(from: &[u8], size: Size, means: &mut Vec<u8>, to: &mut Window<'_, u8>) {
    let stride = size.width * to.channels();
    means.resize(stride, 0);
    for (y, rows) in from.chunks_exact(2 * stride).enumerate() {
        let (above, below) = rows.split_at(stride);
        if to.channels() == 1 {
            halve::<1, 2>(above, below, means, to.row(y));
        } else {
            halve::<3, 6>(above, below, means, to.row(y));
        }
    }
}

/// Halves two rows. The means of all neighbouring pixels are computed, every other one in vain: that way the compiler can
/// use vectors.
fn halve<const CHANNELS: usize, const PAIR: usize>(
    above: &[u8],
    below: &[u8],
    means: &mut [u8],
    to: &mut [u8],
) {
    let right = above[CHANNELS..].iter().zip(&below[CHANNELS..]);
    for (((mean, a), b), (c, d)) in means.iter_mut().zip(above).zip(below).zip(right) {
        let sum = u16::from(*a) + u16::from(*b) + u16::from(*c) + u16::from(*d);
        *mean = ((sum + 2) >> 2) as u8;
    }
    let (pairs, _) = means.as_chunks::<PAIR>();
    let (pixels, _) = to.as_chunks_mut::<CHANNELS>();
    for (pixel, pair) in pixels.iter_mut().zip(pairs) {
        pixel.copy_from_slice(&pair[..CHANNELS]);
    }
}

//! Halves an image: the mean of four pixels, which is the result of both bilinear and area. OpenCV has the same special
//! case.

use super::Window;
use crate::value::Size;

/// Whether `from` is exactly twice as large as `to`.
pub(super) fn is_half(from: Size, to: Size) -> bool {
    from.width == 2 * to.width && from.height == 2 * to.height
}

/// Halves an 8-bit image. `sums` is reused memory.
pub(super) fn run(from: &[u8], size: Size, sums: &mut Vec<u16>, to: &mut Window<'_, u8>) {
    let stride = size.width * to.channels();
    sums.resize(stride, 0);
    for (y, rows) in from.chunks_exact(2 * stride).enumerate() {
        let (above, below) = rows.split_at(stride);
        for ((sum, above), below) in sums.iter_mut().zip(above).zip(below) {
            *sum = u16::from(*above) + u16::from(*below);
        }
        if to.channels() == 1 {
            mean::<1, 2>(sums, to.row(y));
        } else {
            mean::<3, 6>(sums, to.row(y));
        }
    }
}

/// The means of neighbouring pixels in `sums`, each already the sum of two rows.
fn mean<const CHANNELS: usize, const PAIR: usize>(sums: &[u16], to: &mut [u8]) {
    let (pairs, _) = sums.as_chunks::<PAIR>();
    let (pixels, _) = to.as_chunks_mut::<CHANNELS>();
    for (pixel, pair) in pixels.iter_mut().zip(pairs) {
        for channel in 0..CHANNELS {
            pixel[channel] = ((pair[channel] + pair[CHANNELS + channel] + 2) >> 2) as u8;
        }
    }
}

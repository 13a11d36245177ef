//! Bilinear interpolation of 8-bit samples by the fixed-point numbers of OpenCV's `INTER_LINEAR`: the same to the last bit.

use super::Window;
use crate::value::Size;

/// Weights are parts of this.
const ONE: f32 = 2048.0;

#[derive(Clone, Copy, Debug)]
struct Tap {
    first: usize,
    second: usize,
    weights: [i32; 2],
}

#[derive(Debug, Default)]
pub(crate) struct FixedPoint {
    columns: Vec<Tap>,
    /// Two source rows, resized to the target's width, and which ones they are.
    rows: [(Option<usize>, Vec<i32>); 2],
}

impl FixedPoint {
    pub(crate) fn run(&mut self, from: &[u8], size: Size, to: &mut Window<'_, u8>) {
        let (channels, target) = (to.channels(), to.size());
        self.columns.clear();
        self.columns.extend((0..target.width).map(|x| {
            // A column beyond the picture is the last one alone; a row keeps its weights, which loses other bits.
            let (place, weight) = position(x, size.width, target.width);
            let (place, weight) = match usize::try_from(place) {
                Err(_) => (0, 0.0),
                Ok(place) if place + 1 >= size.width => (size.width - 1, 0.0),
                Ok(place) => (place, weight),
            };
            let second = (place + 1).min(size.width - 1);
            Tap { first: place * channels, second: second * channels, weights: weights(weight) }
        }));
        for (row, samples) in &mut self.rows {
            *row = None;
            samples.clear();
            samples.resize(target.width * channels, 0);
        }
        for y in 0..target.height {
            let (place, weight) = position(y, size.height, target.height);
            let within = |row: i64| usize::try_from(row).unwrap_or(0).min(size.height - 1);
            let (first, second) = (within(place), within(place + 1));
            if self.rows[0].0 != Some(first) {
                self.rows.swap(0, 1);
            }
            self.fill(0, first, from, size, channels);
            if second != first {
                self.fill(1, second, from, size, channels);
            }
            let [(_, above), (_, below)] = &self.rows;
            let below = if second == first { above } else { below };
            let [a, b] = weights(weight);
            for ((to, above), below) in to.row(y).iter_mut().zip(above).zip(below) {
                let sum = ((a * (above >> 4)) >> 16) + ((b * (below >> 4)) >> 16);
                *to = ((sum + 2) >> 2).clamp(0, 255) as u8;
            }
        }
    }

    fn fill(&mut self, which: usize, row: usize, from: &[u8], size: Size, channels: usize) {
        if self.rows[which].0 == Some(row) {
            return;
        }
        self.rows[which].0 = Some(row);
        let stride = size.width * channels;
        let samples = &from[row * stride..][..stride];
        for (pixel, tap) in self.rows[which].1.chunks_exact_mut(channels).zip(&self.columns) {
            let (first, second) = (&samples[tap.first..][..channels], &samples[tap.second..][..channels]);
            for ((to, &a), &b) in pixel.iter_mut().zip(first).zip(second) {
                *to = i32::from(a) * tap.weights[0] + i32::from(b) * tap.weights[1];
            }
        }
    }
}

/// Where a target position begins in the source, and the weight of the next one.
fn position(at: usize, from: usize, to: usize) -> (i64, f32) {
    let place = ((at as f64 + 0.5) * (from as f64 / to as f64) - 0.5) as f32;
    let first = place.floor();
    (first as i64, place - first)
}

fn weights(second: f32) -> [i32; 2] {
    [(1.0 - second) * ONE, second * ONE].map(|weight| weight.round_ties_even() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(from: &[u8], (width, height): (usize, usize), to: (usize, usize)) -> Vec<u8> {
        let size = Size::new(to.0, to.1);
        let mut samples = vec![0; to.0 * to.1];
        FixedPoint::default().run(
            from,
            Size::new(width, height),
            &mut Window::whole_of(&mut samples, size, 1),
        );
        samples
    }

    /// Of OpenCV 5.0: `cv2.resize(np.array([[0, 100, 255], [50, 7, 3]], np.uint8), (5, 4))`.
    #[test]
    fn is_as_opencv_has_it() {
        let got = resized(&[0, 100, 255, 50, 7, 3], (3, 2), (5, 4));
        assert_eq!(got, [0, 40, 100, 193, 255, 13, 38, 77, 146, 192, 38, 34, 30, 52, 66, 50, 33, 7, 4, 3]);
        assert_eq!(resized(&[9, 9, 9, 9], (2, 2), (1, 1)), [9]);
        assert_eq!(resized(&[7], (1, 1), (3, 2)), [7; 6]);
    }
}

//! A quadrilateral of a picture as an upright one: bicubic as OpenCV's `warpPerspective`, the rim repeated.

use hippocamp_backend::{Error, Result};

/// OpenCV's parameter of its cubic.
const A: f32 = -0.75;

/// Samples of a picture of three channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) samples: &'a [u8],
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// The map from an upright picture to a quadrilateral: a 3x3 matrix without its last number, which is 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Perspective([f64; 8]);

impl Perspective {
    /// The map from a picture of `size` to the corners `quad`: upper left, upper right, lower right, lower left.
    ///
    /// # Errors
    /// If three of the corners are on one line.
    pub(crate) fn to_quad(quad: &[[f32; 2]; 4], (width, height): (usize, usize)) -> Result<Perspective> {
        let (width, height) = (width as f64, height as f64);
        let corners = [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]];
        let mut rows = [[0.0f64; 9]; 8];
        for (at, ([x, y], to)) in corners.into_iter().zip(quad).enumerate() {
            let [u, v] = to.map(f64::from);
            rows[at] = [x, y, 1.0, 0.0, 0.0, 0.0, -x * u, -y * u, u];
            rows[at + 4] = [0.0, 0.0, 0.0, x, y, 1.0, -x * v, -y * v, v];
        }
        let solved = solve(rows).ok_or_else(|| {
            Error::invalid_arg(format!("the corners {quad:?} were expected to be those of a quadrilateral"))
        })?;
        Ok(Perspective(solved))
    }

    /// Writes the upright picture.
    pub(crate) fn write(&self, from: Source<'_>, width: usize, to: &mut [u8]) {
        for (y, row) in to.chunks_exact_mut((3 * width).max(1)).enumerate() {
            for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                *pixel = from.cubic(self.of(x as f64, y as f64));
            }
        }
    }

    fn of(&self, x: f64, y: f64) -> (f64, f64) {
        let map = &self.0;
        let row = |first: usize, last: f64| map[first] * x + map[first + 1] * y + last;
        let depth = row(6, 1.0);
        let factor = if depth == 0.0 { 0.0 } else { 1.0 / depth };
        (row(0, map[2]) * factor, row(3, map[5]) * factor)
    }
}

impl Source<'_> {
    fn cubic(&self, (x, y): (f64, f64)) -> [u8; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (across, down) = (weights((x - left) as f32), weights((y - top) as f32));
        let (left, top) = (left as i64, top as i64);
        let within = |at: i64, side: usize| at.clamp(0, side as i64 - 1) as usize;
        let columns: [usize; 4] =
            std::array::from_fn(|at| 3 * within(left.saturating_add(at as i64 - 1), self.width));
        let mut sums = [0.0f32; 3];
        for (at, weight) in down.into_iter().enumerate() {
            let row = within(top.saturating_add(at as i64 - 1), self.height) * 3 * self.width;
            let samples = &self.samples[row..][..3 * self.width];
            for (channel, sum) in sums.iter_mut().enumerate() {
                let part: f32 = columns
                    .iter()
                    .zip(across)
                    .map(|(column, weight)| f32::from(samples[column + channel]) * weight)
                    .sum();
                *sum += part * weight;
            }
        }
        sums.map(|sum| sum.round_ties_even() as u8)
    }
}

fn weights(x: f32) -> [f32; 4] {
    let (near, rest) = (x + 1.0, 1.0 - x);
    let first = ((A * near - 5.0 * A) * near + 8.0 * A) * near - 4.0 * A;
    let second = ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let third = ((A + 2.0) * rest - (A + 3.0)) * rest * rest + 1.0;
    [first, second, third, 1.0 - first - second - third]
}

/// Gauss's elimination with the largest pivots. `None` if there is no single solution.
fn solve(mut rows: [[f64; 9]; 8]) -> Option<[f64; 8]> {
    for column in 0..8 {
        let pivot = (column..8).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        rows.swap(column, pivot);
        let lead = rows[column];
        if lead[column].is_nan() || lead[column].abs() < 1e-9 {
            return None;
        }
        for row in (0..8).filter(|&row| row != column) {
            let factor = rows[row][column] / lead[column];
            for (number, lead) in rows[row].iter_mut().zip(lead) {
                *number -= factor * lead;
            }
        }
    }
    Some(std::array::from_fn(|at| rows[at][8] / rows[at][at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize) -> Vec<u8> {
        (0..width * height).flat_map(|at| [(at * 37) as u8, (at * 11) as u8, (at * 5 + 3) as u8]).collect()
    }

    fn taken(quad: [[f32; 2]; 4], size: (usize, usize)) -> Vec<u8> {
        let samples = picture(9, 7);
        let source = Source { samples: &samples, width: 9, height: 7 };
        let mut to = vec![0; 3 * size.0 * size.1];
        Perspective::to_quad(&quad, size).unwrap().write(source, size.0, &mut to);
        to
    }

    #[test]
    fn an_upright_part_is_itself() {
        let samples = picture(9, 7);
        let got = taken([[2.0, 1.0], [6.0, 1.0], [6.0, 4.0], [2.0, 4.0]], (4, 3));
        let want: Vec<u8> = (1..4).flat_map(|y| samples[3 * (y * 9 + 2)..][..12].to_vec()).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn what_lies_outside_is_the_rim() {
        let samples = picture(9, 7);
        let got = taken([[-5.0, -5.0], [-2.0, -5.0], [-2.0, -2.0], [-5.0, -2.0]], (3, 3));
        assert!(got.chunks(3).all(|pixel| pixel == &samples[..3]));
    }

    #[test]
    fn corners_on_one_line_are_refused() {
        assert!(Perspective::to_quad(&[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], (4, 4)).is_err());
        assert!(Perspective::to_quad(&[[f32::NAN; 2]; 4], (4, 4)).is_err());
    }
}

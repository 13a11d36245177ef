//! Finds the peaks of a heat map: cells that are at least as large as their eight neighbours.

use crate::best::{Best, Candidate};
use crate::sigmoid;

/// The number of cells that are processed at once.
const CHUNK: usize = 64;

/// Below [`FLAT`], two values that differ by less than this may be equal after the sigmoid.
const SAME: f32 = 1e-5;

/// From this value on the sigmoid is so flat that values that differ by more than [`SAME`] may become equal.
const FLAT: f32 = 4.0;

/// The settings of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peaks {
    /// Whether to compare values as they are after the sigmoid, where large ones become equal.
    pub(super) sigmoid: bool,
    pub(super) one_class_per_cell: bool,
}

impl Peaks {
    /// The best `k` peaks with a score above `threshold`, best first. Indices run through all classes; scores are as in
    /// the map, before the sigmoid.
    pub(super) fn best(
        self,
        heat: &[f32],
        cells: usize,
        width: usize,
        k: usize,
        threshold: f32,
    ) -> Vec<Candidate> {
        let threshold = if self.sigmoid { before_sigmoid(threshold) } else { threshold };
        let mut best = Best::new(k, threshold);
        if !self.one_class_per_cell {
            for (class, map) in heat.chunks_exact(cells).enumerate() {
                let first = (class * cells) as u32;
                self.find(map, width, best.cut(), |index, score| {
                    best.push(score, first + index as u32);
                    best.cut()
                });
            }
            return best.finish();
        }
        let mut scores = vec![f32::NEG_INFINITY; cells];
        let mut classes = vec![0u32; cells];
        for (class, map) in heat.chunks_exact(cells).enumerate() {
            self.find(map, width, threshold, |index, score| {
                if score > scores[index] {
                    (scores[index], classes[index]) = (score, class as u32);
                }
                threshold
            });
        }
        for (index, &score) in scores.iter().enumerate() {
            best.push(score, index as u32);
        }
        let mut found = best.finish();
        for peak in &mut found {
            peak.index += classes[peak.index as usize] * cells as u32;
        }
        found
    }

    /// Calls `take` with the index and the value of each peak above `cut`; `take` returns the new cut.
    ///
    /// Each row takes two passes without branches: the largest of three rows for each column, then the largest of three
    /// columns against the cell itself. Only chunks with a peak are examined cell by cell.
    fn find(self, map: &[f32], width: usize, mut cut: f32, mut take: impl FnMut(usize, f32) -> f32) {
        let rows = map.len() / width;
        // One column of padding on either side, smaller than every value.
        let mut tallest = vec![f32::NEG_INFINITY; width + 2];
        let mut around = vec![0.0; width];
        let row_of = |y: usize| &map[y * width..(y + 1) * width];
        for y in 0..rows {
            let row = row_of(y);
            let (above, below) = (row_of(y.saturating_sub(1)), row_of((y + 1).min(rows - 1)));
            for (((largest, &a), &b), &c) in tallest[1..=width].iter_mut().zip(above).zip(row).zip(below) {
                *largest = larger(larger(a, b), c);
            }
            let columns = tallest.iter().zip(&tallest[1..]).zip(&tallest[2..]);
            for (largest, ((&a, &b), &c)) in around.iter_mut().zip(columns) {
                *largest = larger(larger(a, b), c);
            }
            for (chunk, (values, around)) in row.chunks(CHUNK).zip(around.chunks(CHUNK)).enumerate() {
                let mut flags = [false; CHUNK];
                self.flag(values, around, cut, &mut flags);
                if !flags.iter().fold(false, |any, &flag| any | flag) {
                    continue;
                }
                for (x, (&value, &around)) in values.iter().zip(around).enumerate() {
                    if flags[x] && self.is_peak(value, around) {
                        cut = take(y * width + chunk * CHUNK + x, value);
                    }
                }
            }
        }
    }

    /// Marks the cells that may be peaks.
    #[allow(
        clippy::needless_bitwise_bool,
        reason = "a branch would keep the compiler from making vectors of it"
    )]
    fn flag(self, values: &[f32], around: &[f32], cut: f32, flags: &mut [bool; CHUNK]) {
        let cells = flags.iter_mut().zip(values).zip(around);
        if self.sigmoid {
            for ((flag, &value), &around) in cells {
                *flag = (value > cut) & ((around - value <= SAME) | (value > FLAT));
            }
        } else {
            for ((flag, &value), &around) in cells {
                *flag = (value > cut) & (value >= around);
            }
        }
    }

    fn is_peak(self, value: f32, around: f32) -> bool {
        value >= around || (self.sigmoid && sigmoid(value) >= sigmoid(around))
    }
}

/// The larger of two numbers, as one instruction. NaN is ignored on one side only.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The inverse of the sigmoid.
fn before_sigmoid(score: f32) -> f32 {
    if score <= 0.0 {
        f32::NEG_INFINITY
    } else if score >= 1.0 {
        f32::INFINITY
    } else {
        (score / (1.0 - score)).ln()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Peaks = Peaks { sigmoid: false, one_class_per_cell: false };

    /// The reference implementation: compares each cell with each neighbour.
    fn naive(heat: &[f32], cells: usize, width: usize, score: impl Fn(f32) -> f32) -> Vec<(u32, f32)> {
        let (width, height) = (width as i64, (cells / width) as i64);
        let mut found = Vec::new();
        for (class, map) in heat.chunks(cells).enumerate() {
            for y in 0..height {
                for x in 0..width {
                    let neighbours = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (x + dx, y + dy)));
                    let inside =
                        neighbours.filter(|&(x, y)| (0..width).contains(&x) && (0..height).contains(&y));
                    let value = score(map[(y * width + x) as usize]);
                    if inside.clone().all(|(x, y)| value >= score(map[(y * width + x) as usize])) {
                        found.push(((class * cells) as u32 + (y * width + x) as u32, value));
                    }
                }
            }
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }

    fn maps() -> impl Strategy<Value = (Vec<f32>, usize, usize)> {
        (1usize..4, 1usize..9, 1usize..150).prop_flat_map(|(classes, height, width)| {
            let values = prop::collection::vec((0i8..30).prop_map(f32::from), classes * height * width);
            (values, Just(height * width), Just(width))
        })
    }

    proptest! {
        #[test]
        fn peaks_are_those_found_cell_by_cell((heat, cells, width) in maps(), k in 1usize..60) {
            let got = PLAIN.best(&heat, cells, width, k, f32::NEG_INFINITY);
            let mut want = naive(&heat, cells, width, |value| value);
            want.truncate(k);
            prop_assert_eq!(got.iter().map(|c| (c.index, c.score)).collect::<Vec<_>>(), want);
        }

        #[test]
        fn behind_the_sigmoid_large_values_are_the_same((heat, cells, width) in maps()) {
            let peaks = Peaks { sigmoid: true, ..PLAIN };
            let mut got: Vec<u32> =
                peaks.best(&heat, cells, width, heat.len(), 0.0).iter().map(|c| c.index).collect();
            let mut want: Vec<u32> = naive(&heat, cells, width, sigmoid).iter().map(|p| p.0).collect();
            got.sort_unstable();
            want.sort_unstable();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn a_cell_may_have_only_its_best_class((heat, cells, width) in maps(), threshold in 0i8..20) {
            let threshold = f32::from(threshold);
            let peaks = Peaks { one_class_per_cell: true, ..PLAIN };
            let mut want: Vec<(u32, f32)> = Vec::new();
            let mut seen = vec![false; cells];
            for (index, score) in naive(&heat, cells, width, |value| value) {
                if score > threshold && !std::mem::replace(&mut seen[index as usize % cells], true) {
                    want.push((index, score));
                }
            }
            // Equal scores are ordered by cell, not by class.
            want.sort_by(|a, b| b.1.total_cmp(&a.1).then((a.0 % cells as u32).cmp(&(b.0 % cells as u32))));
            let got = peaks.best(&heat, cells, width, heat.len(), threshold);
            prop_assert_eq!(got.iter().map(|c| (c.index, c.score)).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn nan_is_no_peak_and_disturbs_only_its_neighbours() {
        let mut heat = vec![0.0; 25];
        (heat[0], heat[24], heat[10]) = (f32::NAN, f32::NAN, 1.0);
        let found: Vec<u32> = PLAIN.best(&heat, 25, 5, 10, 0.0).iter().map(|c| c.index).collect();
        assert_eq!(found, [10]);
    }

    #[test]
    fn thresholds_are_scores_behind_the_sigmoid() {
        assert_eq!(before_sigmoid(0.5), 0.0);
        assert_eq!(before_sigmoid(-1.0), f32::NEG_INFINITY);
        assert_eq!(before_sigmoid(1.0), f32::INFINITY);
        let peaks = Peaks { sigmoid: true, ..PLAIN };
        let found = peaks.best(&[1.0, -9.0, -1.0], 3, 3, 9, 0.5);
        assert_eq!(found, [Candidate { score: 1.0, index: 0 }]);
    }
}

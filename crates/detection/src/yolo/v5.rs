//! YOLOv5: rows of box, objectness, landmarks (the face variant's) and classes, raw on three grids or decoded.

use hippocamp_backend::{Error, Result};

use super::rows::{corners, largest};
use crate::detections::Detections;
use crate::sigmoid;

/// The settings of decoding. A row has 4 numbers of the box, 1 objectness, 2 for each landmark, then the classes.
#[derive(Clone, Copy, Debug)]
pub struct Yolo5 {
    /// Only scores (objectness times class) above this one become detections.
    pub threshold: f32,
    /// The number of landmarks of a row: 5 for faces, 0 otherwise.
    pub points: usize,
}

/// One grid of raw outputs, before any activation.
#[derive(Clone, Copy, Debug)]
pub struct Level<'a> {
    pub values: &'a [f32],
    pub height: usize,
    pub width: usize,
    /// The length of a row.
    pub row: usize,
    /// The size of a cell in pixels.
    pub stride: f32,
    /// Width and height of each anchor in pixels.
    pub anchors: &'a [[f32; 2]],
    /// Whether the values are [anchors * row, height, width], as the last layer returns them, rather than [anchors,
    /// height, width, row].
    pub channels_first: bool,
}

/// A row of a grid in either layout.
#[derive(Clone, Copy)]
struct Row<'a> {
    values: &'a [f32],
    start: usize,
    /// The distance between two numbers of the row.
    step: usize,
}

impl Row<'_> {
    fn get(&self, index: usize) -> f32 {
        self.values[self.start + index * self.step]
    }
}

impl Yolo5 {
    /// The index of the first class in a row.
    fn classes_at(&self) -> usize {
        5 + 2 * self.points
    }

    fn check_row(&self, row: usize) -> Result<()> {
        let least = self.points.checked_mul(2).and_then(|n| n.checked_add(6));
        if least.is_some_and(|least| row >= least) {
            return Ok(());
        }
        Err(Error::invalid_arg(format!(
            "a row was expected to have 4 numbers of the box, 1 objectness, {} landmarks and a class at least, it \
             has {row} numbers",
            self.points
        )))
    }

    /// Decodes raw grids. Detections are in pixels of the network's input, in the order of the grids, before
    /// non-maximum suppression.
    pub fn decode_raw(&self, levels: &[Level<'_>]) -> Result<Detections> {
        let mut found = Detections::new(self.points);
        for level in levels {
            self.check_row(level.row)?;
            let cells = level.height.checked_mul(level.width);
            let want = cells.and_then(|n| n.checked_mul(level.row)?.checked_mul(level.anchors.len()));
            if want != Some(level.values.len()) {
                let (anchors, got) = (level.anchors.len(), level.values.len());
                return Err(Error::invalid_arg(format!(
                    "a grid of {} x {} cells with {anchors} anchors and rows of {} was expected to fill its values, \
                     it has {got}",
                    level.height, level.width, level.row
                )));
            }
            self.decode_level(level, &mut found);
        }
        Ok(found)
    }

    fn decode_level(&self, level: &Level<'_>, found: &mut Detections) {
        let cells = level.height * level.width;
        let (between_cells, step) = if level.channels_first { (1, cells) } else { (level.row, 1) };
        // A row whose objectness is below the threshold is skipped before any exponential is computed.
        let cut = logit(self.threshold);
        for (number, anchor) in level.anchors.iter().enumerate() {
            let first = number * cells * level.row;
            for cell in 0..cells {
                let row = Row { values: level.values, start: first + cell * between_cells, step };
                if row.get(4) > cut {
                    let (category, class) = largest((self.classes_at()..level.row).map(|i| row.get(i)));
                    let score = sigmoid(row.get(4)) * sigmoid(class);
                    if score > self.threshold {
                        found.scores.push(score);
                        found.categories.push(category as i32);
                        self.push_place(level, *anchor, cell, row, found);
                    }
                }
            }
        }
    }

    /// Decodes box and landmarks of a row.
    fn push_place(
        &self,
        level: &Level<'_>,
        anchor: [f32; 2],
        cell: usize,
        row: Row<'_>,
        found: &mut Detections,
    ) {
        let (column, line) = ((cell % level.width) as f32, (cell / level.width) as f32);
        let place = |index, grid| (2.0 * sigmoid(row.get(index)) - 0.5 + grid) * level.stride;
        let size = |index, anchor| (2.0 * sigmoid(row.get(index))).powi(2) * anchor;
        found.boxes.push(corners(place(0, column), place(1, line), size(2, anchor[0]), size(3, anchor[1])));
        for point in 0..self.points {
            let index = 5 + 2 * point;
            found.landmarks.push(row.get(index) * anchor[0] + column * level.stride);
            found.landmarks.push(row.get(index + 1) * anchor[1] + line * level.stride);
        }
    }

    /// Decodes rows with centre, size and landmarks in pixels, objectness and classes from 0 to 1.
    pub fn decode_rows(&self, values: &[f32], row: usize) -> Result<Detections> {
        self.check_row(row)?;
        if !values.len().is_multiple_of(row) {
            let got = values.len();
            return Err(Error::invalid_arg(format!("{got} values are no whole number of rows of {row}")));
        }
        let mut found = Detections::new(self.points);
        for row in values.chunks_exact(row).filter(|row| row[4] > self.threshold) {
            let (category, class) = largest(row[self.classes_at()..].iter().copied());
            let score = row[4] * class;
            if score > self.threshold {
                found.push(score, category as i32, corners(row[0], row[1], row[2], row[3]));
                found.landmarks.extend_from_slice(&row[5..self.classes_at()]);
            }
        }
        Ok(found)
    }
}

/// The inverse of the sigmoid, a little less, so that rounding drops nothing.
fn logit(score: f32) -> f32 {
    if score <= 0.0 {
        f32::NEG_INFINITY
    } else if score >= 1.0 {
        f32::INFINITY
    } else {
        (score / (1.0 - score)).ln() - 1e-3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_FACE: Yolo5 = Yolo5 { threshold: 0.3, points: 5 };
    const ANCHORS: [[f32; 2]; 2] = [[4.0, 5.0], [8.0, 10.0]];

    fn near(got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-4, "{got} is not {want}");
        }
    }

    /// 2 anchors, 2 x 3 cells, rows of 16; everything far below the threshold but the row of anchor 1, row 1, column 2.
    fn grid() -> Vec<f32> {
        let mut values = vec![-10.0; 2 * 6 * 16];
        let row = (6 + 5) * 16;
        values[row..row + 4].fill(0.0);
        values[row + 4] = 2.0;
        for (index, value) in values[row + 5..row + 15].iter_mut().enumerate() {
            *value = index as f32 / 10.0;
        }
        values[row + 15] = 3.0;
        values
    }

    /// x = (2 * .5 - .5 + 2) * 8 = 20, y = (2 * .5 - .5 + 1) * 8 = 12, size as the anchor.
    fn check(found: &Detections) {
        near(&found.scores, &[0.880_797 * 0.952_574]);
        assert_eq!(found.categories, [0]);
        near(&found.boxes[0], &[16.0, 7.0, 24.0, 17.0]);
        near(&found.landmarks, &[16.0, 9.0, 17.6, 11.0, 19.2, 13.0, 20.8, 15.0, 22.4, 17.0]);
    }

    #[test]
    fn a_raw_grid_of_faces() {
        let values = grid();
        let level = Level {
            values: &values,
            height: 2,
            width: 3,
            row: 16,
            stride: 8.0,
            anchors: &ANCHORS,
            channels_first: false,
        };
        check(&ONE_FACE.decode_raw(&[level]).unwrap());
        assert!(Yolo5 { threshold: 0.9, ..ONE_FACE }.decode_raw(&[level]).unwrap().scores.is_empty());
        // The layout [anchors, row, height, width].
        let mut turned = vec![0.0; values.len()];
        for anchor in 0..2 {
            for cell in 0..6 {
                for channel in 0..16 {
                    turned[(anchor * 16 + channel) * 6 + cell] = values[(anchor * 6 + cell) * 16 + channel];
                }
            }
        }
        let level = Level { values: &turned, channels_first: true, ..level };
        check(&ONE_FACE.decode_raw(&[level]).unwrap());
    }

    #[test]
    fn decoded_rows() {
        let rows = [
            [10.0, 20.0, 4.0, 6.0, 0.9, 0.1, 0.8],
            [1.0, 1.0, 1.0, 1.0, 0.2, 1.0, 1.0],
            [1.0, 1.0, 1.0, 1.0, 0.9, 0.1, 0.2],
            [1.0, 1.0, 1.0, 1.0, f32::NAN, f32::NAN, 1.0],
        ];
        let yolo = Yolo5 { threshold: 0.3, points: 0 };
        let found = yolo.decode_rows(rows.as_flattened(), 7).unwrap();
        near(&found.scores, &[0.72]);
        assert_eq!(found.categories, [1]);
        assert_eq!(found.boxes, [[8.0, 17.0, 12.0, 23.0]]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |result: Result<Detections>| result.unwrap_err().message().to_owned();
        let text = "a row was expected to have 4 numbers of the box, 1 objectness, 5 landmarks and a class at least, \
                    it has 15 numbers";
        assert_eq!(refused(ONE_FACE.decode_rows(&[0.0; 15], 15)), text);
        assert_eq!(
            refused(ONE_FACE.decode_rows(&[0.0; 17], 16)),
            "17 values are no whole number of rows of 16"
        );
        let huge = Yolo5 { threshold: 0.0, points: usize::MAX };
        assert!(refused(huge.decode_rows(&[0.0; 16], 16)).contains("it has 16 numbers"));
        let level = Level {
            values: &[0.0; 31],
            height: usize::MAX,
            width: 2,
            row: 16,
            stride: 8.0,
            anchors: &ANCHORS,
            channels_first: false,
        };
        assert!(refused(ONE_FACE.decode_raw(&[level])).ends_with("it has 31"));
    }
}

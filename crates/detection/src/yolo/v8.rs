//! YOLOv8: a box and a score for each class at each anchor; the channels come before the anchors.

use hippocamp_backend::{Error, Result};

use super::rows::{corners, largest};
use crate::detections::Detections;

/// The settings of decoding. An anchor has 4 numbers of the box, the classes, then the landmarks.
#[derive(Clone, Copy, Debug)]
pub struct Yolo8 {
    /// Only scores above this one become detections.
    pub threshold: f32,
    /// The number of landmarks of an anchor.
    pub points: usize,
    /// The numbers of a landmark: x, y, and if it is 3 the visibility, which is ignored.
    pub point_size: usize,
}

impl Yolo8 {
    fn classes(&self, channels: usize) -> Result<usize> {
        let after = self.points.checked_mul(self.point_size).and_then(|n| n.checked_add(4));
        let classes = after.and_then(|after| channels.checked_sub(after)).filter(|&classes| classes > 0);
        let fits = self.points == 0 || matches!(self.point_size, 2 | 3);
        classes.filter(|_| fits).ok_or_else(|| {
            let (points, size) = (self.points, self.point_size);
            Error::invalid_arg(format!(
                "4 numbers of the box, a class at least and {points} landmarks of {size} numbers were expected, there \
                 are {channels} channels"
            ))
        })
    }

    /// Decodes values of shape [channels, anchors]. Detections are in pixels of the network's input, in the order of
    /// the anchors, before non-maximum suppression.
    pub fn decode(&self, values: &[f32], channels: usize) -> Result<Detections> {
        let classes = self.classes(channels)?;
        if !values.len().is_multiple_of(channels) {
            let got = values.len();
            return Err(Error::invalid_arg(format!(
                "{got} values are no whole number of anchors of {channels}"
            )));
        }
        let anchors = values.len() / channels;
        let mut found = Detections::new(self.points);
        if anchors == 0 {
            return Ok(found);
        }
        // Class by class, so that many anchors are compared at once by vector instructions.
        let mut scores = vec![f32::NEG_INFINITY; anchors];
        let mut best = vec![0i32; anchors];
        for (class, channel) in values.chunks_exact(anchors).skip(4).take(classes).enumerate() {
            for ((score, best), &value) in scores.iter_mut().zip(&mut best).zip(channel) {
                let is_better = value > *score;
                *score = if is_better { value } else { *score };
                *best = if is_better { class as i32 } else { *best };
            }
        }
        for (anchor, (&score, &category)) in scores.iter().zip(&best).enumerate() {
            if score > self.threshold {
                let get = |channel: usize| values[channel * anchors + anchor];
                self.push(get, score, category, classes, &mut found);
            }
        }
        Ok(found)
    }

    /// Decodes values of shape [anchors, channels] like [`Yolo8::decode`].
    pub fn decode_rows(&self, values: &[f32], channels: usize) -> Result<Detections> {
        let classes = self.classes(channels)?;
        if !values.len().is_multiple_of(channels) {
            let got = values.len();
            return Err(Error::invalid_arg(format!(
                "{got} values are no whole number of anchors of {channels}"
            )));
        }
        let mut found = Detections::new(self.points);
        for row in values.chunks_exact(channels) {
            let (category, score) = largest(row[4..4 + classes].iter().copied());
            if score > self.threshold {
                self.push(|channel| row[channel], score, category as i32, classes, &mut found);
            }
        }
        Ok(found)
    }

    fn push(
        &self,
        get: impl Fn(usize) -> f32,
        score: f32,
        category: i32,
        classes: usize,
        found: &mut Detections,
    ) {
        found.push(score, category, corners(get(0), get(1), get(2), get(3)));
        for point in 0..self.points {
            let first = 4 + classes + point * self.point_size;
            found.landmarks.extend([get(first), get(first + 1)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YOLO: Yolo8 = Yolo8 { threshold: 0.25, points: 0, point_size: 2 };

    /// Three anchors as rows: box, two classes, one landmark of three numbers.
    const ROWS: [[f32; 9]; 3] = [
        [10.0, 20.0, 4.0, 6.0, 0.1, 0.8, 11.0, 21.0, 1.0],
        [1.0, 1.0, 1.0, 1.0, 0.2, 0.1, 0.0, 0.0, 0.0],
        [5.0, 5.0, 2.0, 2.0, 0.6, f32::NAN, 4.0, 6.0, 0.0],
    ];

    fn turned(rows: &[f32], channels: usize) -> Vec<f32> {
        let anchors = rows.len() / channels;
        (0..rows.len()).map(|i| rows[(i % anchors) * channels + i / anchors]).collect()
    }

    #[test]
    fn channels_before_anchors_or_after_them() {
        let yolo = Yolo8 { points: 1, point_size: 3, ..YOLO };
        let rows = ROWS.as_flattened();
        for found in [yolo.decode_rows(rows, 9).unwrap(), yolo.decode(&turned(rows, 9), 9).unwrap()] {
            assert_eq!(found.scores, [0.8, 0.6]);
            assert_eq!(found.categories, [1, 0]);
            assert_eq!(found.boxes, [[8.0, 17.0, 12.0, 23.0], [4.0, 4.0, 6.0, 6.0]]);
            assert_eq!(found.landmarks, [11.0, 21.0, 4.0, 6.0]);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |result: Result<Detections>| result.unwrap_err().message().to_owned();
        let none = "4 numbers of the box, a class at least and 0 landmarks of 2 numbers were expected, there are 4 \
                    channels";
        assert_eq!(refused(YOLO.decode(&[0.0; 8], 4)), none);
        assert!(refused(YOLO.decode(&[], 0)).ends_with("there are 0 channels"));
        assert_eq!(refused(YOLO.decode(&[0.0; 7], 6)), "7 values are no whole number of anchors of 6");
        assert!(refused(YOLO.decode_rows(&[0.0; 7], 6)).starts_with("7 values"));
        let huge = Yolo8 { points: usize::MAX, ..YOLO };
        assert!(refused(huge.decode(&[0.0; 6], 6)).ends_with("there are 6 channels"));
        let flat = Yolo8 { points: 2, point_size: 1, ..YOLO };
        assert!(refused(flat.decode(&[0.0; 9], 9)).contains("2 landmarks of 1 numbers"));
        assert!(YOLO.decode(&[], 6).unwrap().scores.is_empty());
    }

    proptest! {
        #[test]
        fn both_layouts_give_the_same(rows in prop::collection::vec(0f32..1.0, 0..40)) {
            let whole = rows.len() / 7 * 7;
            let rows = &rows[..whole];
            let turned = if whole == 0 { Vec::new() } else { turned(rows, 7) };
            prop_assert_eq!(YOLO.decode(&turned, 7).unwrap(), YOLO.decode_rows(rows, 7).unwrap());
        }
    }
}

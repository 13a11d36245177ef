//! The detections of one image.

/// Left, top, right, bottom.
pub(crate) type Box4 = [f32; 4];

/// The detections of one image as parallel lists with one entry a detection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detections {
    pub scores: Vec<f32>,
    pub categories: Vec<i32>,
    pub boxes: Vec<Box4>,
    /// x and y alternate, `2 * points` numbers a detection.
    pub landmarks: Vec<f32>,
    /// The number of landmarks of a detection.
    pub points: usize,
}

impl Detections {
    /// Creates an empty list whose detections have `points` landmarks each.
    pub fn new(points: usize) -> Detections {
        Detections { points, ..Detections::default() }
    }

    pub fn len(&self) -> usize {
        self.scores.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a detection. Its landmarks are pushed to `landmarks` by the caller.
    pub fn push(&mut self, score: f32, category: i32, at: Box4) {
        self.scores.push(score);
        self.categories.push(category);
        self.boxes.push(at);
    }

    /// The landmarks of one detection; empty if it has none.
    pub fn landmarks_of(&self, detection: usize) -> &[f32] {
        let size = 2 * self.points;
        self.landmarks.get(detection * size..(detection + 1) * size).unwrap_or_default()
    }

    /// The detections with these indices, in this order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Detections {
        let mut selected = Detections::new(self.points);
        for &index in indices {
            selected.push(self.scores[index], self.categories[index], self.boxes[index]);
            selected.landmarks.extend_from_slice(self.landmarks_of(index));
        }
        selected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Detections {
        Detections {
            scores: vec![0.9, 0.8, 0.7],
            categories: vec![1, 2, 3],
            boxes: vec![[1.0; 4], [2.0; 4], [3.0; 4]],
            landmarks: vec![1.0, 1.5, 2.0, 2.5, 3.0, 3.5],
            points: 1,
        }
    }

    #[test]
    fn a_selection_keeps_what_belongs_together() {
        let selected = three().select(&[2, 0]);
        assert_eq!(selected.scores, [0.7, 0.9]);
        assert_eq!(selected.categories, [3, 1]);
        assert_eq!(selected.boxes, [[3.0; 4], [1.0; 4]]);
        assert_eq!(selected.landmarks, [3.0, 3.5, 1.0, 1.5]);
        assert_eq!(selected.landmarks_of(1), [1.0, 1.5]);
        assert_eq!(selected.landmarks_of(2), [0.0; 0]);
    }
}

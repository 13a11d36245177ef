//! Applies affine maps to points and boxes, clips boxes, and converts pixels to relative coordinates.

use super::detections::Detections;

/// A 2x3 matrix, row by row: x' = m0 x + m1 y + m2, y' = m3 x + m4 y + m5.
pub type Matrix = [f32; 6];

fn map(m: &Matrix, x: f32, y: f32) -> (f32, f32) {
    (m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5])
}

/// Maps points in place; x and y alternate. An odd last number is left unchanged.
pub fn map_points(points: &mut [f32], matrix: &Matrix) {
    for point in points.as_chunks_mut().0 {
        let [x, y] = *point;
        *point = map(matrix, x, y).into();
    }
}

/// Maps both corners of each box, and the landmarks.
pub fn map_detections(found: &mut Detections, matrix: &Matrix) {
    map_points(found.boxes.as_flattened_mut(), matrix);
    map_points(&mut found.landmarks, matrix);
}

/// Clamps the corners of boxes to the image; landmarks stay where they are.
pub fn clip(found: &mut Detections, width: f32, height: f32) {
    let (width, height) = (width.max(0.0), height.max(0.0));
    for [x1, y1, x2, y2] in &mut found.boxes {
        (*x1, *x2) = (x1.clamp(0.0, width), x2.clamp(0.0, width));
        (*y1, *y2) = (y1.clamp(0.0, height), y2.clamp(0.0, height));
    }
}

/// Converts pixels to coordinates relative to the image's size (0 to 1).
pub fn to_ratio(found: &mut Detections, width: f32, height: f32) {
    for numbers in [found.boxes.as_flattened_mut(), &mut found.landmarks] {
        for [x, y] in numbers.as_chunks_mut().0 {
            (*x, *y) = (*x / width, *y / height);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Detections {
        Detections {
            scores: vec![0.5],
            categories: vec![0],
            boxes: vec![[1.0, 2.0, 3.0, 4.0]],
            landmarks: vec![5.0, 6.0],
            points: 1,
        }
    }

    #[test]
    fn corners_and_landmarks_are_mapped() {
        let mut found = one();
        map_detections(&mut found, &[10.0, 1.0, 0.5, 0.0, 10.0, -280.0]);
        assert_eq!(found.boxes, [[12.5, -260.0, 34.5, -240.0]]);
        assert_eq!(found.landmarks, [56.5, -220.0]);
        assert_eq!(found.scores, [0.5]);
    }

    #[test]
    fn boxes_are_clipped_to_the_picture() {
        let mut found = one();
        found.boxes = vec![[-3.0, 1.0, 9.0, f32::INFINITY], [f32::NAN, -1.0, 5.0, 2.0]];
        clip(&mut found, 6.0, 3.0);
        assert_eq!(found.boxes[0], [0.0, 1.0, 6.0, 3.0]);
        assert!(found.boxes[1][0].is_nan());
        clip(&mut found, -1.0, f32::NAN);
        assert_eq!(found.boxes[0], [0.0; 4]);
    }

    #[test]
    fn ratios_are_parts_of_the_size() {
        let mut found = one();
        to_ratio(&mut found, 10.0, 20.0);
        assert_eq!(found.boxes, [[0.1, 0.1, 0.3, 0.2]]);
        assert_eq!(found.landmarks, [0.5, 0.3]);
        to_ratio(&mut found, 0.0, 0.0);
        assert_eq!(found.boxes[0][0], f32::INFINITY);
    }
}

//! What decoding YOLOv5 and YOLOv8 has in common.

use crate::detections::Box4;

/// Converts centre and size of a box to its corners.
pub(super) fn corners(x: f32, y: f32, width: f32, height: f32) -> Box4 {
    [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
}

/// The largest number and its index; the first one if several are equal. NaN counts as the smallest.
pub(super) fn largest(values: impl Iterator<Item = f32>) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (place, value) in values.enumerate() {
        if value > best.1 {
            best = (place, value);
        }
    }
    best
}

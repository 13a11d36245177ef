//! What both versions do with a row of numbers.

use crate::detections::Box4;

/// Corners from centre and size.
pub(super) fn corners(x: f32, y: f32, width: f32, height: f32) -> Box4 {
    [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
}

/// The largest of some numbers and its place; the first of equal ones. NaN counts as the smallest.
pub(super) fn largest(values: impl Iterator<Item = f32>) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (place, value) in values.enumerate() {
        if value > best.1 {
            best = (place, value);
        }
    }
    best
}

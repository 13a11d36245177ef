//! Rotated boxes of text lines, of a network's probability map (differentiable binarization, "DB").

use hippocamp_backend::{Error, Result};

use super::order::{in_reading_order, upright_first};
use super::rectangle::{Top, smallest};
use super::{grow, regions, score};

/// The corners of a box: upper left, upper right, lower right, lower left, each x and y.
pub type Quad = [[f32; 2]; 4];

/// Boxes whose shorter side is shorter are left out, in pixels of the map.
const SHORTEST: f32 = 3.0;

/// How often all pixels of a map may be read: regions may lie within each other.
const READINGS: usize = 64;

/// How boxes are found in a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextBoxes {
    /// Pixels above it belong to text.
    pub threshold: f32,
    /// The least mean of a box.
    pub box_threshold: f64,
    /// How far a box grows, in parts of its area by its perimeter: networks learn shrunken boxes.
    pub grow: f64,
    /// Whether regions grow by a pixel to the right and below before.
    pub dilate: bool,
    /// The most regions.
    pub limit: usize,
}

impl TextBoxes {
    /// The boxes in a map of `width`, in the order of reading, in pixels of a picture of `picture`: its width and height.
    ///
    /// # Errors
    /// If the map has no such rows.
    pub fn find(&self, map: &[f32], width: usize, picture: (usize, usize)) -> Result<Vec<Quad>> {
        let height = map.len().checked_div(width).unwrap_or(0);
        if width == 0 || height * width != map.len() || picture.0 == 0 || picture.1 == 0 {
            return Err(Error::invalid_arg(format!("a map of {} numbers has no rows of {width}", map.len())));
        }
        let mask = self.mask(map, width);
        let mut quads = Vec::new();
        let mut readings = map.len().saturating_mul(READINGS);
        for points in regions::outlines(&mask, width).into_iter().take(self.limit) {
            let Some(rectangle) = smallest(points, Top::Left).filter(|found| found.shorter() >= SHORTEST)
            else {
                continue;
            };
            let corners = rectangle.corners();
            let (mean, read) = score::mean_within(map, width, &corners);
            readings = readings.checked_sub(read).ok_or_else(|| {
                Error::invalid_arg(format!("the regions of a map cover it more than {READINGS} times"))
            })?;
            if self.box_threshold > mean {
                continue;
            }
            let grown = smallest(grow::grown(&corners, self.grow), Top::Right);
            let Some(grown) = grown.filter(|grown| grown.shorter() >= SHORTEST + 2.0) else { continue };
            let scaled = |number: f32, from: usize, to: usize| {
                (number / from as f32 * to as f32).round_ties_even().clamp(0.0, to as f32)
            };
            let quad =
                grown.corners().map(|[x, y]| [scaled(x, width, picture.0), scaled(y, height, picture.1)]);
            quads.extend(on_picture(&quad, picture));
        }
        in_reading_order(&mut quads);
        Ok(quads)
    }

    fn mask(&self, map: &[f32], width: usize) -> Vec<bool> {
        let mask: Vec<bool> = map.iter().map(|&number| number > self.threshold).collect();
        if !self.dilate {
            return mask;
        }
        let at = |index: usize, x: usize| {
            let left = x > 0 && mask[index - 1];
            let above = index >= width && (mask[index - width] || (x > 0 && mask[index - width - 1]));
            mask[index] || left || above
        };
        (0..mask.len()).map(|index| at(index, index % width)).collect()
    }
}

/// The box within the picture; `None` if it is too small.
fn on_picture(quad: &Quad, (width, height): (usize, usize)) -> Option<Quad> {
    let quad = upright_first(quad).map(|[x, y]| {
        let within = |number: f32, side: usize| number.max(0.0).min(side as f32 - 1.0).trunc();
        [within(x, width), within(y, height)]
    });
    let length = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) as i64;
    (length(quad[0], quad[1]) > 3 && length(quad[0], quad[3]) > 3).then_some(quad)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEFAULT: TextBoxes =
        TextBoxes { threshold: 0.3, box_threshold: 0.5, grow: 1.6, dilate: true, limit: 1000 };

    fn map(width: usize, height: usize, text: &[[usize; 4]]) -> Vec<f32> {
        let mut map = vec![0.0; width * height];
        for &[left, top, right, bottom] in text {
            for y in top..bottom {
                map[y * width + left..y * width + right].fill(0.9);
            }
        }
        map
    }

    #[test]
    fn boxes_grow_and_are_in_the_order_of_reading() {
        let map = map(200, 100, &[[100, 12, 150, 22], [20, 10, 60, 20], [20, 60, 80, 70]]);
        let found = DEFAULT.find(&map, 200, (400, 200)).unwrap();
        let starts: Vec<[f32; 2]> = found.iter().map(|quad| quad[0]).collect();
        assert_eq!(found.len(), 3);
        assert!(starts[0][0] < starts[1][0] && starts[2][1] > starts[1][1], "{starts:?}");
        // 40 by 10 pixels from (20, 10) on, dilated by one, grown by 40 * 10 * 1.6 / 100 = 6.4, twice as large.
        assert_eq!(found[0], [[28.0, 8.0], [132.0, 8.0], [132.0, 52.0], [28.0, 52.0]]);
    }

    #[test]
    fn what_is_faint_or_small_is_left_out() {
        let mut faint = map(60, 40, &[[10, 10, 50, 20]]);
        for number in &mut faint {
            *number *= 0.5;
        }
        assert!(DEFAULT.find(&faint, 60, (60, 40)).unwrap().is_empty());
        assert!(DEFAULT.find(&map(60, 40, &[[10, 10, 50, 11]]), 60, (60, 40)).unwrap().is_empty());
        assert!(DEFAULT.find(&[f32::NAN; 100], 10, (10, 10)).unwrap().is_empty());
        assert!(DEFAULT.find(&[0.0; 7], 2, (10, 10)).is_err());
        assert!(DEFAULT.find(&[], 0, (10, 10)).is_err());
    }

    proptest! {
        #[test]
        fn boxes_are_within_the_picture_whatever_the_map_is(
            width in 1usize..40,
            bits in prop::collection::vec(prop::sample::select(vec![0.0f32, 0.2, 0.6, 1.0, f32::NAN, f32::INFINITY]), 0..900),
            picture in (1usize..300, 1usize..300),
            dilate: bool,
        ) {
            let map = &bits[..bits.len() / width * width];
            let boxes = TextBoxes { dilate, box_threshold: 0.1, ..DEFAULT };
            let Ok(found) = boxes.find(map, width, picture) else { return Ok(()) };
            for [x, y] in found.as_flattened() {
                prop_assert!(*x >= 0.0 && *x < picture.0 as f32 && *y >= 0.0 && *y < picture.1 as f32, "{x} {y}");
            }
        }
    }
}

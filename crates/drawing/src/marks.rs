//! Draws the marks of detections.

use crate::{Canvas, Rgb};

/// Colours of boxes. The first category gets the first colour.
const BOXES: [Rgb; 8] = [
    [40, 220, 70],
    [250, 120, 20],
    [30, 150, 255],
    [235, 60, 180],
    [250, 210, 30],
    [130, 90, 250],
    [20, 205, 205],
    [225, 50, 50],
];

/// Colours of landmarks in their order: the first five differ.
const LANDMARKS: [Rgb; 5] = [[225, 30, 30], [30, 110, 255], [250, 220, 30], [225, 60, 225], [40, 230, 230]];

/// A detection to draw; coordinates are in pixels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark<'a> {
    /// Left, top, right, bottom.
    pub corners: [f32; 4],
    pub category: i32,
    /// The text at the box; nothing is drawn if it is empty.
    pub text: &'a str,
    /// x and y alternate.
    pub landmarks: &'a [f32],
}

/// Draws all marks. Without `thickness`, lines are as thick as suits the size of the image.
pub fn draw<'a>(canvas: &mut Canvas<'_>, marks: impl IntoIterator<Item = Mark<'a>>, thickness: Option<u32>) {
    let size = canvas.width().midpoint(canvas.height());
    let thickness = thickness.map_or((size + 150) / 300, i64::from).clamp(1, 1 + size / 2);
    for mark in marks {
        let color = BOXES[mark.category.rem_euclid(BOXES.len() as i32) as usize];
        if let Some(corners) = rounded(&mark.corners) {
            canvas.outline(corners, thickness, color);
            label(canvas, corners, mark.text, thickness, color);
        }
        for (place, point) in mark.landmarks.as_chunks().0.iter().enumerate() {
            if let Some([x, y]) = rounded::<2>(point) {
                canvas.disc(x, y, 1 + thickness, LANDMARKS[place % LANDMARKS.len()]);
            }
        }
    }
}

/// Rounds to whole pixels; `None` if a number is not finite.
fn rounded<const N: usize>(numbers: &[f32; N]) -> Option<[i64; N]> {
    // The clamp keeps arithmetic on coordinates far outside of the image from overflowing.
    numbers.iter().all(|n| n.is_finite()).then(|| numbers.map(|n| n.round().clamp(-1e9, 1e9) as i64))
}

/// Draws the text on a background of the box's colour: above the box if there is room, else inside.
fn label(canvas: &mut Canvas<'_>, corners: [i64; 4], text: &str, thickness: i64, color: Rgb) {
    if text.is_empty() {
        return;
    }
    let scale = (1 + thickness) / 2;
    let (width, height) = Canvas::text_size(text, scale);
    let rim = scale;
    let left = corners[0] - thickness / 2;
    let above = corners[1] - thickness / 2 - height - rim;
    let top = if above >= 0 { above } else { corners[1].max(0) };
    canvas.fill([left, top, left + width + 2 * rim, top + height + rim], color);
    canvas.text((left + rim, top + rim), text, scale, [0, 0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: usize, height: usize, marks: &[Mark<'_>], thickness: Option<u32>) -> Vec<Rgb> {
        let mut samples = vec![0; width * height * 3];
        let mut canvas = Canvas::new(&mut samples, width, height).unwrap();
        draw(&mut canvas, marks.iter().copied(), thickness);
        samples.as_chunks().0.to_vec()
    }

    #[test]
    fn box_text_and_landmarks_are_there() {
        let mark = Mark {
            corners: [10.2, 20.0, 50.0, 60.0],
            text: "1",
            landmarks: &[30.0, 40.0],
            ..Mark::default()
        };
        let pixels = drawn(100, 80, &[mark], None);
        let at = |x: usize, y: usize| pixels[y * 100 + x];
        assert_eq!(at(10, 30), BOXES[0]);
        assert_eq!(at(50, 60), BOXES[0]);
        assert_eq!(at(30, 40), LANDMARKS[0]);
        assert_eq!(at(11, 12), BOXES[0], "the ground of the text is above the box");
        assert!((11..20).any(|x| at(x, 15) == [0, 0, 0]), "the text is on it");
        assert_eq!(at(70, 70), [0, 0, 0]);
        // Inside, because there is no room above.
        let pixels = drawn(100, 80, &[Mark { corners: [10.0, 3.0, 50.0, 60.0], ..mark }], None);
        assert_eq!(pixels[4 * 100 + 18], BOXES[0]);
    }

    #[test]
    fn lines_grow_with_the_picture() {
        let mark = Mark { corners: [100.0, 100.0, 1000.0, 1000.0], category: -1, ..Mark::default() };
        let thick = |pixels: &[Rgb], width: usize| {
            pixels[500 * width..500 * width + width / 2].iter().filter(|p| **p == BOXES[7]).count()
        };
        assert_eq!(thick(&drawn(1500, 1500, &[mark], None), 1500), 5);
        assert_eq!(thick(&drawn(1500, 1500, &[mark], Some(2)), 1500), 2);
    }

    #[test]
    fn what_is_no_number_is_passed_over() {
        let nan = [f32::NAN, 1.0, f32::INFINITY];
        let mark =
            Mark { corners: [0.0, nan[0], 5.0, nan[2]], text: "x", landmarks: &nan, category: i32::MIN };
        assert!(drawn(9, 9, &[mark], Some(u32::MAX)).iter().all(|p| *p == [0, 0, 0]));
        assert!(drawn(0, 0, &[Mark { corners: [f32::MIN, 0.0, f32::MAX, 1.0], ..mark }], None).is_empty());
    }
}

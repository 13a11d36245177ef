//! Draws filled rectangles, outlines, discs and letters.

use font8x8::legacy::BASIC_LEGACY;

pub type Rgb = [u8; 3];

/// Width and height of a letter of the font in pixels.
const LETTER: i64 = 8;

/// An image to draw on.
#[derive(Debug)]
pub struct Canvas<'a> {
    pixels: &'a mut [Rgb],
    width: i64,
    height: i64,
}

impl<'a> Canvas<'a> {
    /// Borrows RGB samples, row by row; `None` unless there are `3 * width * height` of them.
    pub fn new(samples: &'a mut [u8], width: usize, height: usize) -> Option<Canvas<'a>> {
        let (pixels, rest) = samples.as_chunks_mut();
        let fits = rest.is_empty() && width.checked_mul(height) == Some(pixels.len());
        fits.then_some(Canvas { pixels, width: width as i64, height: height as i64 })
    }

    pub fn width(&self) -> i64 {
        self.width
    }

    pub fn height(&self) -> i64 {
        self.height
    }

    /// Fills the rectangle from (x1, y1) inclusive to (x2, y2) exclusive.
    pub fn fill(&mut self, [x1, y1, x2, y2]: [i64; 4], color: Rgb) {
        let (x1, x2) = (x1.clamp(0, self.width), x2.clamp(0, self.width));
        let (y1, y2) = (y1.clamp(0, self.height), y2.clamp(0, self.height));
        if x1 >= x2 {
            return;
        }
        for y in y1..y2 {
            let row = y * self.width;
            self.pixels[(row + x1) as usize..(row + x2) as usize].fill(color);
        }
    }

    /// Draws the outline of a rectangle; its edges are in the middle of the lines.
    pub fn outline(&mut self, [x1, y1, x2, y2]: [i64; 4], thickness: i64, color: Rgb) {
        let thickness = thickness.clamp(1, self.width.max(self.height).max(1));
        let out = thickness / 2;
        let bound = |value: i64, side: i64| value.clamp(-thickness - side, 2 * side + thickness);
        let (left, right) = (bound(x1, self.width) - out, bound(x2, self.width) - out);
        let (top, bottom) = (bound(y1, self.height) - out, bound(y2, self.height) - out);
        self.fill([left, top, right + thickness, top + thickness], color);
        self.fill([left, bottom, right + thickness, bottom + thickness], color);
        self.fill([left, top, left + thickness, bottom + thickness], color);
        self.fill([right, top, right + thickness, bottom + thickness], color);
    }

    pub fn disc(&mut self, x: i64, y: i64, radius: i64, color: Rgb) {
        let radius = radius.clamp(0, self.width.max(self.height));
        // A disc whose centre is so far outside cannot reach the image. The check also rules out overflow below.
        if x.abs() > 2 * (self.width + radius) || y.abs() > 2 * (self.height + radius) {
            return;
        }
        for dy in -radius..=radius {
            let reach = (radius * radius - dy * dy).isqrt();
            self.fill([x - reach, y + dy, x + reach + 1, y + dy + 1], color);
        }
    }

    /// Width and height of a text in pixels.
    pub fn text_size(text: &str, scale: i64) -> (i64, i64) {
        (text.chars().count() as i64 * LETTER * scale, LETTER * scale)
    }

    /// Draws a text of letters of 8 by 8 pixels, times `scale`; (x, y) is its upper left corner. Characters outside of
    /// ASCII become question marks.
    pub fn text(&mut self, (x, y): (i64, i64), text: &str, scale: i64, color: Rgb) {
        for (place, letter) in text.chars().enumerate() {
            let left = x + place as i64 * LETTER * scale;
            if left >= self.width {
                break;
            }
            let rows = BASIC_LEGACY.get(letter as usize).unwrap_or(&BASIC_LEGACY[b'?' as usize]);
            for (line, bits) in rows.iter().enumerate() {
                for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                    let (px, py) = (left + column * scale, y + line as i64 * scale);
                    self.fill([px, py, px + scale, py + scale], color);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INK: Rgb = [9, 9, 9];

    /// The drawn image as text.
    fn drawn(width: usize, height: usize, draw: impl FnOnce(&mut Canvas<'_>)) -> Vec<String> {
        let mut samples = vec![0; width * height * 3];
        draw(&mut Canvas::new(&mut samples, width, height).unwrap());
        let pixels: Vec<char> = samples.chunks(3).map(|p| if p == INK { '#' } else { '.' }).collect();
        pixels.chunks(width).map(|row| row.iter().collect()).collect()
    }

    #[test]
    fn samples_must_be_those_of_the_size() {
        assert!(Canvas::new(&mut [0; 12], 2, 2).is_some());
        assert!(Canvas::new(&mut [0; 12], 2, 3).is_none());
        assert!(Canvas::new(&mut [0; 13], 2, 2).is_none());
        assert!(Canvas::new(&mut [0; 12], usize::MAX, usize::MAX).is_none());
    }

    #[test]
    fn an_outline_is_clipped() {
        let got = drawn(6, 5, |canvas| canvas.outline([1, 1, 4, 9], 1, INK));
        assert_eq!(got, ["......", ".####.", ".#..#.", ".#..#.", ".#..#."]);
    }

    #[test]
    fn thick_lines_lie_around_the_edge() {
        let got = drawn(7, 7, |canvas| canvas.outline([2, 2, 4, 4], 3, INK));
        assert_eq!(got, [".......", ".#####.", ".#####.", ".#####.", ".#####.", ".#####.", "......."]);
    }

    #[test]
    fn a_disc_is_round() {
        let got = drawn(5, 5, |canvas| canvas.disc(2, 2, 2, INK));
        assert_eq!(got, ["..#..", ".###.", "#####", ".###.", "..#.."]);
    }

    #[test]
    fn letters_can_be_read() {
        let got = drawn(9, 8, |canvas| canvas.text((1, 0), "1", 1, INK));
        assert_eq!(
            got,
            [
                "...##....",
                "..###....",
                "...##....",
                "...##....",
                "...##....",
                "...##....",
                ".######..",
                "........."
            ]
        );
        let strange = drawn(8, 8, |canvas| canvas.text((0, 0), "\u{1F600}", 1, INK));
        assert_eq!(strange, drawn(8, 8, |canvas| canvas.text((0, 0), "?", 1, INK)));
        assert_eq!(Canvas::text_size("ab", 3), (48, 24));
    }

    proptest! {
        #[test]
        fn nothing_panics_wherever_it_lies(
            (width, height) in (0usize..9, 0usize..9),
            corners: [i32; 4],
            thickness: i32,
            radius in -5i64..1 << 40,
        ) {
            let mut samples = vec![0; width * height * 3];
            let mut canvas = Canvas::new(&mut samples, width, height).unwrap();
            let corners = corners.map(i64::from);
            canvas.outline(corners, i64::from(thickness), INK);
            canvas.fill(corners, INK);
            canvas.disc(corners[0], corners[1], radius, INK);
            canvas.text((corners[2], corners[3]), "text", 3, INK);
        }
    }
}

//! Converts decoded samples to the requested colours.

use crate::value::Color;

/// The samples of a pixel: colour channels, then alpha; one byte each, or two in native byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    color: Color,
    model: Model,
    has_alpha: bool,
    is_wide: bool,
}

/// What the colour channels stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Light,
    /// Luma, Cb and Cr.
    Luma,
    /// CMYK inks as in JPEG, where 255 is no ink.
    Inks,
    /// The same, the first three as luma, Cb and Cr.
    LumaInks,
}

impl Layout {
    pub(super) const RGB: Layout = Layout::new(Color::Rgb, false, false);
    pub(super) const BGR: Layout = Layout::new(Color::Bgr, false, false);
    pub(super) const GREY: Layout = Layout::new(Color::Grey, false, false);
    pub(super) const YCBCR: Layout = Layout::of_model(Model::Luma);
    pub(super) const INKS: Layout = Layout::of_model(Model::Inks);
    pub(super) const YCCK: Layout = Layout::of_model(Model::LumaInks);

    pub(super) const fn new(color: Color, has_alpha: bool, is_wide: bool) -> Layout {
        Layout { color, model: Model::Light, has_alpha, is_wide }
    }

    const fn of_model(model: Model) -> Layout {
        Layout { color: Color::Rgb, model, has_alpha: false, is_wide: false }
    }

    /// Whether no conversion to this colour is needed.
    pub(super) fn is(self, color: Color) -> bool {
        self == Layout::new(color, false, false)
    }

    const fn samples(self) -> usize {
        let black = matches!(self.model, Model::Inks | Model::LumaInks);
        self.color.channels() + self.has_alpha as usize + black as usize
    }

    /// Bytes of a pixel.
    pub(super) const fn bytes(self) -> usize {
        self.samples() * if self.is_wide { 2 } else { 1 }
    }

    /// Converts the pixels of `from` to that colour with 8-bit samples.
    pub(super) fn convert(self, from: &[u8], color: Color, background: Option<[u8; 3]>, to: &mut [u8]) {
        let step = if self.is_wide { 2 } else { 1 };
        // Of two bytes the high one is used, as in other decoders; its position depends on the byte order.
        let high = usize::from(self.is_wide && cfg!(target_endian = "little"));
        let background = background.filter(|_| self.has_alpha);
        let pixels = from.chunks_exact(self.bytes()).zip(to.chunks_exact_mut(color.channels()));
        for (pixel, to) in pixels {
            let sample = |channel: usize| pixel[channel * step + high];
            let mut rgb = match self.color {
                Color::Grey => [sample(0); 3],
                Color::Rgb => [sample(0), sample(1), sample(2)],
                Color::Bgr => [sample(2), sample(1), sample(0)],
            };
            match self.model {
                Model::Light => {}
                Model::Luma if color == Color::Grey => rgb = [rgb[0]; 3],
                Model::Luma => rgb = from_luma(rgb),
                Model::Inks => rgb = rgb.map(|ink| under(ink, sample(3))),
                Model::LumaInks => rgb = from_luma(rgb).map(|light| under(255 - light, sample(3))),
            }
            if let Some(background) = background {
                let alpha = sample(self.color.channels());
                for (value, behind) in rgb.iter_mut().zip(background) {
                    *value = over(*value, alpha, behind);
                }
            }
            write(rgb, color, to);
        }
    }
}

/// Writes a pixel in that colour.
pub(crate) fn write([r, g, b]: [u8; 3], color: Color, to: &mut [u8]) {
    match color {
        Color::Rgb => to.copy_from_slice(&[r, g, b]),
        Color::Bgr => to.copy_from_slice(&[b, g, r]),
        Color::Grey => to.copy_from_slice(&[grey(r, g, b)]),
    }
}

/// Luma by ITU-R BT.601, computed with 14 fraction bits.
pub(crate) fn grey(r: u8, g: u8, b: u8) -> u8 {
    let sum = 4899 * u32::from(r) + 9617 * u32::from(g) + 1868 * u32::from(b);
    ((sum + (1 << 13)) >> 14) as u8
}

/// The light of luma, Cb and Cr, by libjpeg's numbers with 16 fraction bits.
fn from_luma([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = (91_881 * cr + HALF) >> 16;
    let green = (-22_554 * cb - 46_802 * cr + HALF) >> 16;
    let blue = (116_130 * cb + HALF) >> 16;
    [red, green, blue].map(|offset| (y + offset).clamp(0, 255) as u8)
}

/// The light that an ink and black let through.
fn under(ink: u8, black: u8) -> u8 {
    let taken = ((255 - u32::from(ink)) * u32::from(black)) >> 8;
    (u32::from(black) - taken) as u8
}

/// Blends a sample with that opacity over another.
fn over(value: u8, alpha: u8, behind: u8) -> u8 {
    let alpha = u32::from(alpha);
    let sum = u32::from(value) * alpha + u32::from(behind) * (255 - alpha);
    ((sum + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(layout: Layout, from: &[u8], color: Color, background: Option<[u8; 3]>) -> Vec<u8> {
        let mut to = vec![0; from.len() / layout.bytes() * color.channels()];
        layout.convert(from, color, background, &mut to);
        to
    }

    #[test]
    fn every_layout_comes_to_every_colour() {
        let rgba = Layout::new(Color::Rgb, true, false);
        assert_eq!(converted(rgba, &[1, 2, 3, 0], Color::Bgr, None), [3, 2, 1]);
        assert_eq!(converted(rgba, &[100, 100, 100, 51], Color::Rgb, Some([0, 200, 100])), [20, 180, 100]);
        let grey_alpha = Layout::new(Color::Grey, true, false);
        assert_eq!(converted(grey_alpha, &[7, 0], Color::Rgb, None), [7, 7, 7]);
        assert_eq!(converted(grey_alpha, &[7, 0], Color::Grey, Some([9; 3])), [9]);
        assert_eq!(converted(Layout::YCBCR, &[100, 128, 228], Color::Rgb, None), [240, 29, 100]);
        assert_eq!(converted(Layout::YCBCR, &[100, 1, 228], Color::Grey, None), [100], "its own luma");
        assert_eq!(converted(Layout::INKS, &[255, 0, 255, 255], Color::Rgb, None), [255, 1, 255]);
        assert_eq!(converted(Layout::YCCK, &[15, 128, 128, 255], Color::Rgb, None), [241; 3]);
        let wide: Vec<u8> = [0x1234u16, 0x5678, 0x9abc].iter().flat_map(|s| s.to_ne_bytes()).collect();
        assert_eq!(
            converted(Layout::new(Color::Rgb, false, true), &wide, Color::Rgb, None),
            [0x12, 0x56, 0x9a]
        );
        assert_eq!(converted(Layout::RGB, &[255, 255, 255], Color::Grey, None), [255]);
    }
}

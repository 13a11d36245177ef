//! Exif orientation: turns images upright.

use image::metadata::Orientation as Exif;

use super::Size;

/// One of the eight orientations: first transposed, then mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation {
    swap: bool,
    mirror_x: bool,
    mirror_y: bool,
}

impl Orientation {
    pub(super) const UPRIGHT: Orientation = Orientation { swap: false, mirror_x: false, mirror_y: false };

    /// The orientation in an Exif block; upright if it has none.
    pub(super) fn from_exif(block: &[u8]) -> Orientation {
        Exif::from_exif_chunk(block).map_or(Orientation::UPRIGHT, Orientation::from)
    }

    /// The size of the upright image.
    pub(super) fn size(self, size: Size) -> Size {
        if self.swap { Size::new(size.height, size.width) } else { size }
    }

    /// Writes the upright image; `to` has the same number of pixels.
    pub(super) fn apply(self, from: &[u8], size: Size, channels: usize, to: &mut [u8]) {
        let upright = self.size(size);
        let rows = to.chunks_exact_mut((upright.width * channels).max(1));
        for (y, row) in rows.enumerate() {
            let y = if self.mirror_y { upright.height - 1 - y } else { y };
            for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
                let x = if self.mirror_x { upright.width - 1 - x } else { x };
                let at = if self.swap { x * size.width + y } else { y * size.width + x };
                pixel.copy_from_slice(&from[at * channels..][..channels]);
            }
        }
    }
}

impl From<Exif> for Orientation {
    fn from(exif: Exif) -> Orientation {
        let (swap, mirror_x, mirror_y) = match exif {
            Exif::NoTransforms => (false, false, false),
            Exif::FlipHorizontal => (false, true, false),
            Exif::Rotate180 => (false, true, true),
            Exif::FlipVertical => (false, false, true),
            Exif::Rotate90FlipH => (true, false, false),
            Exif::Rotate90 => (true, true, false),
            Exif::Rotate270FlipH => (true, true, true),
            Exif::Rotate270 => (true, false, true),
        };
        Orientation { swap, mirror_x, mirror_y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of three pixels, `1 2 3` over `4 5 6`, turned upright for each Exif orientation.
    #[test]
    fn all_eight() {
        let upright: [(u8, &[u8]); 8] = [
            (1, &[1, 2, 3, 4, 5, 6]),
            (2, &[3, 2, 1, 6, 5, 4]),
            (3, &[6, 5, 4, 3, 2, 1]),
            (4, &[4, 5, 6, 1, 2, 3]),
            (5, &[1, 4, 2, 5, 3, 6]),
            (6, &[4, 1, 5, 2, 6, 3]),
            (7, &[6, 3, 5, 2, 4, 1]),
            (8, &[3, 6, 2, 5, 1, 4]),
        ];
        for (number, want) in upright {
            let orientation = Orientation::from(Exif::from_exif(number).unwrap());
            let mut to = [0; 6];
            orientation.apply(&[1, 2, 3, 4, 5, 6], Size::new(3, 2), 1, &mut to);
            assert_eq!(to, want, "{number}");
            assert_eq!(orientation.size(Size::new(3, 2)).width, if number < 5 { 3 } else { 2 });
        }
    }

    #[test]
    fn what_says_nothing_is_upright() {
        assert_eq!(Orientation::from_exif(b"MM\0*\0\0\0\x08\0\0"), Orientation::UPRIGHT);
        assert_eq!(Orientation::from_exif(b"nonsense"), Orientation::UPRIGHT);
    }
}

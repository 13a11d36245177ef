//! Encodes an image as a file.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageResult};

/// The file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG with a quality from 1 to 100.
    Jpeg(u8),
    Png,
}

/// Encodes 8-bit samples: grey with one sample a pixel, RGB with three.
///
/// Fails with a message if the number of samples does not fit the size, or a side of a JPEG exceeds 65535 pixels.
pub fn encode(samples: &[u8], width: usize, height: usize, format: Format) -> Result<Vec<u8>, String> {
    let (pixels, sides) = (width.checked_mul(height), (u32::try_from(width), u32::try_from(height)));
    let (Some(pixels @ 1..), (Ok(wide), Ok(high))) = (pixels, sides) else {
        return Err(format!("a picture of {width}x{height} cannot be encoded"));
    };
    let color = match samples.len() {
        n if n == pixels => ExtendedColorType::L8,
        n if Some(n) == pixels.checked_mul(3) => ExtendedColorType::Rgb8,
        n => return Err(format!("{n} samples are no grey or RGB picture of {width}x{height}")),
    };
    let mut file = Vec::new();
    let written: ImageResult<()> = match format {
        Format::Jpeg(quality) => JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100))
            .write_image(samples, wide, high, color),
        Format::Png => PngEncoder::new(&mut file).write_image(samples, wide, high, color),
    };
    written.map(|()| file).map_err(|why| format!("a picture of {width}x{height} cannot be encoded: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A smooth gradient, which JPEG reproduces well.
    fn slope(width: usize, height: usize) -> Vec<u8> {
        let pixel = |i: usize| [(i % width * 4) as u8, (i / width * 4) as u8, 100];
        (0..width * height).flat_map(pixel).collect()
    }

    #[test]
    fn what_is_encoded_reads_back() {
        let samples = slope(40, 30);
        for (format, tolerance) in [(Format::Png, 0), (Format::Jpeg(95), 6)] {
            let file = encode(&samples, 40, 30, format).unwrap();
            let back = image::load_from_memory(&file).unwrap().into_rgb8();
            assert_eq!(back.dimensions(), (40, 30));
            let worst = back.iter().zip(&samples).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(tolerance), "{format:?}: {worst:?}");
        }
        let grey = encode(&samples[..1200], 40, 30, Format::Png).unwrap();
        assert_eq!(image::load_from_memory(&grey).unwrap().color(), image::ColorType::L8);
    }

    #[test]
    fn a_worse_quality_is_smaller() {
        let samples = slope(60, 60);
        let size = |quality| encode(&samples, 60, 60, Format::Jpeg(quality)).unwrap().len();
        assert!(size(10) < size(95));
        assert_eq!(size(0), size(1));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert_eq!(encode(&[], 0, 3, Format::Png).unwrap_err(), "a picture of 0x3 cannot be encoded");
        assert_eq!(
            encode(&[0; 5], 2, 2, Format::Png).unwrap_err(),
            "5 samples are no grey or RGB picture of 2x2"
        );
        assert!(encode(&[0; 5], usize::MAX, 2, Format::Png).is_err());
        let wide = encode(&vec![0; 70_000], 70_000, 1, Format::Jpeg(80)).unwrap_err();
        assert!(wide.starts_with("a picture of 70000x1 cannot be encoded: "), "{wide}");
    }
}

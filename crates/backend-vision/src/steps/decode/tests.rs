use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use proptest::prelude::*;

use super::*;

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 3) as u8, (y * 5) as u8, (x + y) as u8]))
}

fn encoded(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture(width, height)).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn refused(bytes: &[u8]) -> String {
    let error = decode_alone(bytes, 1 << 20).unwrap_err();
    assert_eq!(error.code(), hippocamp_backend::Code::InvalidArg, "{error}");
    error.to_string()
}

const LOSSLESS: [ImageFormat; 3] = [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp];

#[test]
fn lossless_pictures_come_back_as_they_were() {
    for format in LOSSLESS {
        for (width, height) in [(1, 1), (7, 5), (64, 33)] {
            let image = decode_alone(&encoded(format, width, height), 1 << 20).unwrap();
            assert_eq!(image.size, Size::new(width as usize, height as usize));
            let crate::value::Pixels::U8(samples) = &image.pixels else { panic!("8 bits") };
            assert_eq!(samples, picture(width, height).as_raw(), "{format:?}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for format in LOSSLESS {
        let whole = encoded(format, 40, 30);
        for length in 0..whole.len() {
            if decode_alone(&whole[..length], 1 << 20).is_ok() {
                // Only bytes after the image may be missing.
                assert!(
                    format != ImageFormat::Bmp && whole.len() - length <= 16,
                    "{format:?} {length} of {}",
                    whole.len()
                );
            }
        }
    }
}

#[test]
fn what_is_no_picture_is_told() {
    assert_eq!(refused(b""), "the picture is empty, it has 0 bytes");
    assert_eq!(
        refused(b"<html>\n"),
        "JPEG, PNG, WebP or BMP was expected, got 7 bytes that begin with '<html>\\n'"
    );
    assert!(refused(b"\xff\xd8\xff").starts_with("JPEG: it cannot be read: "));
    assert!(refused(b"\x89PNG\r\n\x1a\n").starts_with("PNG: it cannot be read: "));
}

/// A header that claims a size, without image data.
fn claims(format: ImageFormat, side: u32) -> Vec<u8> {
    let mut bytes = encoded(format, 16, 16);
    match format {
        // IHDR with its checksum.
        ImageFormat::Png => {
            bytes[16..20].copy_from_slice(&side.to_be_bytes());
            bytes[20..24].copy_from_slice(&side.to_be_bytes());
            let checksum = crc(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        }
        ImageFormat::Bmp => {
            bytes[18..22].copy_from_slice(&side.to_le_bytes());
            bytes[22..26].copy_from_slice(&side.to_le_bytes());
        }
        _ => {
            let bits = (side - 1) | (side - 1) << 14;
            bytes[21..25].copy_from_slice(&bits.to_le_bytes());
        }
    }
    bytes.truncate(100);
    bytes
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn large_claims_are_refused_before_there_is_memory_for_them() {
    for (format, side) in
        [(ImageFormat::Png, 30_000), (ImageFormat::Bmp, 30_000), (ImageFormat::WebP, 16_000)]
    {
        let text = refused(&claims(format, side));
        assert!(text.contains(&format!("{side}x{side} pixels, 1048576 are allowed (max_pixels)")), "{text}");
    }
    // SOI, then SOF0 of 30000x30000 in three components.
    let mut jpeg = vec![0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0x75, 0x30, 0x75, 0x30, 3];
    jpeg.extend([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    jpeg.extend([0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    jpeg.resize(100, 0);
    let text = refused(&jpeg);
    assert!(text.contains("30000x30000 pixels"), "{text}");
}

#[test]
fn a_frame_larger_than_its_canvas_is_refused_as_well() {
    let lossless = encoded(ImageFormat::WebP, 16, 16);
    let mut bytes = b"RIFF\0\x01\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x0f\0\0".to_vec();
    bytes.extend(&lossless[12..]);
    decode_alone(&bytes, 1 << 20).unwrap();
    let bits = (16_000u32 - 1) | (16_000 - 1) << 14;
    bytes[39..43].copy_from_slice(&bits.to_le_bytes());
    assert!(refused(&bytes).contains("16000x16000 pixels"));
}

/// Cut from `chelsea.png`, 41x30, encoded by OpenCV.
const JPEGS: [&[u8]; 4] = [
    include_bytes!("../../../tests/pictures/baseline_420.jpg"),
    include_bytes!("../../../tests/pictures/progressive_444.jpg"),
    include_bytes!("../../../tests/pictures/grey.jpg"),
    include_bytes!("../../../tests/pictures/turned.jpg"),
];

/// Channel means as decoded by OpenCV.
const MEANS: [[f64; 3]; 4] =
    [[142.98, 104.52, 81.72], [142.84, 104.59, 81.59], [113.42; 3], [142.88, 104.44, 82.03]];

#[test]
fn jpegs_are_read_in_every_colour() {
    for (bytes, means) in JPEGS.iter().zip(MEANS) {
        for color in [Color::Rgb, Color::Bgr] {
            let wish = Wish { color, upright: false, background: None, max_pixels: 41 * 30 };
            let mut image = Image::default();
            decode(bytes, wish, &mut Scratch::default(), &mut image).unwrap();
            assert_eq!((image.size, image.color), (Size::new(41, 30), color));
            let crate::value::Pixels::U8(samples) = &image.pixels else { panic!("8 bits") };
            for (channel, want) in means.iter().enumerate() {
                let place = if color == Color::Rgb { channel } else { 2 - channel };
                let sum: u64 = samples.iter().skip(place).step_by(3).map(|s| u64::from(*s)).sum();
                let mean = sum as f64 / (41.0 * 30.0);
                assert!((mean - want).abs() < 0.6, "{mean} {want}");
            }
        }
    }
    assert_eq!(decode_alone(JPEGS[3], 1 << 20).unwrap().size, Size::new(30, 41), "turned upright");
}

/// A file that libjpeg-turbo reads, and the picture that OpenCV 5.0 makes of it.
macro_rules! kind {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../../tests/pictures/kinds/", $name, ".jpg")).as_slice(),
            include_bytes!(concat!("../../../tests/pictures/kinds/", $name, ".png")).as_slice(),
        )
    };
}

type KindOfFile = (&'static str, &'static [u8], &'static [u8]);

/// Sequential files that `zune-jpeg` takes for other pictures, or refuses.
const UNUSUAL: [KindOfFile; 7] = [
    kind!("scans_420"),
    kind!("scans_444_restarts"),
    kind!("scans_of_two_422"),
    kind!("scans_440"),
    kind!("luma_halved"),
    kind!("luma_rows_halved"),
    kind!("thirds"),
];

/// Kinds that it reads, with some help.
const HELPED: [KindOfFile; 5] = [
    kind!("progressive_440"),
    kind!("without_tables"),
    kind!("jfif_and_adobe_rgb"),
    kind!("jfif_and_adobe_rgb_progressive"),
    kind!("inks_adobe_1"),
];

fn samples_in(color: Color, bytes: &[u8]) -> Vec<u8> {
    let wish = Wish { color, upright: true, background: None, max_pixels: 1 << 20 };
    let mut image = Image::default();
    decode(bytes, wish, &mut Scratch::default(), &mut image).unwrap();
    assert_eq!((image.size, image.color), (Size::new(39, 29), color));
    let crate::value::Pixels::U8(samples) = image.pixels else { panic!("8 bits") };
    samples
}

#[test]
fn every_kind_of_jpeg_is_the_picture_that_others_see() {
    let most_off = |got: &[u8], want: &[u8]| got.iter().zip(want).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    for (name, jpeg, png) in UNUSUAL {
        for color in [Color::Rgb, Color::Bgr] {
            assert_eq!(most_off(&samples_in(color, jpeg), &samples_in(color, png)), 0, "{name} {color:?}");
        }
    }
    for (name, jpeg, png) in HELPED {
        for color in [Color::Rgb, Color::Bgr] {
            let off = most_off(&samples_in(color, jpeg), &samples_in(color, png));
            assert!(off <= 4, "{name} {color:?}: {off} of 255");
        }
    }
    // A file's luma differs from that of its pixels where these were clamped.
    for (name, jpeg, png) in UNUSUAL.into_iter().chain(HELPED) {
        let off = most_off(&samples_in(Color::Grey, jpeg), &samples_in(Color::Grey, png));
        assert!(off <= 6, "{name} in grey: {off} of 255");
    }
}

#[test]
fn the_sampling_of_a_single_component_does_not_matter() {
    let frame = JPEGS[2].windows(2).position(|pair| pair == b"\xff\xc0").unwrap();
    // Behind the marker: length, precision, height, width, the number of components, and the first one's id.
    let sampling = frame + 2 + 2 + 1 + 2 + 2 + 1 + 1;
    let of = |bytes: &[u8]| match decode_alone(bytes, 1 << 20).unwrap().pixels {
        crate::value::Pixels::U8(samples) => samples,
        crate::value::Pixels::F32(_) => panic!("8 bits"),
    };
    assert_eq!(JPEGS[2][sampling - 2..=sampling], [1, 1, 0x11]);
    for factors in [0x12, 0x21, 0x22, 0x13, 0x31, 0x33, 0x34, 0x44] {
        let mut bytes = JPEGS[2].to_vec();
        bytes[sampling] = factors;
        // Two decoders round differently.
        let off = of(&bytes).iter().zip(of(JPEGS[2])).map(|(a, b)| a.abs_diff(b)).max();
        assert!(off <= Some(1), "{factors:x}: {off:?} of 255");
    }
}

#[test]
fn a_jpeg_that_ends_early_is_refused_wherever_it_ends() {
    for bytes in JPEGS.into_iter().chain(UNUSUAL.map(|(_, bytes, _)| bytes)) {
        for length in 0..bytes.len() - 2 {
            refused(&bytes[..length]);
        }
    }
}

#[test]
fn the_first_of_several_exif_blocks_counts() {
    let upright = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0";
    let (begin, rest) = JPEGS[3].split_at(2);
    let size = |bytes: &[u8]| decode_alone(bytes, 1 << 20).unwrap().size;
    assert_eq!(size(&[begin, upright, rest].concat()), Size::new(41, 30));
    let quantization = rest.windows(2).position(|pair| pair == b"\xff\xdb").unwrap();
    let (header, rest) = rest.split_at(quantization);
    assert_eq!(size(&[begin, header, upright, rest].concat()), Size::new(30, 41));
}

#[test]
fn bytes_behind_a_picture_do_not_matter() {
    let bytes = [JPEGS[0], b"trailing bytes"].concat();
    decode_alone(&bytes, 1 << 20).unwrap();
}

/// Runs the step on some bytes and returns the size.
fn run(bytes: &[u8]) -> Result<Size> {
    run_with(OnError::Fail, bytes)
}

fn run_with(on_error: OnError, bytes: &[u8]) -> Result<Size> {
    let mut step = DecodeStep {
        input: Slot(0),
        output: Slot(1),
        size: None,
        wish: Wish { color: Color::Rgb, upright: true, background: Some([9; 3]), max_pixels: 1 << 16 },
        on_error,
        scratch: Scratch::default(),
    };
    let mut values = Values::new(2);
    values.set(Slot(0), Value::Encoded(bytes.to_vec().into()));
    step.run(&mut values)?;
    Ok(values.image(Slot(1))?.size)
}

#[test]
fn a_black_picture_may_stand_in_for_what_is_none() {
    let cut = &JPEGS[0][..JPEGS[0].len() / 2];
    for bad in [&b""[..], b"hello", cut] {
        assert!(run(bad).is_err());
        assert_eq!(run_with(OnError::Black, bad).unwrap(), BLACK);
    }
    assert_eq!(run_with(OnError::Black, JPEGS[0]).unwrap(), run(JPEGS[0]).unwrap());
}

proptest! {
    /// However a file is damaged: it is decoded, or refused as invalid.
    #[test]
    fn damage_is_no_harm(
        which in 0..14usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = match which {
            0..4 => JPEGS[which].to_vec(),
            7.. => UNUSUAL[which - 7].1.to_vec(),
            _ => encoded(LOSSLESS[which - 4], 23, 17),
        };
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        match run(&bytes) {
            Ok(size) => prop_assert!((1..=1 << 16).contains(&size.pixels())),
            Err(error) => prop_assert_eq!(error.code(), hippocamp_backend::Code::InvalidArg),
        }
    }
}

/// Found by the fuzz target: `zune-jpeg` panics at this file, which it is no longer asked to read.
#[test]
fn a_picture_at_which_a_decoder_panicked_is_bad_and_nothing_else() {
    let bytes = include_bytes!("../../../tests/pictures/decoder_panics.jpg");
    let wish = Wish { color: Color::Rgb, upright: true, background: None, max_pixels: 1 << 20 };
    let (mut scratch, mut image) = (Scratch::default(), Image::default());
    let error = decode_hostile(bytes, wish, &mut scratch, &mut image).unwrap_err();
    let expected = "JPEG: it cannot be read: a coefficient is damaged";
    assert_eq!((error.code(), error.message()), (Code::InvalidArg, expected));
    decode_hostile(JPEGS[0], wish, &mut scratch, &mut image).unwrap();
    assert_eq!(image.size, Size::new(41, 30));
}

#[test]
fn a_decoder_may_panic() {
    let error = unharmed(|| panic!("at a file that nobody thought of")).unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArg, "the picture cannot be decoded"));
}

//! Compares with `zune-jpeg` on files made of random coefficients.

mod file;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::*;
use crate::block::{Block, Steps};
use file::{Most, Picture, pictures};

/// Decodes as the vision backend does: headers leniently, the coded data strictly.
fn by_zune(file: &[u8], order: Order) -> Option<Vec<u8>> {
    let colors = match order {
        Order::Rgb => ColorSpace::RGB,
        Order::Bgr => ColorSpace::BGR,
    };
    let options = DecoderOptions::default().set_strict_mode(false).jpeg_set_out_colorspace(colors);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().ok()?;
    if decoder.input_colorspace() != Some(ColorSpace::YCbCr) {
        return None;
    }
    let (width, height) = decoder.dimensions()?;
    decoder.set_options(options.set_strict_mode(true));
    let mut out = vec![0; 3 * width * height];
    decoder.decode_into(&mut out).ok()?;
    Some(out)
}

fn by_us(decoder: &mut Decoder, file: &[u8], order: Order, size: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; size];
    decoder.decode(file, order, &mut out).then_some(out)
}

fn is_available() -> bool {
    fearless_simd::Level::new().as_avx2().is_some()
}

/// Coefficients that do not add up to more than those of a picture, however many there are.
const USUAL: Most = Most { dc: 1200, ac: 150 };

/// Whatever we decode, `zune-jpeg` decodes to the same.
fn check_if_decoded(picture: &Picture, file: &[u8]) -> TestCaseResult {
    let out = by_us(&mut Decoder::default(), file, Order::Rgb, picture.size());
    if let Some(out) = out {
        let expected = by_zune(file, Order::Rgb);
        prop_assert!(expected.is_some(), "zune-jpeg refuses it");
        prop_assert!(expected == Some(out), "the pixels differ");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pixels_are_those_of_zune_jpeg(pictures in prop::collection::vec(pictures(USUAL), 1..4)) {
        let mut decoder = Decoder::default();
        for picture in pictures {
            let file = picture.file();
            for order in [Order::Rgb, Order::Bgr] {
                let expected = by_zune(&file, order);
                prop_assert!(expected.is_some(), "the test's file is broken");
                if is_available() {
                    prop_assert!(by_us(&mut decoder, &file, order, picture.size()) == expected);
                }
            }
        }
    }

    #[test]
    fn coefficients_beyond_those_of_pictures_do_no_harm(
        picture in prop_oneof![
            pictures(Most { dc: 80_000, ..USUAL }),
            pictures(Most { ac: 10_000, ..USUAL }),
            pictures(Most { ac: 130_000, ..USUAL }),
        ],
    ) {
        check_if_decoded(&picture, &picture.file())?;
    }

    #[test]
    fn damaged_files_do_no_harm(
        picture in pictures(USUAL),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        missing in prop_oneof![3 => Just(0), 1 => 0usize..64],
    ) {
        let mut file = picture.file();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(file.len() - missing.min(file.len()));
        check_if_decoded(&picture, &file)?;
    }
}

#[test]
fn another_size_than_the_pictures_is_refused() {
    let picture = Picture::grey(40, 24);
    let file = picture.file();
    let mut decoder = Decoder::default();
    assert_eq!(decoder.decode(&file, Order::Rgb, &mut vec![0; picture.size()]), is_available());
    for size in [0, picture.size() - 1, picture.size() + 3] {
        assert!(!decoder.decode(&file, Order::Rgb, &mut vec![0; size]));
    }
}

#[test]
fn tables_of_the_file_before_are_not_used() {
    let picture = Picture::grey(16, 16);
    let (whole, without) = (picture.file(), picture.file_without_huffman_tables());
    let mut decoder = Decoder::default();
    for (file, is_whole) in [(&whole, true), (&without, false), (&whole, true)] {
        let is_decoded = decoder.decode(file, Order::Rgb, &mut vec![0; picture.size()]);
        assert_eq!(is_decoded, is_whole && is_available());
    }
}

#[test]
fn memory_is_given_back() {
    let mut decoder = Decoder::default();
    let picture = Picture::grey(640, 64);
    let _ = decoder.decode(&picture.file(), Order::Rgb, &mut vec![0; picture.size()]);
    let held = decoder.memory.size();
    decoder.give_back(held);
    assert_eq!(decoder.memory.size(), held);
    decoder.give_back(held / 2);
    assert_eq!(decoder.memory.size(), 0);
}

#[test]
fn every_chroma_gives_the_pixels_of_zune_jpeg() {
    let Some(avx2) = fearless_simd::Level::new().as_avx2() else { return };
    let all: Vec<u8> = (0..=255).collect();
    for cb in 0..=255u8 {
        for luma in [0, 100, 128, 255] {
            let mut pixels = [0; 3 * 256];
            write_line(avx2, &[luma; 256], [&[cb; 256], &all], &mut pixels);
            for (cr, pixel) in (0..=255).zip(pixels.as_chunks().0) {
                assert_eq!(*pixel, rgb(luma, cb, cr), "luma {luma}, chroma {cb} and {cr}");
            }
        }
    }
}

#[test]
fn coefficients_that_overflow_are_refused() {
    let Some(avx2) = fearless_simd::Level::new().as_avx2() else { return };
    for step in 1..=255 {
        let steps = Steps::new(&[step; 64]);
        for value in -1023..=1023i16 {
            let mut block = [0; 128];
            block[17] = value;
            let is_small = i32::from(value).abs() * i32::from(step) <= 2900;
            assert_eq!(transform(avx2, &mut block, &steps), is_small, "{value} times {step}");
        }
    }
    // Multiplied by steps of 16 a DC coefficient of 4000 is -1536 in 16 bits.
    for blocks in 1..80 {
        let picture = Picture::climbing(blocks);
        let mut out = vec![0; picture.size()];
        let is_decoded = Decoder::default().decode(&picture.file(), Order::Rgb, &mut out);
        assert_eq!(is_decoded, blocks == 1, "{blocks}");
    }
}

fearless_simd::kernel!(
    fn transform(avx2: Avx2, block: &mut Block, steps: &Steps) -> bool {
        idct::transform(block, 64, steps, &mut [0; 64], 8).is_ok()
    }
);

fearless_simd::kernel!(
    fn write_line(avx2: Avx2, luma: &[u8], chroma: [&[u8]; 2], pixels: &mut [u8]) {
        pixels::Line { luma, chroma, is_half: false }.write(Order::Rgb, pixels);
    }
);

/// The formula of `zune-jpeg`.
fn rgb(luma: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (luma, cb, cr) = (i32::from(luma) * 16384 + 8191, i32::from(cb) - 128, i32::from(cr) - 128);
    [22970 * cr, -11700 * cr - 5638 * cb, 29032 * cb].map(|color| ((luma + color) >> 14).clamp(0, 255) as u8)
}

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};

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
    let error = decode_for_test(bytes, 1 << 20).unwrap_err();
    assert_eq!(error.code(), hippocamp_backend::Code::InvalidArg, "{error}");
    error.to_string()
}

const LOSSLESS: [ImageFormat; 3] = [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp];

#[test]
fn lossless_pictures_come_back_as_they_were() {
    for format in LOSSLESS {
        for (width, height) in [(1, 1), (7, 5), (64, 33)] {
            let image = decode_for_test(&encoded(format, width, height), 1 << 20).unwrap();
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
            if decode_for_test(&whole[..length], 1 << 20).is_ok() {
                // What is missing may only be what stands behind the picture.
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
    assert_eq!(refused(b"\xff\xd8\xff"), "JPEG: it ends before its header does");
    assert!(refused(b"\x89PNG\r\n\x1a\n").starts_with("PNG: it cannot be read: "));
}

/// A header that claims so many pixels, and nothing behind it.
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
    decode_for_test(&bytes, 1 << 20).unwrap();
    let bits = (16_000u32 - 1) | (16_000 - 1) << 14;
    bytes[39..43].copy_from_slice(&bits.to_le_bytes());
    assert!(refused(&bytes).contains("16000x16000 pixels"));
}

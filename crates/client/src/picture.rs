//! Draws detections on the image that was sent.

use std::io::Cursor;
use std::path::Path;

use hippocamp_drawing::{Canvas, Format, Mark, draw, encode};
use image::{ImageReader, Limits};

use crate::failure::{Failure, Result, fail};
use crate::found::Found;

/// The most memory that decoding an image may take, in bytes.
const MAX_MEMORY: u64 = 1 << 30;

/// Draws the detections with a score above `threshold` on the image `file`, and writes it to `target`.
pub(crate) fn write(file: &[u8], found: &[Found], threshold: f32, target: &Path) -> Result<()> {
    let format =
        match target.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("png") => Format::Png,
            Some("jpg" | "jpeg") => Format::Jpeg(92),
            _ => fail!("--draw {} was expected to end in .png or .jpg", target.display()),
        };
    let (mut samples, width, height) = read(file)?;
    let shown: Vec<(Found, String)> = found
        .iter()
        .filter(|found| found.score > threshold)
        .map(|found| (found.in_pixels(width as f32, height as f32), found.to_string()))
        .collect();
    let mut canvas = Canvas::new(&mut samples, width, height)
        .ok_or_else(|| Failure::new("the picture has no pixels to draw on"))?;
    let marks = shown.iter().map(|(found, text)| Mark {
        corners: found.corners,
        category: found.category.unwrap_or(0),
        text,
        landmarks: &found.landmarks,
    });
    draw(&mut canvas, marks, None);
    let file = encode(&samples, width, height, format).map_err(Failure::new)?;
    std::fs::write(target, file)
        .map_err(|why| Failure::new(format!("{} cannot be written: {why}", target.display())))
}

/// Decodes an image to RGB; returns its samples, width and height. EXIF orientation is ignored, because coordinates
/// refer to the pixels of the file.
fn read(file: &[u8]) -> Result<(Vec<u8>, usize, usize)> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Failure::new(format!("--draw: the file that was sent is no picture that can be drawn on: {why}"))
    };
    let mut reader =
        ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(|why| unreadable(&why))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let picture = reader.decode().map_err(|why| unreadable(&why))?.into_rgb8();
    let (width, height) = picture.dimensions();
    Ok((picture.into_raw(), width as usize, height as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_on_the_picture() {
        let folder = tempfile::tempdir().unwrap();
        let plain = encode(&[200; 60 * 50 * 3], 60, 50, Format::Png).unwrap();
        let face = Found { score: 0.9, corners: [0.25, 0.5, 0.75, 0.9], is_ratio: true, ..Found::default() };
        let low = Found { score: 0.2, corners: [0.0, 0.0, 0.1, 0.1], ..face.clone() };
        let target = folder.path().join("out.png");
        write(&plain, &[face, low], 0.5, &target).unwrap();
        let drawn = image::open(&target).unwrap().into_rgb8();
        assert_eq!(drawn.dimensions(), (60, 50));
        assert_ne!(drawn.get_pixel(15, 40).0, [200; 3], "the left side of the box");
        assert_eq!(drawn.get_pixel(0, 2).0, [200; 3], "below the threshold");
        write(&plain, &[], 0.5, &folder.path().join("out.JPG")).unwrap();
    }

    #[test]
    fn what_cannot_be_drawn_on_is_reported() {
        let failure =
            |file: &[u8], target: &str| write(file, &[], 0.5, Path::new(target)).unwrap_err().to_string();
        assert_eq!(failure(b"", "out.gif"), "--draw out.gif was expected to end in .png or .jpg");
        assert!(
            failure(b"no picture", "out.png").starts_with("--draw: the file that was sent is no picture")
        );
        let plain = encode(&[0; 3], 1, 1, Format::Png).unwrap();
        assert!(
            failure(&plain, "/no/such/folder/out.png")
                .starts_with("/no/such/folder/out.png cannot be written")
        );
    }
}

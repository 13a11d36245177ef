//! Parses the chunks of a WebP file before its decoder runs.

use super::Size;

/// The chunks that are checked in advance. Invalid ones are left out; the decoder refuses them.
#[derive(Debug, Default)]
pub(super) struct Chunks<'a> {
    canvas: Option<Size>,
    frame: Option<Size>,
    pub(super) is_animated: bool,
    pub(super) exif: Option<&'a [u8]>,
}

impl<'a> Chunks<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Chunks<'a> {
        let mut chunks = Chunks::default();
        let mut rest = bytes.get(12..).unwrap_or_default();
        while let Some((header, content)) = rest.split_first_chunk::<8>() {
            let [a, b, c, d, length @ ..] = *header;
            let length = u32::from_le_bytes(length) as usize;
            let content_now = content.get(..length).unwrap_or(content);
            chunks.add([a, b, c, d], content_now);
            rest = content.get(length.saturating_add(length % 2)..).unwrap_or_default();
        }
        chunks
    }

    /// Every image and frame size that the file claims.
    pub(super) fn sizes(&self) -> impl Iterator<Item = Size> {
        self.canvas.into_iter().chain(self.frame)
    }

    fn add(&mut self, name: [u8; 4], content: &'a [u8]) {
        match &name {
            b"VP8X" => {
                const ANIMATION: u8 = 0x02;
                if let [flags, _, _, _, w0, w1, w2, h0, h1, h2, ..] = *content {
                    self.is_animated = flags & ANIMATION != 0;
                    let side =
                        |bytes: [u8; 3]| 1 + u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) as usize;
                    self.canvas = Some(Size::new(side([w0, w1, w2]), side([h0, h1, h2])));
                }
            }
            // Both formats have 14 bits for each side.
            b"VP8 " => {
                if let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = *content {
                    let side = |bytes: [u8; 2]| usize::from(u16::from_le_bytes(bytes) & 0x3fff);
                    self.frame = Some(Size::new(side([w0, w1]), side([h0, h1])));
                }
            }
            b"VP8L" => {
                if let [0x2f, a, b, c, d, ..] = *content {
                    let bits = u32::from_le_bytes([a, b, c, d]) as usize;
                    self.frame = Some(Size::new(1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)));
                }
            }
            // Some encoders write the prefix that Exif has in a JPEG.
            b"EXIF" => self.exif = Some(content.strip_prefix(b"Exif\0\0").unwrap_or(content)),
            _ => {}
        }
    }
}

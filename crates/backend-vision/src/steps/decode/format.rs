//! Recognises image formats by the first bytes; file names and content types are ignored.

use std::fmt;

use hippocamp_backend::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Bmp,
}

impl Format {
    pub(super) fn of(bytes: &[u8]) -> Result<Format> {
        let found = match bytes {
            [] => return Err(Error::invalid_arg("the picture is empty, it has 0 bytes")),
            [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
            [0x89, b'P', b'N', b'G', ..] => Some(Format::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::WebP),
            [b'B', b'M', ..] => Some(Format::Bmp),
            _ => None,
        };
        found.ok_or_else(|| {
            let first = bytes.get(..8).unwrap_or(bytes).escape_ascii();
            Error::invalid_arg(format!(
                "JPEG, PNG, WebP or BMP was expected, got {} bytes that begin with '{first}'",
                bytes.len()
            ))
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::WebP => "WebP",
            Format::Bmp => "BMP",
        })
    }
}

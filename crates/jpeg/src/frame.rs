//! What a file says of its picture before the first scan.

use crate::segments::Segments;

/// How the samples of a pixel are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    Grey,
    YCbCr,
    Rgb,
    /// Inks, of which 255 is none.
    Cmyk,
    /// Inks whose first three are luma and chroma.
    Ycck,
}

/// The frame of a Huffman coded picture of 8 bits a sample, sequential or progressive.
#[derive(Debug)]
pub struct Frame<'a> {
    pub width: usize,
    pub height: usize,
    pub colors: Colors,
    /// The Exif block, if there is one.
    pub exif: Option<&'a [u8]>,
    pub is_progressive: bool,
    pub(crate) components: Vec<Component>,
    /// Components of the first scan.
    in_first_scan: usize,
    has_huffman_tables: bool,
    /// The offset of the first scan's marker.
    first_scan: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Component {
    pub(crate) id: u8,
    /// Blocks of an MCU: across, down. From 1 to 4.
    pub(crate) blocks: (usize, usize),
    /// The slot of its quantization steps.
    pub(crate) steps: usize,
}

/// What applications wrote about colours.
#[derive(Default)]
struct Markers {
    is_jfif: bool,
    /// Adobe's number for the colours.
    adobe: Option<u8>,
}

impl<'a> Frame<'a> {
    /// Reads everything up to the first scan. `None` for a file that is damaged there, or of another kind.
    pub fn read(file: &'a [u8]) -> Option<Frame<'a>> {
        let mut segments = Segments::new(file);
        let (mut markers, mut exif, mut frame, mut has_huffman_tables) =
            (Markers::default(), None, None, false);
        loop {
            let first_scan = segments.at();
            let (marker, segment) = segments.next()?;
            match marker {
                0xc0..=0xc2 if frame.is_none() => frame = Some((marker == 0xc2, dimensions(segment)?)),
                0xc4 => has_huffman_tables = true,
                0xe0 => markers.is_jfif |= segment.starts_with(b"JFIF\0") && segment.len() >= 14,
                0xe1 => exif = exif.or(segment.strip_prefix(b"Exif\0\0")),
                0xee if segment.starts_with(b"Adobe") => {
                    markers.adobe = segment.get(11).copied().or(markers.adobe);
                }
                0xda => {
                    let (is_progressive, (width, height, components)) = frame?;
                    let in_first_scan = usize::from(*segment.first()?);
                    let colors = markers.colors(&components)?;
                    return Some(Frame {
                        width,
                        height,
                        colors,
                        exif,
                        is_progressive,
                        components,
                        in_first_scan,
                        has_huffman_tables,
                        first_scan,
                    });
                }
                // Other frames, the end, a number of lines that follows the first scan.
                0xc3 | 0xc5..=0xcf | 0xd8..=0xd9 | 0xdc => return None,
                _ => {}
            }
        }
    }

    /// Whether the picture is of a kind that general decoders read rightly: `zune-jpeg` 0.5.15 takes some of the others for
    /// different pictures, without an error.
    pub fn is_usual(&self) -> bool {
        let usual = match self.components.as_slice() {
            // The factors of the only component mean nothing, but `zune-jpeg` wants powers of two.
            [only] => only.blocks.0.is_power_of_two() && only.blocks.1.is_power_of_two(),
            [luma, chroma @ ..] => {
                let is_full = |component: &Component| component.blocks == (1, 1);
                let luma_is_usual = match chroma.len() {
                    2 => matches!(luma.blocks, (1 | 2 | 4, 1 | 2)),
                    _ => is_full(luma),
                };
                luma_is_usual && chroma.iter().all(is_full)
            }
            [] => false,
        };
        self.is_progressive || usual && self.in_first_scan == self.components.len()
    }

    /// Whether luma has more rows than chroma, and as many columns.
    pub fn halves_rows_only(&self) -> bool {
        matches!(self.components.as_slice(), [luma, ..] if luma.blocks.0 == 1 && luma.blocks.1 > 1)
    }

    /// The file with the usual Huffman tables, if it has none: the frames of Motion JPEG leave them out.
    pub fn with_huffman_tables(&self, file: &[u8]) -> Option<Vec<u8>> {
        if self.has_huffman_tables {
            return None;
        }
        let (before, behind) = file.split_at_checked(self.first_scan)?;
        let tables = crate::usual_tables::SEGMENTS;
        let mut whole = Vec::new();
        whole.try_reserve_exact(file.len() + tables.iter().map(|table| table.len()).sum::<usize>()).ok()?;
        whole.extend_from_slice(before);
        for table in tables {
            whole.extend_from_slice(table);
        }
        whole.extend_from_slice(behind);
        Some(whole)
    }

    /// The most blocks of an MCU that a component has: across, down.
    pub(crate) fn most_blocks(&self) -> (usize, usize) {
        let sides = self.components.iter().map(|component| component.blocks);
        sides.fold((1, 1), |most, blocks| (most.0.max(blocks.0), most.1.max(blocks.1)))
    }
}

fn dimensions(segment: &[u8]) -> Option<(usize, usize, Vec<Component>)> {
    let [8, h1, h0, w1, w0, count, components @ ..] = segment else { return None };
    let side = |high, low| usize::from(u16::from_be_bytes([high, low]));
    let (components, []) = components.as_chunks::<3>() else { return None };
    let components: Vec<_> = components
        .iter()
        .map(|&[id, blocks, steps]| Component {
            id,
            blocks: (usize::from(blocks >> 4), usize::from(blocks & 15)),
            steps: usize::from(steps),
        })
        .collect();
    let fits = |side: usize| (1..=4).contains(&side);
    let all_fit = components.iter().all(|component| fits(component.blocks.0) && fits(component.blocks.1));
    let (width, height) = (side(*w1, *w0), side(*h1, *h0));
    (all_fit && usize::from(*count) == components.len() && width > 0 && height > 0)
        .then_some((width, height, components))
}

impl Markers {
    /// The rule of libjpeg, which other programs follow: a JFIF marker goes before Adobe's, and that before the names of the
    /// components.
    fn colors(&self, components: &[Component]) -> Option<Colors> {
        match components {
            [_] => Some(Colors::Grey),
            [_, _, _] if self.is_jfif => Some(Colors::YCbCr),
            [a, b, c] => Some(match self.adobe {
                Some(0) => Colors::Rgb,
                None if [a.id, b.id, c.id] == *b"RGB" => Colors::Rgb,
                _ => Colors::YCbCr,
            }),
            [_, _, _, _] if matches!(self.adobe, None | Some(0)) => Some(Colors::Cmyk),
            [_, _, _, _] => Some(Colors::Ycck),
            _ => None,
        }
    }
}

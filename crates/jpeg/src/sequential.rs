//! Decodes sequential files of every sampling, in any number of scans, by libjpeg's arithmetic: to the same samples.
//!
//! It is there for what general decoders in Rust get wrong, and takes its time: portable, one bit after the other.

mod entropy;
mod idct;
mod plane;

use crate::frame::Frame;
use crate::segments::Segments;
use entropy::{Bits, Tables};
use plane::Plane;

/// What is wrong with a file.
pub type Fault = &'static str;

/// Decodes a file that [`Frame::read`] read, and that is not progressive: as many samples a pixel as it has components, as they
/// are in the file. `out` has exactly the bytes of the picture.
pub fn decode(file: &[u8], frame: &Frame<'_>, out: &mut [u8]) -> Result<(), Fault> {
    let mut planes = Vec::new();
    for component in &frame.components {
        planes.push(Plane::new(frame, component)?);
    }
    let mut tables = Tables::default();
    let mut restart = 0;
    let mut segments = Segments::new(file);
    while planes.iter().any(|plane| !plane.is_read) {
        let (marker, segment) = segments.next().ok_or("it ends before the picture does")?;
        match marker {
            0xc4 => tables.read_codes(segment).ok_or("a Huffman table is damaged")?,
            0xdb => tables.read_steps(segment).ok_or("a quantization table is damaged")?,
            0xdd => {
                let [high, low] = *segment else { return Err("a restart interval is damaged") };
                restart = usize::from(u16::from_be_bytes([high, low]));
            }
            0xda => {
                let which = components_of(segment, frame, &planes).ok_or("a scan's header is damaged")?;
                let mut scan = Scan { frame, which, restart, bits: Bits::new(file, segments.at()) };
                scan.read(&tables, &mut planes)?;
                segments.go_to(scan.bits.at());
            }
            0xd9 => return Err("a component is missing"),
            _ => {}
        }
    }
    plane::write(frame, &planes, out);
    Ok(())
}

/// A component of a scan: its place in the frame, and its tables for DC and AC.
type Coded = (usize, (usize, usize));

struct Scan<'a, 'f> {
    frame: &'a Frame<'f>,
    which: Vec<Coded>,
    /// MCUs between two restart markers, or 0.
    restart: usize,
    bits: Bits<'a>,
}

/// The components of a scan. Each component is in one scan.
fn components_of(segment: &[u8], frame: &Frame<'_>, planes: &[Plane]) -> Option<Vec<Coded>> {
    let (count, rest) = segment.split_first()?;
    let (ids, _) = rest.split_at_checked(2 * usize::from(*count))?;
    let mut which: Vec<Coded> = Vec::new();
    for [id, slots] in ids.as_chunks::<2>().0 {
        let place = frame.components.iter().position(|component| component.id == *id)?;
        if planes[place].is_read || which.iter().any(|(other, _)| *other == place) {
            return None;
        }
        which.push((place, (usize::from(slots >> 4), usize::from(slots & 15))));
    }
    (!which.is_empty()).then_some(which)
}

impl Scan<'_, '_> {
    fn read(&mut self, tables: &Tables, planes: &mut [Plane]) -> Result<(), Fault> {
        let mut components = Vec::new();
        for (place, slots) in &self.which {
            let steps = tables.steps(self.frame.components[*place].steps);
            let both = steps.zip(tables.codes(*slots)).ok_or("a table is missing")?;
            components.push((*place, both, 0));
        }
        // A component alone has no MCUs but blocks, as many as it has samples for.
        let alone = if let [(place, _)] = *self.which { Some(planes[place].blocks()) } else { None };
        let (columns, rows) = alone.unwrap_or_else(|| {
            let most = self.frame.most_blocks();
            (self.frame.width.div_ceil(8 * most.0), self.frame.height.div_ceil(8 * most.1))
        });
        for number in 0..rows * columns {
            let (row, column) = (number / columns, number % columns);
            if self.restart > 0 && number > 0 && number % self.restart == 0 {
                self.bits.restart(number / self.restart - 1)?;
                for (.., dc) in &mut components {
                    *dc = 0;
                }
            }
            for (place, (steps, codes), dc) in &mut components {
                let (across, down) =
                    if alone.is_some() { (1, 1) } else { self.frame.components[*place].blocks };
                for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
                    let block = self.bits.read_block(*codes, steps, dc)?;
                    planes[*place].set(column * across + x, row * down + y, &idct::samples(&block));
                }
            }
        }
        for (place, _) in &self.which {
            planes[*place].is_read = true;
        }
        Ok(())
    }
}

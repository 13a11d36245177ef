//! Reads everything before the coded data.

use crate::block::COUNT;
use crate::huffman::{Class, Table};
use crate::{Result, Unsupported};

/// Tables are numbered from 0 to 3.
const SLOTS: usize = 4;

/// What a file says before its coded data.
#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) width: usize,
    pub(crate) height: usize,
    components: Vec<Component>,
    steps: [Option<[u8; COUNT]>; SLOTS],
    huffman: Tables,
    /// MCUs between two restart markers; 0 if there are none.
    pub(crate) restart: usize,
}

#[derive(Debug)]
struct Component {
    id: u8,
    /// Blocks of an MCU: across, down.
    blocks: (u8, u8),
    steps: usize,
    dc: usize,
    ac: usize,
}

/// Huffman tables: for DC, and for AC. Most files have the same, so that they are kept from file to file.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    slots: [[Slot; SLOTS]; 2],
}

#[derive(Debug, Default)]
struct Slot {
    table: Option<Table>,
    /// Whether this file has it.
    is_defined: bool,
}

impl Slot {
    fn defined(&self) -> Option<&Table> {
        self.table.as_ref().filter(|_| self.is_defined)
    }
}

/// The resolution of the chroma components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chroma {
    Full,
    /// Half the columns.
    Half,
    /// Half the columns and half the rows.
    Quarter,
}

impl Header {
    /// Reads a file's header. Returns it and what follows it. `tables` are those of the file before.
    pub(crate) fn read(file: &[u8], tables: Tables) -> Result<(Header, &[u8])> {
        let mut header = Header { huffman: tables, ..Header::default() };
        header.huffman.slots.as_flattened_mut().iter_mut().for_each(|slot| slot.is_defined = false);
        let mut rest = file.strip_prefix(&[0xff, 0xd8]).ok_or(Unsupported)?;
        loop {
            let [0xff, marker, high, low, ..] = *rest else { return Err(Unsupported) };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let segment = rest.get(4..2 + length).ok_or(Unsupported)?;
            rest = &rest[2 + length..];
            match marker {
                0xc0 => header.read_frame(segment)?,
                0xc4 => header.huffman.read(segment)?,
                0xda => {
                    header.read_scan(segment)?;
                    return Ok((header, rest));
                }
                0xdb => header.read_steps(segment)?,
                0xdd => {
                    let [high, low] = *segment else { return Err(Unsupported) };
                    header.restart = usize::from(u16::from_be_bytes([high, low]));
                }
                // Comments and what applications wrote.
                0xe0..=0xef | 0xfe => {}
                _ => return Err(Unsupported),
            }
        }
    }

    fn read_frame(&mut self, segment: &[u8]) -> Result<()> {
        let [8, h1, h0, w1, w0, 3, components @ ..] = segment else { return Err(Unsupported) };
        let (components, []) = components.as_chunks::<3>() else { return Err(Unsupported) };
        if components.len() != 3 || !self.components.is_empty() {
            return Err(Unsupported);
        }
        self.height = usize::from(u16::from_be_bytes([*h1, *h0]));
        self.width = usize::from(u16::from_be_bytes([*w1, *w0]));
        self.components.extend(components.iter().map(|&[id, blocks, steps]| Component {
            id,
            blocks: (blocks >> 4, blocks & 15),
            steps: usize::from(steps),
            dc: 0,
            ac: 0,
        }));
        Ok(())
    }

    fn read_steps(&mut self, mut segment: &[u8]) -> Result<()> {
        while let [slot, rest @ ..] = segment {
            let (steps, rest) = rest.split_first_chunk().ok_or(Unsupported)?;
            *self.steps.get_mut(usize::from(*slot)).ok_or(Unsupported)? = Some(*steps);
            segment = rest;
        }
        Ok(())
    }

    /// Reads the header of a scan, which has to have all components and coefficients.
    fn read_scan(&mut self, segment: &[u8]) -> Result<()> {
        let [3, tables @ .., 0, 63, 0] = segment else { return Err(Unsupported) };
        let (tables, []) = tables.as_chunks::<2>() else { return Err(Unsupported) };
        if tables.len() != self.components.len() {
            return Err(Unsupported);
        }
        for (component, [id, slots]) in self.components.iter_mut().zip(tables) {
            if component.id != *id {
                return Err(Unsupported);
            }
            (component.dc, component.ac) = (usize::from(slots >> 4), usize::from(slots & 15));
        }
        Ok(())
    }

    pub(crate) fn chroma(&self) -> Result<Chroma> {
        let [luma, cb, cr] = self.components.as_slice() else { return Err(Unsupported) };
        match (luma.blocks, cb.blocks, cr.blocks) {
            ((1, 1), (1, 1), (1, 1)) => Ok(Chroma::Full),
            ((2, 1), (1, 1), (1, 1)) => Ok(Chroma::Half),
            ((2, 2), (1, 1), (1, 1)) => Ok(Chroma::Quarter),
            _ => Err(Unsupported),
        }
    }

    /// The quantization steps of a component.
    pub(crate) fn steps(&self, component: usize) -> Result<&[u8; COUNT]> {
        let slot = self.components.get(component).ok_or(Unsupported)?.steps;
        self.steps.get(slot).and_then(Option::as_ref).ok_or(Unsupported)
    }

    /// The Huffman tables of a component for DC and AC.
    pub(crate) fn tables(&self, component: usize) -> Result<(&Table, &Table)> {
        let component = self.components.get(component).ok_or(Unsupported)?;
        let [dcs, acs] = &self.huffman.slots;
        let dc = dcs.get(component.dc).and_then(Slot::defined).ok_or(Unsupported)?;
        let ac = acs.get(component.ac).and_then(Slot::defined).ok_or(Unsupported)?;
        Ok((dc, ac))
    }

    /// The tables, for the next file.
    pub(crate) fn into_tables(self) -> Tables {
        self.huffman
    }
}

impl Tables {
    fn read(&mut self, mut segment: &[u8]) -> Result<()> {
        while let [place, rest @ ..] = segment {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(Unsupported)?;
            let count = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(count).ok_or(Unsupported)?;
            let class = match place >> 4 {
                0 => Class::Dc,
                1 => Class::Ac,
                _ => return Err(Unsupported),
            };
            let slot = self.slots[class as usize].get_mut(usize::from(place & 15)).ok_or(Unsupported)?;
            if !slot.table.as_ref().is_some_and(|table| table.is_of(class, counts, symbols)) {
                slot.table = Some(Table::new(class, counts, symbols)?);
            }
            slot.is_defined = true;
            segment = rest;
        }
        Ok(())
    }
}

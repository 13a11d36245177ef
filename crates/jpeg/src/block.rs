//! Reads the coefficients of blocks.

use crate::huffman::{BLOCK_END, Table};
use crate::{Result, Unsupported};

/// Coefficients of a block, in the order that [`crate::idct`] wants. What follows the 64 of them is written by the code
/// that ends a block, and read by nobody.
pub(crate) type Block = [i16; 128];

/// The number of coefficients in a block.
pub(crate) const COUNT: usize = 64;

/// The places of a block's coefficients in the order of the file: zigzag, from the coarsest to the finest.
const ZIGZAG: [u8; COUNT] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// For each coefficient in the file's order its place in a [`Block`]. Those past the last one are for the code that ends a
/// block.
static PLACES: [u8; 256] = {
    let mut places = [COUNT as u8; 256];
    let mut at = 0;
    while at < COUNT {
        // Rows in pairs 0 and 4, 1 and 5, 2 and 6, 3 and 7, the two of a pair interleaved.
        let (row, column) = (ZIGZAG[at] / 8, ZIGZAG[at] % 8);
        places[at] = row % 4 * 16 + column * 2 + row / 4;
        at += 1;
    }
    places
};

/// The quantization steps of a component.
#[derive(Debug)]
pub(crate) struct Steps {
    /// In the order of a [`Block`].
    pub(crate) by_place: [i16; COUNT],
    /// Whether products with AC coefficients always fit into 16 bits.
    pub(crate) are_small: bool,
    /// The largest DC coefficient whose product fits into 16 bits.
    max_dc: i32,
}

impl Steps {
    /// Of steps in the file's order.
    pub(crate) fn new(in_file: &[u8; COUNT]) -> Steps {
        let mut by_place = [0; COUNT];
        for (place, step) in PLACES.iter().zip(in_file) {
            by_place[usize::from(*place)] = i16::from(*step);
        }
        let are_small = in_file.iter().all(|step| i32::from(*step) * MAX_AC <= i32::from(i16::MAX));
        Steps { by_place, are_small, max_dc: i32::from(i16::MAX) / i32::from(in_file[0].max(1)) }
    }
}

/// The largest AC coefficient that there is a code for.
const MAX_AC: i32 = (1 << 10) - 1;

/// Reads bits. At least 56 are ready after [`Bits::refill`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    /// Of the next byte of `data`.
    at: usize,
    /// The next bits, from the highest on.
    next: u64,
    ready: u32,
}

impl<'a> Bits<'a> {
    /// Bits from byte `at` on.
    pub(crate) fn new(data: &'a [u8], at: usize) -> Bits<'a> {
        Bits { data, at, next: 0, ready: 0 }
    }

    /// The bit of `data` that was reached.
    pub(crate) fn position(&self) -> usize {
        self.at * 8 - self.ready as usize
    }

    #[expect(clippy::inline_always, reason = "so that it is compiled for the processor that its caller is")]
    #[inline(always)]
    fn refill(&mut self) -> Result<()> {
        let bytes = self.data.get(self.at..).and_then(|rest| rest.first_chunk()).ok_or(Unsupported)?;
        // Bits of the last byte that do not count as ready are read again by the next refill: to the same place.
        self.next |= u64::from_be_bytes(*bytes) >> self.ready;
        self.at += (63 - self.ready as usize) / 8;
        self.ready |= 0b11_1000;
        Ok(())
    }

    /// Reads a code and the value that follows it: by how many coefficients to advance, and the value.
    #[expect(clippy::inline_always, reason = "so that it is compiled for the processor that its caller is")]
    #[inline(always)]
    fn read(&mut self, table: &Table) -> Result<(usize, i32)> {
        let code = table.find(self.next)?;
        let value = self.next << code.bits();
        // Of no bits the magnitude is 0.
        let magnitude = ((value >> 1) >> (63 - code.value_bits())) as i32;
        let is_negative = !(value.cast_signed() >> 63) as i32;
        self.next <<= code.total_bits();
        self.ready -= code.total_bits();
        Ok((code.advance(), magnitude - (is_negative & ((1 << code.value_bits()) - 1))))
    }

    /// Reads a block without its quantization, whose coefficients have to be 0 before. Returns the number of coefficients up to the last one that
    /// is there, in the file's order. `dc` is that of the component's block before, and becomes this block's.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub(crate) fn read_block(
        &mut self,
        tables: (&Table, &Table),
        steps: &Steps,
        dc: &mut i32,
        block: &mut Block,
    ) -> Result<usize> {
        // In registers.
        let mut bits = *self;
        bits.refill()?;
        *dc += bits.read(tables.0)?.1;
        block[0] = *dc as i16;
        let mut at = 0;
        while at < COUNT - 1 {
            bits.refill()?;
            // A code has 16 bits at most and a value 10: two of both are ready.
            for _ in 0..2 {
                let (advance, value) = bits.read(tables.1)?;
                at += advance;
                block[usize::from(PLACES[at & 255] & 127)] = value as i16;
                if at >= COUNT - 1 {
                    break;
                }
            }
        }
        *self = bits;
        match at {
            _ if dc.abs() > steps.max_dc => Err(Unsupported),
            63 => Ok(COUNT),
            BLOCK_END.. => Ok(at - BLOCK_END + 1),
            _ => Err(Unsupported),
        }
    }
}

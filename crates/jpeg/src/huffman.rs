//! Huffman tables.

use crate::{Result, Unsupported};

/// Codes of up to this many bits are found by one lookup.
pub(crate) const LOOKAHEAD: u32 = 10;

const LOOKUPS: usize = 1 << LOOKAHEAD;

/// What a table's codes stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Dc,
    Ac,
}

/// A code and the symbol that it stands for. The bits of a value follow the code's own.
///
/// In one word, so that a lookup is one load: from the lowest bits on the total of both counts of bits, the code's, the
/// value's, and by how many coefficients to advance, a byte each. Zero is no code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Code(u32);

/// The advance of the code that ends a block: it leads past every coefficient.
pub(crate) const BLOCK_END: usize = 128;

impl Code {
    /// Values of 8-bit pictures have up to 11 bits for DC, 10 for AC.
    fn new(bits: u32, symbol: u8, class: Class) -> Result<Code> {
        let (zeros, value_bits) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let advance = match (class, zeros, value_bits) {
            (Class::Dc, 0, 0..=11) => 0,
            (Class::Ac, 0, 0) => BLOCK_END as u32,
            (Class::Ac, 15, 0) | (Class::Ac, _, 1..=10) => zeros + 1,
            _ => return Err(Unsupported),
        };
        Ok(Code((bits + value_bits) | bits << 8 | value_bits << 16 | advance << 24))
    }

    /// Bits of the code and its value.
    pub(crate) fn total_bits(self) -> u32 {
        self.0 & 0xff
    }

    pub(crate) fn bits(self) -> u32 {
        (self.0 >> 8) & 0xff
    }

    pub(crate) fn value_bits(self) -> u32 {
        (self.0 >> 16) & 0xff
    }

    /// By how many coefficients to advance to the one that has the value.
    pub(crate) fn advance(self) -> usize {
        (self.0 >> 24) as usize
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    class: Class,
    /// The numbers of codes of 1 to 16 bits, and the symbols of all: what the rest is made from.
    counts: [u8; 16],
    symbols: Vec<u8>,
    /// By the next bits, whatever follows the code.
    short: Box<[Code; LOOKUPS]>,
    /// All codes, in ascending order.
    codes: Vec<Code>,
    /// For each number of bits, what the next 16 bits are less than if a code has no more bits than that.
    ends: [u32; 17],
    /// For each number of bits, the index in `codes` that code 0 would have.
    zeros: [i32; 17],
}

impl Table {
    pub(crate) fn new(class: Class, counts: &[u8; 16], symbols: &[u8]) -> Result<Table> {
        let short = vec![Code::default(); LOOKUPS].into_boxed_slice();
        let mut table = Table {
            class,
            counts: *counts,
            symbols: symbols.to_vec(),
            short: short.try_into().map_err(|_| Unsupported)?,
            codes: Vec::with_capacity(symbols.len()),
            ends: [0; 17],
            zeros: [0; 17],
        };
        let (mut next, mut symbols) = (0u32, symbols.iter());
        for (bits, count) in (1u32..).zip(counts) {
            table.zeros[bits as usize] = table.codes.len() as i32 - next as i32;
            for symbol in symbols.by_ref().take(usize::from(*count)) {
                table.add(next, bits, Code::new(bits, *symbol, class)?)?;
                next += 1;
            }
            // No code may consist of ones only.
            if next >= 1 << bits {
                return Err(Unsupported);
            }
            table.ends[bits as usize] = next << (16 - bits);
            next <<= 1;
        }
        Ok(table)
    }

    fn add(&mut self, value: u32, bits: u32, code: Code) -> Result<()> {
        self.codes.push(code);
        if let Some(free) = LOOKAHEAD.checked_sub(bits) {
            let first = (value << free) as usize;
            self.short.get_mut(first..first + (1 << free)).ok_or(Unsupported)?.fill(code);
        }
        Ok(())
    }

    /// Whether the table was made from these.
    pub(crate) fn is_of(&self, class: Class, counts: &[u8; 16], symbols: &[u8]) -> bool {
        (self.class, &self.counts, self.symbols.as_slice()) == (class, counts, symbols)
    }

    /// The code at the head of these bits.
    #[expect(clippy::inline_always, reason = "so that it is compiled for the processor that its caller is")]
    #[inline(always)]
    pub(crate) fn find(&self, bits: u64) -> Result<Code> {
        let code = self.short[(bits >> (u64::BITS - LOOKAHEAD)) as usize];
        if code == Code::default() { self.find_long(bits) } else { Ok(code) }
    }

    #[cold]
    #[inline(never)]
    fn find_long(&self, bits: u64) -> Result<Code> {
        let next = (bits >> (u64::BITS - 16)) as u32;
        let count = (LOOKAHEAD as usize + 1..17).find(|count| next < self.ends[*count]).ok_or(Unsupported)?;
        let index = (next >> (16 - count)) as i32 + self.zeros[count];
        self.codes.get(index as usize).copied().ok_or(Unsupported)
    }
}

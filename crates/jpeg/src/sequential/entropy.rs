//! Reads coefficients.

use super::Fault;

/// The places of a block's coefficients in the order of the file.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Quantization steps in the order of the file.
pub(super) type Steps = [u16; 64];

/// Coefficients row by row, multiplied by their steps.
pub(super) type Block = [i64; 64];

/// A Huffman table: the numbers of codes of 1 to 16 bits, and what they stand for.
#[derive(Debug)]
pub(super) struct Codes {
    counts: [u8; 16],
    symbols: Vec<u8>,
}

/// The tables that are defined where a file was read up to.
#[derive(Debug, Default)]
pub(super) struct Tables {
    steps: [Option<Steps>; 4],
    /// For DC, and for AC.
    codes: [[Option<Codes>; 4]; 2],
}

impl Tables {
    pub(super) fn read_steps(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = segment {
            let mut steps = [0; 64];
            segment = if place >> 4 == 0 {
                let (bytes, rest) = rest.split_first_chunk::<64>()?;
                steps = bytes.map(u16::from);
                rest
            } else {
                let (bytes, rest) = rest.split_first_chunk::<128>()?;
                for (step, pair) in steps.iter_mut().zip(bytes.as_chunks().0) {
                    *step = u16::from_be_bytes(*pair);
                }
                rest
            };
            *self.steps.get_mut(usize::from(place & 15))? = Some(steps);
        }
        Some(())
    }

    pub(super) fn read_codes(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = segment {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let (symbols, rest) =
                rest.split_at_checked(counts.iter().map(|count| usize::from(*count)).sum())?;
            let slot = self.codes.get_mut(usize::from(place >> 4))?.get_mut(usize::from(place & 15))?;
            *slot = Some(Codes { counts: *counts, symbols: symbols.to_vec() });
            segment = rest;
        }
        Some(())
    }

    pub(super) fn steps(&self, slot: usize) -> Option<&Steps> {
        self.steps.get(slot)?.as_ref()
    }

    pub(super) fn codes(&self, (dc, ac): (usize, usize)) -> Option<(&Codes, &Codes)> {
        let [dcs, acs] = &self.codes;
        Some((dcs.get(dc)?.as_ref()?, acs.get(ac)?.as_ref()?))
    }
}

/// Reads bits of a scan, up to the next marker.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    file: &'a [u8],
    at: usize,
    /// The lowest `ready` bits are those that come next.
    next: u64,
    ready: u32,
}

const ENDS: Fault = "it ends before the picture does";

impl<'a> Bits<'a> {
    pub(super) fn new(file: &'a [u8], at: usize) -> Bits<'a> {
        Bits { file, at, next: 0, ready: 0 }
    }

    /// The offset that was reached: at most that of the next marker.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn take(&mut self, count: u32) -> Result<u32, Fault> {
        while self.ready < count {
            let byte = *self.file.get(self.at).ok_or(ENDS)?;
            if byte == 0xff {
                if self.file.get(self.at + 1) != Some(&0) {
                    return Err(ENDS);
                }
                self.at += 1;
            }
            self.at += 1;
            self.next = self.next << 8 | u64::from(byte);
            self.ready += 8;
        }
        self.ready -= count;
        Ok((self.next >> self.ready) as u32 & ((1 << count) - 1))
    }

    /// Goes on behind the restart marker of that number.
    pub(super) fn restart(&mut self, number: usize) -> Result<(), Fault> {
        self.ready = 0;
        // Before a marker there may be further bytes 255.
        while self.file.get(self.at..).is_some_and(|rest| rest.starts_with(&[0xff, 0xff])) {
            self.at += 1;
        }
        let marker = [0xff, 0xd0 + (number % 8) as u8];
        if !self.file.get(self.at..).is_some_and(|rest| rest.starts_with(&marker)) {
            return Err("a restart marker is missing");
        }
        self.at += marker.len();
        Ok(())
    }

    fn symbol(&mut self, codes: &Codes) -> Result<u8, Fault> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in codes.counts.map(u32::from) {
            code |= self.take(1)?;
            if code < first + count {
                let symbol = codes.symbols.get((index + code.saturating_sub(first)) as usize);
                return symbol.copied().ok_or("a code is damaged");
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("a code is damaged")
    }

    /// A number of that many bits, which is negative where its first bit is 0.
    fn number(&mut self, bits: u8) -> Result<i64, Fault> {
        let bits = u32::from(bits);
        let number = i64::from(self.take(bits)?);
        let is_negative = bits > 0 && number >> (bits - 1) == 0;
        Ok(if is_negative { number - (1 << bits) + 1 } else { number })
    }

    /// A block; `dc` is that of the component's block before, and becomes this block's.
    pub(super) fn read_block(
        &mut self,
        (dc_codes, ac_codes): (&Codes, &Codes),
        steps: &Steps,
        dc: &mut i32,
    ) -> Result<Block, Fault> {
        let mut block = [0; 64];
        let bits = self.symbol(dc_codes)?;
        if bits > 15 {
            return Err("a coefficient is damaged");
        }
        *dc = dc.wrapping_add(self.number(bits)? as i32);
        block[0] = i64::from(*dc) * i64::from(steps[0]);
        let mut at = 1;
        while at < block.len() {
            let symbol = self.symbol(ac_codes)?;
            let (zeros, bits) = (usize::from(symbol >> 4), symbol & 15);
            match (zeros, bits) {
                (15, 0) => at += 16,
                (_, 0) => break,
                _ => {
                    at += zeros;
                    let number = self.number(bits)?;
                    let place = *ZIGZAG.get(at).ok_or("a coefficient is damaged")?;
                    block[usize::from(place)] = number * i64::from(steps[at]);
                    at += 1;
                }
            }
        }
        Ok(block)
    }
}

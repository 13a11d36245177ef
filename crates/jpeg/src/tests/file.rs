//! Writes files of given coefficients.

use proptest::prelude::*;

/// A picture as its coefficients.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    width: usize,
    height: usize,
    /// Blocks of luma in an MCU: across, down.
    blocks: (usize, usize),
    /// MCUs between restart markers, or 0.
    restart: usize,
    /// For luma, and for chroma.
    steps: [[u8; 64]; 2],
    symbols: Symbols,
    /// What coefficients are taken from, again and again.
    seeds: Vec<Seed>,
    most: Most,
    /// What is added to the DC coefficient of each next block of luma.
    climb: i32,
}

/// The largest coefficients, multiplied by their quantization steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) dc: i32,
    pub(super) ac: i32,
}

/// The symbols of the Huffman tables, shortest codes first.
#[derive(Clone, Debug)]
struct Symbols {
    dc: Vec<u8>,
    ac: Vec<u8>,
}

/// A block: its DC coefficient and others by their places, as parts of the largest, and where they end.
type Seed = (i8, Vec<(usize, i8)>, usize);

/// The numbers of codes of 1 to 16 bits in most files.
const DC_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const AC_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];

pub(super) fn pictures(most: Most) -> impl Strategy<Value = Picture> {
    let blocks = prop_oneof![Just((1, 1)), Just((2, 1)), Just((2, 2))];
    let steps = || prop_oneof![Just([1; 64]), Just([16; 64]), prop::array::uniform(1u8..)];
    let coefficients = prop_oneof![
        1 => Just(Vec::new()),
        3 => prop::collection::vec((0usize..63, any::<i8>()), 0..8),
        1 => prop::collection::vec((0usize..63, any::<i8>()), 40..64),
    ];
    let seeds = prop::collection::vec((any::<i8>(), coefficients, 1usize..64), 1..12);
    let restart = prop_oneof![2 => Just(0usize), 1 => 1usize..12];
    let size = (1usize..150, 1usize..70);
    (size, blocks, restart, steps(), steps(), symbols(), seeds).prop_map(
        move |((width, height), blocks, restart, luma, chroma, symbols, seeds)| Picture {
            width,
            height,
            blocks,
            restart,
            steps: [luma, chroma],
            symbols,
            seeds,
            most,
            climb: 0,
        },
    )
}

fn all_symbols() -> Symbols {
    let ac = (0..16u8).flat_map(|zeros| (1..=10).map(move |bits| zeros << 4 | bits));
    Symbols { dc: (0..12).collect(), ac: [0, 0xf0].into_iter().chain(ac).collect() }
}

fn symbols() -> impl Strategy<Value = Symbols> {
    let Symbols { dc, ac } = all_symbols();
    (Just(dc).prop_shuffle(), Just(ac).prop_shuffle()).prop_map(|(dc, ac)| Symbols { dc, ac })
}

impl Picture {
    pub(super) fn grey(width: usize, height: usize) -> Picture {
        Picture {
            width,
            height,
            blocks: (2, 2),
            restart: 0,
            steps: [[16; 64]; 2],
            symbols: all_symbols(),
            seeds: vec![(0, Vec::new(), 1)],
            most: Most { dc: 0, ac: 0 },
            climb: 0,
        }
    }

    /// A picture of `blocks` blocks, of which each next one has a DC coefficient larger by 2000. Only the last one has
    /// another coefficient.
    pub(super) fn climbing(blocks: usize) -> Picture {
        let mut seeds = vec![(0, Vec::new(), 1); 3 * blocks];
        seeds[3 * (blocks - 1)].1.push((0, 127));
        let most = Most { dc: 0, ac: 1000 };
        Picture { blocks: (1, 1), seeds, most, climb: 2000, ..Picture::grey(8 * blocks, 8) }
    }

    /// Bytes of its pixels.
    pub(super) fn size(&self) -> usize {
        3 * self.width * self.height
    }

    pub(super) fn file(&self) -> Vec<u8> {
        self.write(true)
    }

    pub(super) fn file_without_huffman_tables(&self) -> Vec<u8> {
        self.write(false)
    }

    fn write(&self, has_tables: bool) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8];
        for (slot, steps) in (0..).zip(&self.steps) {
            segment(&mut file, 0xdb, &[&[slot], steps]);
        }
        let [h1, h0] = (self.height as u16).to_be_bytes();
        let [w1, w0] = (self.width as u16).to_be_bytes();
        let luma = (self.blocks.0 << 4 | self.blocks.1) as u8;
        segment(&mut file, 0xc0, &[&[8, h1, h0, w1, w0, 3, 1, luma, 0, 2, 0x11, 1, 3, 0x11, 1]]);
        if has_tables {
            segment(&mut file, 0xc4, &[&[0], &DC_COUNTS, &self.symbols.dc]);
            segment(&mut file, 0xc4, &[&[0x10], &AC_COUNTS, &self.symbols.ac]);
        }
        if self.restart > 0 {
            segment(&mut file, 0xdd, &[&(self.restart as u16).to_be_bytes()]);
        }
        segment(&mut file, 0xda, &[&[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]]);
        self.write_scan(&mut file);
        file.extend([0xff, 0xd9]);
        file
    }

    fn write_scan(&self, file: &mut Vec<u8>) {
        let (across, down) = self.blocks;
        let mcus = self.width.div_ceil(8 * across) * self.height.div_ceil(8 * down);
        let (dc_codes, ac_codes) = (codes(&DC_COUNTS, &self.symbols.dc), codes(&AC_COUNTS, &self.symbols.ac));
        let mut seeds = self.seeds.iter().cycle();
        let mut before = [0; 3];
        let mut bits = Bits::default();
        for mcu in 0..mcus {
            if self.restart > 0 && mcu > 0 && mcu % self.restart == 0 {
                bits.flush(file);
                file.extend([0xff, 0xd0 + (mcu / self.restart - 1) as u8 % 8]);
                before = [0; 3];
            }
            let components = std::iter::repeat_n(0, across * down).chain([1, 2]);
            for (component, seed) in components.zip(seeds.by_ref()) {
                let mut block = self.block(seed, &self.steps[component.min(1)]);
                if component == 0 {
                    block[0] += self.climb * mcu as i32;
                }
                bits.put_value(&dc_codes, block[0] - before[component], 0);
                before[component] = block[0];
                bits.put_ac(&ac_codes, &block[1..]);
                bits.drain(file);
            }
        }
        bits.flush(file);
    }

    /// Coefficients in the file's order.
    fn block(&self, (dc, coefficients, end): &Seed, steps: &[u8; 64]) -> [i32; 64] {
        let value = |part: i8, step: u8, most: i32| {
            (i32::from(part) * most / 128 / i32::from(step)).clamp(-1023, 1023)
        };
        let mut block = [0; 64];
        block[0] = value(*dc, steps[0], self.most.dc);
        for (at, part) in coefficients {
            let at = 1 + at % end;
            block[at] = value(*part, steps[at], self.most.ac);
        }
        block
    }
}

fn segment(file: &mut Vec<u8>, marker: u8, parts: &[&[u8]]) {
    let content = parts.concat();
    file.extend([0xff, marker]);
    file.extend((content.len() as u16 + 2).to_be_bytes());
    file.extend(content);
}

/// By symbol its code, and the code's bits.
type Codes = [(u32, u32); 256];

fn codes(counts: &[u8; 16], symbols: &[u8]) -> Codes {
    let mut codes = [(0, 0); 256];
    let (mut next, mut symbols) = (0, symbols.iter());
    for (bits, count) in (1..).zip(counts) {
        for symbol in symbols.by_ref().take(usize::from(*count)) {
            codes[usize::from(*symbol)] = (next, bits);
            next += 1;
        }
        next <<= 1;
    }
    codes
}

#[derive(Default)]
struct Bits {
    pending: Vec<bool>,
}

impl Bits {
    fn put(&mut self, value: u32, bits: u32) {
        self.pending.extend((0..bits).rev().map(|bit| value >> bit & 1 == 1));
    }

    /// Writes a value after `zeros` zeros.
    fn put_value(&mut self, codes: &Codes, value: i32, zeros: u8) {
        let bits = u32::BITS - value.unsigned_abs().leading_zeros();
        let (code, length) = codes[usize::from(zeros) << 4 | bits as usize];
        self.put(code, length);
        let raw = if value < 0 { value - 1 } else { value };
        self.put(raw as u32 & ((1 << bits) - 1), bits);
    }

    fn put_ac(&mut self, codes: &Codes, coefficients: &[i32]) {
        let mut zeros = 0;
        for value in coefficients {
            if *value == 0 {
                zeros += 1;
                continue;
            }
            while zeros >= 16 {
                self.put_value(codes, 0, 15);
                zeros -= 16;
            }
            self.put_value(codes, *value, zeros);
            zeros = 0;
        }
        if zeros > 0 {
            self.put_value(codes, 0, 0);
        }
    }

    /// Moves whole bytes to the file.
    fn drain(&mut self, file: &mut Vec<u8>) {
        let whole = self.pending.len() / 8 * 8;
        for byte in self.pending.drain(..whole).collect::<Vec<bool>>().chunks(8) {
            let byte = byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            file.push(byte);
            if byte == 0xff {
                file.push(0);
            }
        }
    }

    /// Fills the last byte with ones.
    fn flush(&mut self, file: &mut Vec<u8>) {
        while !self.pending.len().is_multiple_of(8) {
            self.pending.push(true);
        }
        self.drain(file);
    }
}

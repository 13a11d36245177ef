//! Decodes a file, band by band.

use std::slice::ChunksExactMut;

use crate::band::{Band, Place};
use crate::block::{Bits, Block, Steps};
use crate::header::{Chroma, Header, Tables};
use crate::huffman::Table;
use crate::idct::transform;
use crate::scan::Scan;
use crate::{Order, Result, Unsupported};

/// What is reused from file to file.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    tables: Tables,
    scan: Scan,
    band: Band,
}

impl Memory {
    /// Bytes of what grows with a file.
    pub(crate) fn size(&self) -> usize {
        self.scan.size() + self.band.size()
    }
}

fearless_simd::kernel!(
    /// Decodes a file to as many bytes as its picture has.
    pub(crate) fn decode(
        avx2: Avx2,
        memory: &mut Memory,
        file: &[u8],
        order: Order,
        out: &mut [u8],
    ) -> Result<()> {
        let (header, coded) = Header::read(file, std::mem::take(&mut memory.tables))?;
        let decoded = decode_scan(&header, coded, memory, order, out);
        memory.tables = header.into_tables();
        decoded
    }
);

#[target_feature(enable = "avx2,bmi1,bmi2")]
fn decode_scan(
    header: &Header,
    coded: &[u8],
    memory: &mut Memory,
    order: Order,
    out: &mut [u8],
) -> Result<()> {
    let Memory { scan, band, .. } = memory;
    let chroma = header.chroma()?;
    let line = 3 * header.width;
    if out.is_empty() || out.len() != line * header.height {
        return Err(Unsupported);
    }
    let (across, down) = chroma.luma_blocks();
    let mcus = (header.width.div_ceil(8 * across), header.height.div_ceil(8 * down));
    scan.read(coded)?;
    band.resize(mcus.0, chroma)?;
    let mut coded = Coded::new(header, scan)?;
    let mut lines: ChunksExactMut<'_, u8> = out.chunks_exact_mut(line);
    for row in 0..mcus.1 {
        for column in 0..mcus.0 {
            coded.read_mcu(chroma, column, band)?;
        }
        let place = Place { is_first: row == 0, is_last: row + 1 == mcus.1 };
        band.write(chroma, place, order, &mut lines);
    }
    coded.finish()
}

/// The coded data of a picture.
struct Coded<'a> {
    scan: &'a Scan,
    bits: Bits<'a>,
    /// The interval between restart markers that is being read.
    interval: usize,
    /// MCUs of an interval, and those of this one that are left.
    restart: usize,
    left: usize,
    components: [Component<'a>; 3],
    /// All 0 between two blocks.
    block: Block,
}

struct Component<'a> {
    tables: (&'a Table, &'a Table),
    steps: Steps,
    /// The DC coefficient of the block before, without its quantization step.
    dc: i32,
}

impl<'a> Coded<'a> {
    fn new(header: &'a Header, scan: &'a Scan) -> Result<Coded<'a>> {
        let component = |index| {
            let steps = Steps::new(header.steps(index)?);
            Ok(Component { tables: header.tables(index)?, steps, dc: 0 })
        };
        Ok(Coded {
            scan,
            bits: Bits::new(scan.data(), 0),
            interval: 0,
            restart: header.restart,
            left: if header.restart == 0 { usize::MAX } else { header.restart },
            components: [component(0)?, component(1)?, component(2)?],
            block: [0; 128],
        })
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn read_mcu(&mut self, chroma: Chroma, column: usize, band: &mut Band) -> Result<()> {
        if self.left == 0 {
            self.begin_interval()?;
        }
        self.left -= 1;
        let (across, down) = chroma.luma_blocks();
        for y in 0..down {
            for x in 0..across {
                let (to, stride) = band.luma.block(column * across + x, y);
                self.read_block(0, to, stride)?;
            }
        }
        for (index, plane) in band.chroma.iter_mut().enumerate() {
            let (to, stride) = plane.block(column, 0);
            self.read_block(1 + index, to, stride)?;
        }
        Ok(())
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn read_block(&mut self, component: usize, to: &mut [u8], stride: usize) -> Result<()> {
        let Component { tables, steps, dc } = &mut self.components[component];
        let count = self.bits.read_block(*tables, steps, dc, &mut self.block)?;
        transform(&mut self.block, count, steps, to, stride)
    }

    #[cold]
    fn begin_interval(&mut self) -> Result<()> {
        self.end_interval()?;
        self.interval += 1;
        let (begin, _) = self.scan.interval(self.interval).ok_or(Unsupported)?;
        self.bits = Bits::new(self.scan.data(), begin);
        self.components.iter_mut().for_each(|component| component.dc = 0);
        self.left = self.restart;
        Ok(())
    }

    /// Refuses data that ends too early, and data of which more than the rest of a byte is left.
    fn end_interval(&self) -> Result<()> {
        let (_, end) = self.scan.interval(self.interval).ok_or(Unsupported)?;
        match (end * 8).checked_sub(self.bits.position()) {
            Some(0..8) => Ok(()),
            _ => Err(Unsupported),
        }
    }

    fn finish(self) -> Result<()> {
        self.end_interval()?;
        if self.interval + 1 == self.scan.intervals() { Ok(()) } else { Err(Unsupported) }
    }
}

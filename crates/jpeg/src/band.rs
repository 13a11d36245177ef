//! The samples of a band, which is a row of MCUs, on their way from blocks to pixels.

use std::slice::ChunksExactMut;

use crate::header::Chroma;
use crate::pixels::{Line, STEP, mix};
use crate::{Order, Result, Unsupported};

/// Rows that are kept of the band above.
pub(crate) const KEPT: usize = 2;

/// Rows and columns of a block.
const SIDE: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Band {
    pub(crate) luma: Plane,
    /// Cb and Cr.
    pub(crate) chroma: [Plane; 2],
    /// A line of each, mixed of two.
    mixed: [Vec<u8>; 2],
}

/// The samples of a component: the last rows of the band above, then this band's.
#[derive(Debug, Default)]
pub(crate) struct Plane {
    samples: Vec<u8>,
    stride: usize,
    /// Samples of a row that are there; the others are undefined.
    width: usize,
}

/// Whether a band is the picture's first or its last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

impl Chroma {
    /// Blocks of luma in an MCU: across, down.
    pub(crate) fn luma_blocks(self) -> (usize, usize) {
        match self {
            Chroma::Full => (1, 1),
            Chroma::Half => (2, 1),
            Chroma::Quarter => (2, 2),
        }
    }
}

impl Plane {
    fn resize(&mut self, blocks: (usize, usize)) -> Result<()> {
        self.width = blocks.0 * SIDE;
        self.stride = self.width.next_multiple_of(STEP);
        make_room(&mut self.samples, self.stride * (KEPT + blocks.1 * SIDE))
    }

    /// The samples from a block's first one on, and the distance of two rows.
    pub(crate) fn block(&mut self, column: usize, row: usize) -> (&mut [u8], usize) {
        (&mut self.samples[(KEPT + row * SIDE) * self.stride + column * SIDE..], self.stride)
    }

    fn row(&self, row: usize) -> &[u8] {
        &self.samples[row * self.stride..][..self.stride]
    }

    fn keep_last_rows(&mut self) {
        let begin = self.samples.len() - KEPT * self.stride;
        self.samples.copy_within(begin.., 0);
    }
}

impl Band {
    pub(crate) fn resize(&mut self, mcus: usize, chroma: Chroma) -> Result<()> {
        let (across, down) = chroma.luma_blocks();
        self.luma.resize((mcus * across, down))?;
        for (plane, mixed) in self.chroma.iter_mut().zip(&mut self.mixed) {
            plane.resize((mcus, 1))?;
            make_room(mixed, plane.stride + STEP)?;
        }
        Ok(())
    }

    /// Writes what can be written once this band is there, until there are no more lines.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn write(
        &mut self,
        chroma: Chroma,
        place: Place,
        order: Order,
        lines: &mut ChunksExactMut<'_, u8>,
    ) {
        match chroma {
            Chroma::Full | Chroma::Half => {
                for (row, line) in (KEPT..KEPT + SIDE).zip(lines) {
                    self.write_line(row, (row, row), chroma, order, line);
                }
            }
            Chroma::Quarter => self.write_quarter(place, order, lines),
        }
    }

    /// Two lines for each row of chroma. The band's last one waits for the row below it.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn write_quarter(&mut self, place: Place, order: Order, lines: &mut ChunksExactMut<'_, u8>) {
        let last = KEPT + SIDE - 1;
        let begin = if place.is_first { KEPT } else { KEPT - 1 };
        let end = if place.is_last { last + 1 } else { last };
        for near in begin..end {
            let above = if place.is_first { (near - 1).max(KEPT) } else { near - 1 };
            let below = (near + 1).min(last);
            let luma = 2 * near - KEPT;
            for (luma, far) in [(luma, above), (luma + 1, below)] {
                let Some(line) = lines.next() else { return };
                self.write_line(luma, (near, far), Chroma::Quarter, order, line);
            }
        }
        self.luma.keep_last_rows();
        self.chroma.iter_mut().for_each(Plane::keep_last_rows);
    }

    /// Writes a row of luma, with the chroma of the rows `near` and `far`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn write_line(
        &mut self,
        luma: usize,
        (near, far): (usize, usize),
        chroma: Chroma,
        order: Order,
        to: &mut [u8],
    ) {
        let [cb, cr] = &self.chroma;
        let is_half = chroma != Chroma::Full;
        if is_half {
            for (plane, mixed) in [cb, cr].into_iter().zip(&mut self.mixed) {
                mix(plane.row(near), plane.row(far), plane.width, mixed);
            }
        }
        let chroma =
            if is_half { self.mixed.each_ref().map(Vec::as_slice) } else { [cb.row(near), cr.row(near)] };
        Line { luma: self.luma.row(luma), chroma, is_half }.write(order, to);
    }

    pub(crate) fn size(&self) -> usize {
        let planes = [&self.luma, &self.chroma[0], &self.chroma[1]].map(|plane| plane.samples.capacity());
        planes.iter().sum::<usize>() + self.mixed.iter().map(Vec::capacity).sum::<usize>()
    }
}

fn make_room(samples: &mut Vec<u8>, count: usize) -> Result<()> {
    samples.clear();
    samples.try_reserve(count).map_err(|_| Unsupported)?;
    samples.resize(count, 0);
    Ok(())
}

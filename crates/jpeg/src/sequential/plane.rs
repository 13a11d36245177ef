//! The samples of a component, in its own resolution, and their way to the picture's.

use super::Fault;
use crate::frame::{Component, Frame};

/// Rows and columns of a block.
const SIDE: usize = 8;

#[derive(Debug)]
pub(super) struct Plane {
    /// With those that fill up MCUs.
    samples: Vec<u8>,
    stride: usize,
    /// Those that the picture has.
    width: usize,
    height: usize,
    /// The picture's pixels for a sample: across, down.
    ratio: (usize, usize),
    pub(super) is_read: bool,
}

impl Plane {
    pub(super) fn new(frame: &Frame<'_>, component: &Component) -> Result<Plane, Fault> {
        let (most, blocks) = (frame.most_blocks(), component.blocks);
        if most.0 % blocks.0 != 0 || most.1 % blocks.1 != 0 {
            return Err("its components have resolutions of which one is no multiple of the other");
        }
        let stride = frame.width.div_ceil(SIDE * most.0) * blocks.0 * SIDE;
        let rows = frame.height.div_ceil(SIDE * most.1) * blocks.1 * SIDE;
        let mut samples = Vec::new();
        samples.try_reserve_exact(stride * rows).map_err(|_| "there is no memory for it")?;
        samples.resize(stride * rows, 0);
        Ok(Plane {
            samples,
            stride,
            width: (frame.width * blocks.0).div_ceil(most.0),
            height: (frame.height * blocks.1).div_ceil(most.1),
            ratio: (most.0 / blocks.0, most.1 / blocks.1),
            is_read: false,
        })
    }

    /// Blocks with samples of the picture: across, down.
    pub(super) fn blocks(&self) -> (usize, usize) {
        (self.width.div_ceil(SIDE), self.height.div_ceil(SIDE))
    }

    pub(super) fn set(&mut self, column: usize, row: usize, block: &[u8; SIDE * SIDE]) {
        let from = row * SIDE * self.stride + column * SIDE;
        for (to, line) in self.samples[from..].chunks_mut(self.stride).zip(block.as_chunks::<SIDE>().0) {
            to[..SIDE].copy_from_slice(line);
        }
    }

    fn row(&self, row: usize) -> &[u8] {
        &self.samples[row * self.stride..][..self.width]
    }

    /// A row of the picture. As libjpeg does: by a triangle where a side is halved, else each sample for all its pixels.
    fn widen(&self, y: usize, to: &mut Vec<u16>) {
        let near = self.row(y / self.ratio.1);
        let wide = |sample: &u8| u16::from(*sample);
        to.clear();
        match self.ratio {
            (1, 2) => {
                let round = 1 + (y % 2) as u16;
                to.extend(self.mixed(y).map(|sum| (sum + round) >> 2));
            }
            (2, 1) if self.width > 2 => {
                to.extend(near.iter().map(wide));
                triangle(to, 4, (1, 2));
            }
            (2, 2) if self.width > 2 => {
                to.extend(self.mixed(y));
                triangle(to, 16, (8, 7));
            }
            (across, _) => {
                to.extend(near.iter().flat_map(|sample| std::iter::repeat_n(wide(sample), across)));
            }
        }
    }

    /// Three times the row that is nearest, and once the next.
    fn mixed(&self, y: usize) -> impl Iterator<Item = u16> {
        let near = y / 2;
        let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(self.height - 1) };
        let rows = self.row(near).iter().zip(self.row(far));
        rows.map(|(near, far)| 3 * u16::from(*near) + u16::from(*far))
    }
}

/// Two values of each: three quarters of it and one of its neighbour, all divided by `whole`. The rounding is that of the left
/// one and of the right one.
fn triangle(values: &mut Vec<u16>, whole: u16, round: (u16, u16)) {
    let count = values.len();
    let shift = whole.ilog2();
    let of = |at: usize, other: usize, round: u16, values: &[u16]| {
        (3 * values[at] + values[other] + round) >> shift
    };
    let mut wide = Vec::with_capacity(2 * count);
    for at in 0..count {
        // At the rim the neighbour is the value itself.
        wide.push(of(at, at.saturating_sub(1), round.0, values));
        wide.push(of(at, (at + 1).min(count - 1), round.1, values));
    }
    *values = wide;
}

/// Writes the picture's pixels, a sample of each plane in turn.
pub(super) fn write(frame: &Frame<'_>, planes: &[Plane], out: &mut [u8]) {
    let mut wide = Vec::new();
    for (y, line) in out.chunks_exact_mut(planes.len() * frame.width).enumerate() {
        for (place, plane) in planes.iter().enumerate() {
            plane.widen(y, &mut wide);
            for (pixel, sample) in line.chunks_exact_mut(planes.len()).zip(&wide) {
                pixel[place] = *sample as u8;
            }
        }
    }
}

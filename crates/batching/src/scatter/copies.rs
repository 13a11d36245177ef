//! Copies of a batch's outputs, out of memory that the next batch overwrites.

use std::sync::Arc;

use hippocamp_tensor::{
    Allocator, MemoryError, PlacedBuffer, PlacedBufferMut, PlacedSlice, Shape, TensorData,
};
use smallvec::SmallVec;

use super::{Given, Outputs};
use crate::host_copy::Copy;

/// The outputs in a block of device memory begin at multiples of this.
const BLOCK_ALIGNMENT: usize = 256;

/// An output that is copied to a block of device memory.
struct OnDevice<'a> {
    index: usize,
    shape: Shape,
    source: PlacedSlice<'a>,
    is_cut: bool,
    /// Its copy in host memory, if some request wants it there.
    host: Option<Copy>,
    /// Where it begins in the block.
    start: usize,
}

impl Outputs {
    /// Sets an output of the whole batch by a copy, out of memory that the next batch overwrites: to memory of `device` for
    /// the requests that want it on a device, and to host memory for the others, which is `pinned` memory if that is
    /// given. The rows that fill up the batch are not copied. The copies need not be complete when this returns.
    ///
    /// # Errors
    /// If there is no memory, or a copy failed.
    pub fn copy(
        &mut self,
        index: usize,
        shape: Shape,
        source: PlacedSlice<'_>,
        device: &dyn Allocator,
        pinned: Option<&dyn Allocator>,
    ) -> Result<(), MemoryError> {
        let places = self.places(index);
        if !places.any() {
            return Ok(());
        }
        let (shape, source, is_cut) = self.given_rows(shape, source);
        let host = if places.host { Some(Copy::to_host(source, pinned)?) } else { None };
        let on_device = if places.device { Some(Copy::to(source, device)?) } else { None };
        let (data, host) = match (on_device, host) {
            (Some(data), host) => (data, host),
            (None, Some(host)) => (host, None),
            (None, None) => return Ok(()),
        };
        if let Some(place) = self.tensors.get_mut(index) {
            *place = Some(Given { shape, data, host, is_cut });
        }
        Ok(())
    }

    /// As [`Outputs::copy`], of several outputs. Those that are wanted on a device come into one block of its memory, by one operation
    /// where its driver can do that. The caller waits for the work on the device before the responses are made.
    ///
    /// # Errors
    /// If there is no memory, or a copy failed.
    pub fn copy_all<'a>(
        &mut self,
        outputs: impl IntoIterator<Item = (usize, Shape, PlacedSlice<'a>)>,
        device: &dyn Allocator,
        pinned: Option<&dyn Allocator>,
    ) -> Result<(), MemoryError> {
        let mut on_device = SmallVec::<[OnDevice<'a>; 4]>::new();
        let mut size: usize = 0;
        for (index, shape, source) in outputs {
            let places = self.places(index);
            let (shape, source, is_cut) = self.given_rows(shape, source);
            let host = if places.host { Some(Copy::to_host(source, pinned)?) } else { None };
            if places.device {
                let start = size.next_multiple_of(BLOCK_ALIGNMENT);
                size = start + source.len();
                on_device.push(OnDevice { index, shape, source, is_cut, host, start });
            } else if let (Some(data), Some(place)) = (host, self.tensors.get_mut(index)) {
                *place = Some(Given { shape, data, host: None, is_cut });
            }
        }
        if on_device.is_empty() {
            return Ok(());
        }
        let mut block = device.allocate(size)?;
        let parts: SmallVec<[_; 4]> = on_device.iter().map(|output| (output.start, output.source)).collect();
        block.copy_many(&parts)?;
        let mut rest = TensorData::from(Arc::<dyn PlacedBufferMut>::from(block) as Arc<dyn PlacedBuffer>);
        let mut end = 0;
        for OnDevice { index, shape, source, is_cut, host, start } in on_device {
            drop(rest.split_to(start - end));
            let data = Copy::Done(rest.split_to(source.len()));
            end = start + source.len();
            if let Some(place) = self.tensors.get_mut(index) {
                *place = Some(Given { shape, data, host, is_cut });
            }
        }
        Ok(())
    }

    /// An output without the rows that fill up the batch, and whether that cut something off.
    fn given_rows<'a>(&self, mut shape: Shape, source: PlacedSlice<'a>) -> (Shape, PlacedSlice<'a>, bool) {
        let is_cut = self.rows.missing() > 0 && shape.first() == Some(&(self.rows.padded as i64));
        if !is_cut {
            return (shape, source, false);
        }
        shape.set_batch(self.rows.given as i64);
        (shape, source.part(0, source.len() / self.rows.padded * self.rows.given), true)
    }
}

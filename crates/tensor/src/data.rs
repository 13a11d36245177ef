//! The content of a tensor: a reference to its bytes at any place.

use std::sync::Arc;

use bytes::Bytes;

use crate::buffer::allocate;
use crate::{AlignedBuffer, HostSegments, MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice};

/// The bytes of one tensor at some [`Place`]. A clone shares the memory. Only the methods that say so copy or transfer
/// bytes, and these can fail.
///
/// Host memory of this process is held as the segments that it arrived in. All other memory is a part of a
/// [`PlacedBuffer`]: a device's memory, or a region that is shared with a client.
#[derive(Clone, Debug)]
pub struct TensorData(Content);

#[derive(Clone, Debug)]
enum Content {
    Host(HostSegments),
    /// A range of a buffer.
    Placed {
        buffer: Arc<dyn PlacedBuffer>,
        start: usize,
        len: usize,
    },
}

use Content::{Host, Placed};

impl TensorData {
    /// The `len` bytes of a buffer from `start` on.
    ///
    /// # Panics
    /// If the buffer has fewer bytes.
    pub fn part_of(buffer: Arc<dyn PlacedBuffer>, start: usize, len: usize) -> TensorData {
        let (end, all) = (start.checked_add(len), buffer.len());
        assert!(end.is_some_and(|end| end <= all), "{len} bytes from {start} on are no part of {all}");
        TensorData(Placed { buffer, start, len })
    }

    /// The size in bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            Host(segments) => segments.len(),
            Placed { len, .. } => *len,
        }
    }

    /// Whether the size is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of the bytes.
    pub fn place(&self) -> Place {
        match &self.0 {
            Host(_) => Place::Host,
            Placed { buffer, .. } => buffer.place(),
        }
    }

    /// The segments, if they are host memory of this process. None of them is empty.
    pub fn as_segments(&self) -> Option<&[Bytes]> {
        match &self.0 {
            Host(segments) => Some(segments.as_slice()),
            Placed { .. } => None,
        }
    }

    /// The range of a buffer that holds the bytes, if they are not host memory of this process.
    pub fn as_placed(&self) -> Option<PlacedSlice<'_>> {
        match &self.0 {
            Host(_) => None,
            Placed { buffer, start, len } => {
                Some(PlacedSlice::Placed { buffer: &**buffer, start: *start, len: *len })
            }
        }
    }

    /// All bytes as one slice, if they are host memory that may be borrowed and lie in one segment (or there are none).
    pub fn as_contiguous(&self) -> Option<&[u8]> {
        match &self.0 {
            Host(segments) => segments.as_contiguous(),
            Placed { buffer, start, len } => buffer.as_host().map(|all| &all[*start..*start + *len]),
        }
    }

    /// All bytes as one slice at any place; `None` if they lie in several segments.
    pub fn as_one_slice(&self) -> Option<PlacedSlice<'_>> {
        match &self.0 {
            Host(segments) => segments.as_contiguous().map(PlacedSlice::Host),
            Placed { .. } => self.as_placed(),
        }
    }

    /// All bytes as one segment of host memory. Several segments are copied once, and bytes at another place are transferred
    /// once; one segment of host memory is only shared, and so is pinned memory.
    ///
    /// # Errors
    /// If the allocation or the transfer fails.
    pub fn to_host(&self) -> Result<Bytes, MemoryError> {
        match &self.0 {
            Host(segments) => segments.join(),
            Placed { .. } => transferred(self),
        }
    }

    /// The bytes in host memory. Bytes at another place are transferred once; host memory is passed on as it is, and pinned
    /// memory is shared.
    ///
    /// # Errors
    /// If the allocation or the transfer fails.
    pub fn into_host(self) -> Result<HostSegments, MemoryError> {
        match self.0 {
            Host(segments) => Ok(segments),
            Placed { .. } => transferred(&self).map(HostSegments::from),
        }
    }

    /// Appends all bytes to `target` by one copy per segment, or one transfer.
    ///
    /// # Errors
    /// If a transfer fails. `target` is unchanged then.
    ///
    /// # Panics
    /// If `target` has no capacity for [`TensorData::len`] bytes.
    pub fn copy_to(&self, target: &mut AlignedBuffer) -> Result<(), MemoryError> {
        match &self.0 {
            Host(segments) => {
                for segment in segments.as_slice() {
                    target.push(segment);
                }
                Ok(())
            }
            Placed { buffer, start, len } => {
                target.push_placed(PlacedSlice::Placed { buffer: &**buffer, start: *start, len: *len })
            }
        }
    }

    /// Copies all bytes to `target` from `start` on, by one copy or transfer per segment.
    ///
    /// # Errors
    /// If a transfer fails.
    ///
    /// # Panics
    /// If `target` has no capacity for [`TensorData::len`] bytes.
    pub fn copy_into(&self, target: &mut dyn PlacedBufferMut, mut start: usize) -> Result<(), MemoryError> {
        match &self.0 {
            Host(segments) => {
                for segment in segments.as_slice() {
                    target.copy_from(start, PlacedSlice::Host(segment))?;
                    start += segment.len();
                }
                Ok(())
            }
            Placed { buffer, start: first, len } => {
                let source = PlacedSlice::Placed { buffer: &**buffer, start: *first, len: *len };
                target.copy_from(start, source)
            }
        }
    }

    /// Splits off and returns the first `size` bytes. Both parts refer to the same memory; nothing is copied.
    ///
    /// # Panics
    /// If there are fewer bytes.
    #[must_use]
    pub fn split_to(&mut self, size: usize) -> TensorData {
        match &mut self.0 {
            Host(segments) => segments.split_to(size).into(),
            Placed { buffer, start, len } => {
                assert!(size <= *len, "{size} bytes are to be taken of {len}");
                let taken = Placed { buffer: Arc::clone(buffer), start: *start, len: size };
                *start += size;
                *len -= size;
                TensorData(taken)
            }
        }
    }

    /// Copies the first `len` of every `stride` bytes, `runs` times, to new memory at the same place, by one copy per run.
    ///
    /// # Errors
    /// If the allocation or a copy fails.
    ///
    /// # Panics
    /// If there are fewer bytes.
    pub fn strided(&self, runs: usize, stride: usize, len: usize) -> Result<TensorData, MemoryError> {
        if let Some(source) = self.as_placed()
            && let PlacedSlice::Placed { buffer, .. } = source
            && let Some(mut memory) = buffer.allocate_beside(runs * len)?
        {
            for run in 0..runs {
                memory.copy_from(run * len, source.part(run * stride, len))?;
            }
            return Ok(TensorData::from(Arc::<dyn PlacedBufferMut>::from(memory) as Arc<dyn PlacedBuffer>));
        }
        let all = self.to_host()?;
        let mut joined = allocate(runs * len)?;
        for run in 0..runs {
            joined.extend_from_slice(&all[run * stride..][..len]);
        }
        Ok(Bytes::from(joined).into())
    }

    /// Whether both have the same bytes, compared where they are; `None` unless both are host memory of this process.
    pub fn equals_in_host(&self, other: &TensorData) -> Option<bool> {
        let (mut a, mut b) = (self.as_segments()?.iter(), other.as_segments()?.iter());
        let (mut left, mut right): (&[u8], &[u8]) = (&[], &[]);
        loop {
            if left.is_empty() {
                left = a.next().map_or(&[], |segment| segment);
            }
            if right.is_empty() {
                right = b.next().map_or(&[], |segment| segment);
            }
            let count = left.len().min(right.len());
            if count == 0 {
                return Some(left.is_empty() && right.is_empty());
            }
            if left[..count] != right[..count] {
                return Some(false);
            }
            (left, right) = (&left[count..], &right[count..]);
        }
    }

    /// Whether this is the only reference to the memory, as far as that is known.
    pub fn is_unique(&self) -> bool {
        match &self.0 {
            Host(segments) => segments.is_unique(),
            Placed { .. } => false,
        }
    }
}

#[cold]
fn transferred(data: &TensorData) -> Result<Bytes, MemoryError> {
    if let Placed { buffer, start, len } = &data.0
        && buffer.as_host().is_some()
    {
        let all = Bytes::from_owner(HostMemory(Arc::clone(buffer)));
        return Ok(all.slice(*start..*start + *len));
    }
    let placed = data.as_placed().unwrap_or(PlacedSlice::Host(&[]));
    placed.to_vec().map(Bytes::from)
}

/// A buffer in host memory that may be borrowed, such as pinned memory.
struct HostMemory(Arc<dyn PlacedBuffer>);

impl AsRef<[u8]> for HostMemory {
    fn as_ref(&self) -> &[u8] {
        self.0.as_host().unwrap_or_default()
    }
}

impl Default for TensorData {
    /// An empty tensor.
    fn default() -> Self {
        TensorData(Host(HostSegments::default()))
    }
}

impl PartialEq<Bytes> for TensorData {
    /// Whether this is host memory of this process with the same bytes.
    fn eq(&self, other: &Bytes) -> bool {
        self.equals_in_host(&TensorData::from(other.clone())) == Some(true)
    }
}

impl From<Bytes> for TensorData {
    fn from(segment: Bytes) -> Self {
        TensorData(Host(segment.into()))
    }
}

impl From<HostSegments> for TensorData {
    fn from(segments: HostSegments) -> Self {
        TensorData(Host(segments))
    }
}

impl FromIterator<Bytes> for TensorData {
    fn from_iter<I: IntoIterator<Item = Bytes>>(segments: I) -> Self {
        TensorData(Host(segments.into_iter().collect()))
    }
}

impl From<Arc<dyn PlacedBuffer>> for TensorData {
    fn from(buffer: Arc<dyn PlacedBuffer>) -> Self {
        let len = buffer.len();
        TensorData(Placed { buffer, start: 0, len })
    }
}

#[cfg(test)]
mod tests;

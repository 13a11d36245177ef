//! Memory that a backend lends for the time of its request.

#![allow(unsafe_code, reason = "reads memory of a backend, which stays until it is given back")]

use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::with_exposed_provenance;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hippocamp_backend::Result;
use hippocamp_in_process::Mailbox;
use hippocamp_tensor::{MemoryError, Place, PlacedBuffer, PlacedBufferMut, PlacedSlice, TensorData};

use super::answer::Item;
use super::calls::RunningCall;
use super::gpus::Gpus;

/// What was lent for one request. When the last reference to a part of it is dropped, it is given back.
pub(crate) struct Lending {
    /// Whether the request was queued. Before that there is nobody to be told.
    is_armed: AtomicBool,
    answer: Mailbox<Item>,
    /// Held until nothing is lent any more.
    _running: Arc<RunningCall>,
}

impl Lending {
    pub(crate) fn new(answer: Mailbox<Item>, running: Arc<RunningCall>) -> Arc<Lending> {
        Arc::new(Lending { is_armed: AtomicBool::new(false), answer, _running: running })
    }

    /// From now on, whoever made the request is told when all is given back. The caller has a reference.
    pub(crate) fn arm(&self) {
        self.is_armed.store(true, Ordering::Release);
    }
}

impl Drop for Lending {
    fn drop(&mut self) {
        if self.is_armed.load(Ordering::Acquire) {
            self.answer.put(Item::Returned);
        }
    }
}

impl fmt::Debug for Lending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lending").field("is_armed", &self.is_armed).finish_non_exhaustive()
    }
}

/// Where lent bytes are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// Not 0.
    pub(crate) start: usize,
    /// Not 0.
    pub(crate) size: usize,
    /// The GPU, if they are not in the host's memory.
    pub(crate) gpu: Option<i32>,
}

/// Lent bytes.
#[derive(Debug)]
struct Lent {
    segment: Segment,
    _lending: Arc<Lending>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        let Segment { start, size, .. } = self.segment;
        // SAFETY: whoever lent them said that there are so many, and neither changes nor frees them before they are given
        // back, for which this would have to be dropped.
        unsafe { slice::from_raw_parts(with_exposed_provenance(start), size) }
    }
}

// SAFETY: the size is that of the segment, and a copy writes all bytes of its target.
unsafe impl PlacedBuffer for Lent {
    fn len(&self) -> usize {
        self.segment.size
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn misalignment(&self) -> usize {
        self.segment.start % hippocamp_tensor::ALIGNMENT
    }

    fn as_host(&self) -> Option<&[u8]> {
        Some(self.as_ref())
    }

    fn copy_to_host(
        &self,
        start: usize,
        target: &mut [MaybeUninit<u8>],
    ) -> std::result::Result<(), MemoryError> {
        let part = &self.as_ref()[start..start + target.len()];
        PlacedSlice::Host(part).copy_to_host(target)
    }
}

/// A tensor of lent bytes. One segment is known as somebody else's memory, so that nothing keeps it beyond the request; where it is, it
/// is read by whoever wants it. Of several, those on GPUs are brought to the host.
///
/// # Errors
/// If a GPU is not there, or reports an error.
pub(crate) fn tensor(segments: &[Segment], lending: &Arc<Lending>, gpus: &Gpus) -> Result<TensorData> {
    let lent = |segment: &Segment| -> Result<TensorData> {
        let owner = Arc::clone(lending);
        Ok(match segment.gpu {
            None => TensorData::from(
                Arc::new(Lent { segment: *segment, _lending: owner }) as Arc<dyn PlacedBuffer>
            ),
            Some(gpu) => {
                // SAFETY: whoever lent them said that they are there, and neither changes nor frees them before they are given back.
                let adopted = unsafe { gpus.adopt(gpu, *segment, Box::new(owner)) }?;
                let adopted: Arc<dyn PlacedBufferMut> = Arc::from(adopted);
                TensorData::from(adopted as Arc<dyn PlacedBuffer>)
            }
        })
    };
    if let [one] = segments {
        return lent(one);
    }
    let part = |segment: &Segment| match segment.gpu {
        None => Ok(Bytes::from_owner(Lent { segment: *segment, _lending: Arc::clone(lending) })),
        Some(_) => Ok(lent(segment)?.to_host()?),
    };
    segments.iter().map(part).collect()
}

//! The content of a tensor: where its bytes are, without a copy of them.

#![allow(unsafe_code, reason = "fills a buffer from memory that no slice may be made of")]

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use crate::{AlignedBuffer, ForeignBytes};

/// The bytes of one tensor, cheap to clone: views of the buffers that they arrived in, in order, or of memory that is
/// shared with a client.
///
/// Usually one segment. Several when an HTTP body came in several frames: they are copied into place once, when a
/// batch is assembled, and never before. The same goes for shared memory.
#[derive(Clone, Debug)]
pub struct TensorData(Content);

#[derive(Clone, Debug)]
enum Content {
    /// Not empty.
    One(Bytes),
    /// None, or two or more; none of them is empty.
    Several(Vec<Bytes>),
    /// Never borrowed, only copied.
    Foreign(Arc<dyn ForeignBytes>),
}

use Content::{Foreign, One, Several};

impl TensorData {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            One(segment) => segment.len(),
            Several(segments) => segments.iter().map(Bytes::len).sum(),
            Foreign(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a segment. Empty ones are left out.
    pub fn push(&mut self, segment: Bytes) {
        if segment.is_empty() {
            return;
        }
        match &mut self.0 {
            Several(segments) if segments.is_empty() => self.0 = One(segment),
            Several(segments) => segments.push(segment),
            One(_) | Foreign(_) => self.0 = Several(vec![self.to_contiguous(), segment]),
        }
    }

    /// The segments. Copies only what is not this process's own.
    pub fn segments(&self) -> SmallVec<[Bytes; 1]> {
        match &self.0 {
            Several(segments) => segments.iter().cloned().collect(),
            One(_) | Foreign(_) => smallvec![self.to_contiguous()],
        }
    }

    /// Where the bytes are if they are not this process's own.
    pub fn as_foreign(&self) -> Option<&(dyn ForeignBytes + 'static)> {
        match &self.0 {
            One(_) | Several(_) => None,
            Foreign(bytes) => Some(&**bytes),
        }
    }

    /// All bytes as one slice, if they lie in one segment (or there are none).
    pub fn as_contiguous(&self) -> Option<&[u8]> {
        match &self.0 {
            One(segment) => Some(segment),
            Several(segments) => segments.is_empty().then_some(&[]),
            Foreign(_) => None,
        }
    }

    /// All bytes as one segment. Copies if there are several, or if they are not this process's own.
    pub fn to_contiguous(&self) -> Bytes {
        match &self.0 {
            One(segment) => segment.clone(),
            Several(segments) => {
                let mut joined = BytesMut::with_capacity(self.len());
                for segment in segments {
                    joined.extend_from_slice(segment);
                }
                joined.freeze()
            }
            Foreign(bytes) => copied(&**bytes),
        }
    }

    /// Appends all bytes to `target`, one copy a segment.
    ///
    /// # Panics
    /// If `target` has no room for [`TensorData::len`] bytes.
    pub fn copy_to(&self, target: &mut AlignedBuffer) {
        match &self.0 {
            One(segment) => target.push(segment),
            Several(segments) => {
                for segment in segments {
                    target.push(segment);
                }
            }
            Foreign(bytes) => target.push_foreign(&**bytes),
        }
    }
}

/// # Panics
/// If there is no memory for it: it costs who sends it nothing, and must not end the process.
fn copied(bytes: &dyn ForeignBytes) -> Bytes {
    let size = bytes.len();
    let mut copy = Vec::new();
    let reserved = copy.try_reserve_exact(size);
    assert!(reserved.is_ok(), "there is no memory for a tensor of {size} bytes");
    bytes.copy_to(&mut copy.spare_capacity_mut()[..size]);
    // SAFETY: there is room for as many, and `copy_to` has written them all.
    unsafe { copy.set_len(size) };
    copy.into()
}

impl Default for TensorData {
    fn default() -> Self {
        TensorData(Several(Vec::new()))
    }
}

impl From<Bytes> for TensorData {
    fn from(segment: Bytes) -> Self {
        if segment.is_empty() { TensorData::default() } else { TensorData(One(segment)) }
    }
}

impl PartialEq<Bytes> for TensorData {
    fn eq(&self, other: &Bytes) -> bool {
        self.len() == other.len() && self.to_contiguous() == *other
    }
}

impl From<Arc<dyn ForeignBytes>> for TensorData {
    fn from(bytes: Arc<dyn ForeignBytes>) -> Self {
        TensorData(Foreign(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_two() -> TensorData {
        let mut data = TensorData::from(Bytes::from_static(b"abc"));
        data.push(Bytes::new());
        data.push(Bytes::from_static(b"de"));
        data
    }

    #[test]
    fn one_segment_is_never_copied() {
        let wire = Bytes::from_static(b"wire");
        let data = TensorData::from(wire.clone());
        assert_eq!(data.to_contiguous().as_ptr(), wire.as_ptr());
        assert_eq!(data.as_contiguous().map(<[u8]>::as_ptr), Some(wire.as_ptr()));
    }

    #[test]
    fn several_segments_join_in_order() {
        let data = in_two();
        assert_eq!(data.len(), 5);
        assert_eq!(data.segments().len(), 2, "an empty segment is left out");
        assert_eq!(data.as_contiguous(), None);
        assert_eq!(&data.to_contiguous()[..], b"abcde");
    }

    #[derive(Debug)]
    struct Lent(&'static [u8]);

    // SAFETY: the length is fixed, and all of the target is written.
    unsafe impl ForeignBytes for Lent {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn copy_to(&self, target: &mut [std::mem::MaybeUninit<u8>]) {
            target.write_copy_of_slice(self.0);
        }
    }

    #[test]
    fn what_is_not_ours_is_copied_and_never_borrowed() {
        let mut data = TensorData::from(Arc::new(Lent(b"foreign")) as Arc<dyn ForeignBytes>);
        assert_eq!((data.len(), data.is_empty(), data.as_contiguous()), (7, false, None));
        assert_eq!(&data.to_contiguous()[..], b"foreign");
        assert!(data.as_foreign().is_some());
        let mut buffer = AlignedBuffer::default();
        buffer.restart(9);
        buffer.push(b"a ");
        data.copy_to(&mut buffer);
        assert_eq!(buffer.as_slice(), b"a foreign");
        data.push(Bytes::from_static(b"er"));
        assert_eq!((&data.to_contiguous()[..], data.as_foreign().is_some()), (&b"foreigner"[..], false));
    }

    #[test]
    fn copies_every_segment() {
        let mut buffer = AlignedBuffer::default();
        buffer.restart(5);
        in_two().copy_to(&mut buffer);
        assert_eq!(buffer.as_slice(), b"abcde");
    }
}

//! The content of a tensor as it came from the wire.

use bytes::{Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use crate::AlignedBuffer;

/// The bytes of one tensor, immutable and cheap to clone: views of the buffers that they arrived in, in order.
///
/// Usually one segment. Several when an HTTP body came in several frames: they are copied into place once, when a
/// batch is assembled, and never before.
#[derive(Clone, Debug, Default)]
pub struct TensorData(SmallVec<[Bytes; 1]>);

impl TensorData {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// Appends a segment. Empty ones are left out.
    pub fn push(&mut self, segment: Bytes) {
        if !segment.is_empty() {
            self.0.push(segment);
        }
    }

    pub fn segments(&self) -> &[Bytes] {
        &self.0
    }

    /// All bytes as one slice, if they lie in one segment (or there are none).
    pub fn as_contiguous(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(&[]),
            [one] => Some(one),
            _ => None,
        }
    }

    /// All bytes as one segment. Copies only if there are several.
    pub fn to_contiguous(&self) -> Bytes {
        match self.0.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            several => {
                let mut joined = BytesMut::with_capacity(self.len());
                for segment in several {
                    joined.extend_from_slice(segment);
                }
                joined.freeze()
            }
        }
    }

    /// Appends all bytes to `target`, one copy a segment.
    ///
    /// # Panics
    /// If `target` has no room for [`TensorData::len`] bytes.
    pub fn copy_to(&self, target: &mut AlignedBuffer) {
        for segment in &self.0 {
            target.push(segment);
        }
    }
}

impl From<Bytes> for TensorData {
    fn from(segment: Bytes) -> Self {
        if segment.is_empty() { TensorData::default() } else { TensorData(smallvec![segment]) }
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

    #[test]
    fn copies_every_segment() {
        let mut buffer = AlignedBuffer::default();
        buffer.restart(5);
        in_two().copy_to(&mut buffer);
        assert_eq!(buffer.as_slice(), b"abcde");
    }
}

//! Bytes in the host memory of this process, in the segments in which they arrived.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::MemoryError;
use crate::buffer::allocate;

/// The bytes of a tensor as a list of segments, which refer to the buffers in which they arrived. A clone shares the memory.
///
/// There is usually one segment; there are several if a request body came in several frames. They are copied only once, when
/// a batch is assembled.
#[derive(Clone, Debug)]
pub struct HostSegments(Segments);

#[derive(Clone, Debug)]
enum Segments {
    /// One segment, which is not empty.
    One(Bytes),
    /// No segment, or two or more, none of which is empty.
    Several(Vec<Bytes>),
}

use Segments::{One, Several};

impl HostSegments {
    /// The size in bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            One(segment) => segment.len(),
            Several(segments) => segments.iter().map(Bytes::len).sum(),
        }
    }

    /// Whether the size is 0.
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Several(segments) if segments.is_empty())
    }

    /// Appends a segment. Empty ones are left out.
    pub fn push(&mut self, segment: Bytes) {
        if segment.is_empty() {
            return;
        }
        match &mut self.0 {
            Several(segments) if segments.is_empty() => self.0 = One(segment),
            Several(segments) => segments.push(segment),
            One(first) => self.0 = Several(vec![std::mem::take(first), segment]),
        }
    }

    /// The segments, none of which is empty.
    pub fn as_slice(&self) -> &[Bytes] {
        match &self.0 {
            One(segment) => std::slice::from_ref(segment),
            Several(segments) => segments,
        }
    }

    /// All bytes as one slice, if they lie in one segment (or there are none).
    pub fn as_contiguous(&self) -> Option<&[u8]> {
        match &self.0 {
            One(segment) => Some(segment),
            Several(segments) => segments.is_empty().then_some(&[]),
        }
    }

    /// All bytes as one segment. Several segments are copied once; one is only shared.
    ///
    /// # Errors
    /// If the allocation fails.
    pub fn join(&self) -> Result<Bytes, MemoryError> {
        match &self.0 {
            One(segment) => Ok(segment.clone()),
            Several(segments) => {
                let mut joined = allocate(self.len())?;
                for segment in segments {
                    joined.extend_from_slice(segment);
                }
                Ok(joined.into())
            }
        }
    }

    /// Splits off and returns the first `size` bytes. Nothing is copied.
    ///
    /// # Panics
    /// If there are fewer bytes.
    #[must_use]
    pub fn split_to(&mut self, size: usize) -> HostSegments {
        match &mut self.0 {
            One(segment) => {
                let taken = segment.split_to(size);
                if segment.is_empty() {
                    self.0 = Several(Vec::new());
                }
                taken.into()
            }
            Several(_) => self.split_several(size),
        }
    }

    fn split_several(&mut self, mut size: usize) -> HostSegments {
        assert!(size <= self.len(), "{size} bytes are to be taken of {}", self.len());
        let (mut taken, mut left) = (HostSegments::default(), HostSegments::default());
        for segment in self.as_slice() {
            let mut segment = segment.clone();
            let part = segment.split_to(size.min(segment.len()));
            size -= part.len();
            taken.push(part);
            left.push(segment);
        }
        *self = left;
        taken
    }

    /// Whether this is the only reference to the memory, as far as that is known.
    pub fn is_unique(&self) -> bool {
        self.as_slice().iter().all(Bytes::is_unique)
    }
}

impl Default for HostSegments {
    /// An empty list.
    fn default() -> Self {
        HostSegments(Several(Vec::new()))
    }
}

impl From<Bytes> for HostSegments {
    fn from(segment: Bytes) -> Self {
        if segment.is_empty() { HostSegments::default() } else { HostSegments(One(segment)) }
    }
}

impl IntoIterator for HostSegments {
    type Item = Bytes;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(match self.0 {
            One(segment) => SmallVec::from_buf([segment]).into_iter(),
            Several(segments) => SmallVec::from_vec(segments).into_iter(),
        })
    }
}

/// The segments of [`HostSegments`], in order.
#[derive(Debug)]
pub struct IntoIter(smallvec::IntoIter<[Bytes; 1]>);

impl Iterator for IntoIter {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.next()
    }
}

impl FromIterator<Bytes> for HostSegments {
    fn from_iter<I: IntoIterator<Item = Bytes>>(segments: I) -> Self {
        let mut all = HostSegments::default();
        for segment in segments {
            all.push(segment);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_two() -> HostSegments {
        ["abc", "", "de"].into_iter().map(Bytes::from).collect()
    }

    #[test]
    fn several_segments_join_in_order() {
        let data = in_two();
        assert_eq!(data.len(), 5);
        assert_eq!(data.as_slice().len(), 2, "an empty segment is left out");
        assert_eq!(data.as_contiguous(), None);
        assert_eq!(data.join().unwrap(), "abcde");
    }

    #[test]
    fn splitting_leaves_views_of_the_same_memory() {
        for (size, left, right) in [(0, "", "abcde"), (2, "ab", "cde"), (3, "abc", "de"), (4, "abcd", "e")] {
            let mut data = in_two();
            let taken = data.split_to(size);
            assert_eq!((taken.join().unwrap(), data.join().unwrap()), (left.into(), right.into()));
        }
        let mut one = HostSegments::from(Bytes::from_static(b"whole"));
        let start = one.as_slice()[0].as_ptr();
        assert_eq!(one.split_to(5).as_slice()[0].as_ptr(), start);
        assert!(one.is_empty());
    }
}

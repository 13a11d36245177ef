//! The wire form of BYTES tensors: every element is a 4-byte little-endian length and that many bytes.

use std::error::Error;
use std::fmt;

/// The size in bytes of the length in front of every element.
pub const LENGTH_PREFIX: usize = 4;

/// What is wrong with the content of a BYTES tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesFault {
    /// Fewer than 4 bytes are left where a length should be.
    IncompleteLength {
        /// The number of bytes that are left.
        left: usize,
    },
    /// An element's length points past the end.
    IncompleteElement {
        /// The length of the element according to its prefix, in bytes.
        length: usize,
        /// The number of bytes that are left.
        left: usize,
    },
}

impl fmt::Display for BytesFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BytesFault::IncompleteLength { left } => {
                write!(f, "{left} bytes are left where a length of {LENGTH_PREFIX} bytes should be")
            }
            BytesFault::IncompleteElement { length, left } => {
                write!(f, "an element of {length} bytes is announced, but only {left} are left")
            }
        }
    }
}

impl Error for BytesFault {}

/// The elements of a BYTES tensor, in order, without their lengths. Ends after the first fault.
#[derive(Clone, Debug)]
pub struct BytesElements<'a> {
    rest: &'a [u8],
}

impl<'a> BytesElements<'a> {
    /// The elements of `content`, which is the whole tensor in its wire form.
    pub fn new(content: &'a [u8]) -> Self {
        BytesElements { rest: content }
    }
}

impl<'a> Iterator for BytesElements<'a> {
    type Item = Result<&'a [u8], BytesFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((prefix, rest)) = self.rest.split_first_chunk::<LENGTH_PREFIX>() else {
            let left = std::mem::take(&mut self.rest).len();
            return Some(Err(BytesFault::IncompleteLength { left }));
        };
        let length = u32::from_le_bytes(*prefix) as usize;
        let Some((element, rest)) = rest.split_at_checked(length) else {
            let left = rest.len();
            self.rest = &[];
            return Some(Err(BytesFault::IncompleteElement { length, left }));
        };
        self.rest = rest;
        Some(Ok(element))
    }
}

/// Counts the elements. Returns a fault if the content ends within an element or its length.
pub fn count_elements(content: &[u8]) -> Result<usize, BytesFault> {
    BytesElements::new(content).try_fold(0, |n, element| element.map(|_| n + 1))
}

/// Appends one element with its length.
///
/// # Panics
/// If the element has 4 GiB or more: the wire form has no such elements.
pub fn push_element(content: &mut Vec<u8>, element: &[u8]) {
    let length = u32::try_from(element.len()).expect("an element of a BYTES tensor is shorter than 4 GiB");
    content.extend_from_slice(&length.to_le_bytes());
    content.extend_from_slice(element);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tells_what_is_wrong() {
        assert_eq!(count_elements(&[1, 0, 0]), Err(BytesFault::IncompleteLength { left: 3 }));
        assert_eq!(
            count_elements(&[9, 0, 0, 0, b'a']),
            Err(BytesFault::IncompleteElement { length: 9, left: 1 })
        );
        assert_eq!(count_elements(&[]), Ok(0));
    }

    proptest! {
        #[test]
        fn elements_come_back_as_they_went_in(elements: Vec<Vec<u8>>) {
            let mut content = Vec::new();
            for element in &elements {
                push_element(&mut content, element);
            }
            let back: Vec<_> = BytesElements::new(&content).map(Result::unwrap).collect();
            prop_assert_eq!(back, elements);
        }

        #[test]
        fn any_content_ends(content: Vec<u8>) {
            prop_assert!(BytesElements::new(&content).count() <= content.len());
        }
    }
}

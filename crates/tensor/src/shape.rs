//! The dimensions of a tensor.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use crate::DataType;

/// The highest number of dimensions that are printed.
const SHOWN: usize = 32;

/// The dimensions of a tensor, outermost first. A scalar has none. In a config or in metadata -1 stands for any size; in a
/// request every dimension is 0 or more. Up to six dimensions need no allocation.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Shape(SmallVec<[i64; 6]>);

impl Shape {
    /// The number of elements of a tensor of this shape, or `None` if a dimension is negative or the product does not fit. A
    /// zero anywhere makes it zero, whatever the other dimensions are.
    pub fn element_count(&self) -> Option<usize> {
        if self.iter().any(|&d| d < 0) {
            return None;
        }
        if self.contains(&0) {
            return Some(0);
        }
        self.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))
    }

    /// The size in bytes of a tensor of this shape and type, or `None` if that overflows, a dimension is negative, or the
    /// type has no fixed size.
    pub fn byte_size(&self, data_type: DataType) -> Option<usize> {
        self.element_count()?.checked_mul(data_type.byte_size()?)
    }

    /// Whether a request's shape fits this one: the same rank, and each dimension equal or -1 here.
    pub fn admits(&self, shape: &[i64]) -> bool {
        self.len() == shape.len() && self.iter().zip(shape).all(|(&want, &got)| want == -1 || want == got)
    }

    /// This shape with `batch` as an additional outermost dimension.
    #[must_use]
    pub fn with_batch(&self, batch: i64) -> Shape {
        std::iter::once(batch).chain(self.iter().copied()).collect()
    }

    /// Sets the outermost dimension. Does nothing to a scalar.
    pub fn set_batch(&mut self, batch: i64) {
        if let Some(first) = self.0.first_mut() {
            *first = batch;
        }
    }

    /// Adds an innermost dimension.
    pub fn push(&mut self, dimension: i64) {
        self.0.push(dimension);
    }
}

impl Deref for Shape {
    type Target = [i64];

    fn deref(&self) -> &[i64] {
        &self.0
    }
}

impl From<&[i64]> for Shape {
    fn from(dims: &[i64]) -> Self {
        Shape(SmallVec::from_slice(dims))
    }
}

impl<const N: usize> From<[i64; N]> for Shape {
    fn from(dims: [i64; N]) -> Self {
        Shape::from(&dims[..])
    }
}

impl FromIterator<i64> for Shape {
    fn from_iter<I: IntoIterator<Item = i64>>(dims: I) -> Self {
        Shape(dims.into_iter().collect())
    }
}

impl fmt::Display for Shape {
    /// As in Triton's messages: `[-1,16]`, `[]` for a scalar. A shape with very many dimensions is truncated.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.iter().take(SHOWN).enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{dim}")?;
        }
        if self.len() > SHOWN {
            write!(f, ",... {} dimensions", self.len())?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_elements_without_overflow() {
        assert_eq!(Shape::from([]).element_count(), Some(1));
        assert_eq!(Shape::from([2, 3]).element_count(), Some(6));
        assert_eq!(Shape::from([i64::MAX, 0, i64::MAX]).element_count(), Some(0));
        assert_eq!(Shape::from([i64::MAX, 4]).element_count(), None);
        assert_eq!(Shape::from([1 << 62, 4]).element_count(), None);
        assert_eq!(Shape::from([2, -1]).element_count(), None);
        assert_eq!(Shape::from([i64::MIN]).element_count(), None);
    }

    #[test]
    fn counts_bytes_without_overflow() {
        assert_eq!(Shape::from([2, 3]).byte_size(DataType::Fp64), Some(48));
        assert_eq!(Shape::from([i64::MAX]).byte_size(DataType::Fp32), None);
        assert_eq!(Shape::from([(1 << 62) + 1]).byte_size(DataType::Fp32), None);
        assert_eq!(Shape::from([2]).byte_size(DataType::Bytes), None);
    }

    #[test]
    fn minus_one_admits_any_size_but_not_another_rank() {
        let shape = Shape::from([-1, 16]);
        assert!(shape.admits(&[7, 16]));
        assert!(!shape.admits(&[7, 15]));
        assert!(!shape.admits(&[16]));
        assert!(!shape.admits(&[1, 1, 16]));
    }

    #[test]
    fn prints_like_triton() {
        assert_eq!(Shape::from([-1, 16]).to_string(), "[-1,16]");
        assert_eq!(Shape::default().to_string(), "[]");
        assert_eq!(Shape::from([16]).with_batch(-1).to_string(), "[-1,16]");
        let long: Shape = std::iter::repeat_n(1, 1_000_000).collect();
        assert!(long.to_string().ends_with(",1,... 1000000 dimensions]"));
        assert!(long.to_string().len() < 100);
    }
}

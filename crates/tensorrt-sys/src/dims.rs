//! Shapes, as the interfaces pass them.

use std::fmt;

/// A shape of up to 8 dimensions; -1 stands for one that varies. The same in memory as the C++ class.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dims {
    count: i32,
    values: [i64; Dims::MAX],
}

impl Dims {
    /// The highest rank.
    pub const MAX: usize = 8;

    /// These dimensions; `None` if there are more than 8.
    pub fn new(dims: &[i64]) -> Option<Dims> {
        let mut values = [0; Dims::MAX];
        values.get_mut(..dims.len())?.copy_from_slice(dims);
        Some(Dims { count: dims.len() as i32, values })
    }

    /// The dimensions; `None` where the library says that there is no such tensor, by a negative rank.
    pub fn get(&self) -> Option<&[i64]> {
        self.values.get(..usize::try_from(self.count).ok()?)
    }

    /// What the library returns for a tensor that it does not know.
    pub const INVALID: Dims = Dims { count: -1, values: [0; Dims::MAX] };
}

impl fmt::Debug for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(dims) => dims.fmt(f),
            None => f.write_str("no shape"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_as_large_as_in_cpp() {
        assert_eq!((size_of::<Dims>(), align_of::<Dims>()), (72, 8));
        assert_eq!(Dims::new(&[1, -1]).unwrap().get(), Some(&[1, -1][..]));
        assert_eq!(Dims::new(&[0; 9]), None);
        assert_eq!(Dims::INVALID.get(), None);
        assert_eq!(Dims { count: 9, values: [0; 8] }.get(), None);
    }
}

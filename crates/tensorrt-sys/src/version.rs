//! The version of a library, and what it says of the layout of its interfaces.

use std::fmt;

/// The version of an opened library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Interfaces change with it.
    pub major: u32,
    /// Interfaces get longer with it.
    pub minor: u32,
    /// Repairs.
    pub patch: u32,
}

impl Version {
    /// The version that a number of the form that `getInferLibVersion` returns says: 101601 is 10.16.1.
    pub fn of_number(number: i32) -> Version {
        let number = number.unsigned_abs();
        if number < 10_000 {
            // Up to version 9 it was of another form: 8601 is 8.6.1.
            return Version { major: number / 1000, minor: number / 100 % 10, patch: number % 100 };
        }
        Version { major: number / 10_000, minor: number / 100 % 100, patch: number % 100 }
    }

    /// The number of this version, as the factory functions expect it.
    pub fn number(self) -> i32 {
        (self.major * 10_000 + self.minor * 100 + self.patch) as i32
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Which product a library is of. They number their versions independently of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// TensorRT, for which a plan is made for one kind of GPU.
    TensorRt,
    /// TensorRT for RTX, which compiles a plan's kernels where it is run.
    TensorRtRtx,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Product::TensorRt => "TensorRT",
            Product::TensorRtRtx => "TensorRT for RTX",
        })
    }
}

/// The order of the methods in the virtual tables of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// TensorRT 10.
    V10,
    /// TensorRT 11, which has none of the methods that were deprecated before.
    V11,
    /// TensorRT for RTX from 1.5 on; 1.4 and older ones have another order.
    Rtx,
}

impl Layout {
    /// All of them.
    pub const ALL: [Layout; 3] = [Layout::V10, Layout::V11, Layout::Rtx];

    /// The layout of a version; `None` if it is not known.
    pub fn of(product: Product, version: Version) -> Option<Layout> {
        match (product, version.major, version.minor) {
            (Product::TensorRt, 10, _) => Some(Layout::V10),
            (Product::TensorRt, 11, _) => Some(Layout::V11),
            (Product::TensorRtRtx, 1, 5..) => Some(Layout::Rtx),
            _ => None,
        }
    }

    /// The versions whose layout is known, for messages.
    pub fn known(product: Product) -> &'static str {
        match product {
            Product::TensorRt => "10 and 11",
            Product::TensorRtRtx => "1.5 and later of 1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_numbers() {
        let version = Version::of_number(101_601);
        assert_eq!((version.to_string().as_str(), version.number()), ("10.16.1", 101_601));
        assert_eq!(Version::of_number(8601).to_string(), "8.6.1");
        assert_eq!(Version::of_number(10_701).to_string(), "1.7.1");
    }

    #[test]
    fn layouts_are_of_known_versions_only() {
        let layout = |product, number| Layout::of(product, Version::of_number(number));
        assert_eq!(layout(Product::TensorRt, 101_601), Some(Layout::V10));
        assert_eq!(layout(Product::TensorRt, 110_400), Some(Layout::V11));
        assert_eq!(layout(Product::TensorRt, 120_000), None);
        assert_eq!(layout(Product::TensorRt, 8601), None);
        assert_eq!(layout(Product::TensorRtRtx, 10_701), Some(Layout::Rtx));
        assert_eq!(layout(Product::TensorRtRtx, 10_400), None);
    }
}

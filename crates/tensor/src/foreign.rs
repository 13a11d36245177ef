//! Memory that this process does not decide about.

#![allow(
    unsafe_code,
    reason = "whoever implements the trait promises to fill memory that was not written before"
)]

use std::any::Any;
use std::fmt::Debug;
use std::mem::MaybeUninit;

/// Bytes in memory that somebody else may write to, or take away, at any time: a client's shared memory. They are never
/// seen through a slice; all that can be done is to copy them out.
///
/// Memory that is gone is no error here, because a batch must not fail for one of its requests: what is missing is
/// filled with zeros, and whoever lent the memory finds out before the answer leaves.
///
/// # Safety
/// [`ForeignBytes::len`] never changes, and [`ForeignBytes::copy_to`] writes every byte of its target.
pub unsafe trait ForeignBytes: Any + Send + Sync + Debug {
    /// How many bytes there are.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `target`, which has room for exactly [`ForeignBytes::len`] bytes.
    ///
    /// # Panics
    /// If it has another size.
    fn copy_to(&self, target: &mut [MaybeUninit<u8>]);
}

//! A count of uses that can be closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the current uses of something. It can be closed while there are none; then no use can begin.
#[derive(Debug, Default)]
pub struct Uses(Arc<AtomicUsize>);

/// The bit that is set when the count is closed. The lower bits are the count.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// One use, until it is dropped.
#[derive(Debug)]
pub struct Use(Arc<AtomicUsize>);

impl Uses {
    /// Begins a use; `None` if it is closed.
    pub fn begin(&self) -> Option<Use> {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        let begun = Use(Arc::clone(&self.0));
        (before & CLOSED == 0).then_some(begun)
    }

    /// Whether there are uses now.
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) & !CLOSED > 0
    }

    /// Closes the count if there are no uses. Returns whether it did.
    pub fn close_if_unused(&self) -> bool {
        self.0.compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Undoes [`Uses::close_if_unused`].
    pub fn reopen(&self) {
        self.0.fetch_and(!CLOSED, Ordering::AcqRel);
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_cannot_be_closed_and_what_is_closed_cannot_be_used() {
        let uses = Uses::default();
        let (one, two) = (uses.begin(), uses.begin());
        assert!(one.is_some() && two.is_some() && uses.any());
        drop(one);
        assert!(!uses.close_if_unused(), "the other goes on");
        drop(two);
        assert!(!uses.any() && uses.close_if_unused());
        assert!(uses.begin().is_none() && !uses.any(), "a use that was refused is not counted");
        uses.reopen();
        assert!(uses.begin().is_some());
    }
}

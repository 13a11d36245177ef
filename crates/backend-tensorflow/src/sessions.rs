//! The sessions of a model, shared by its instances where that changes nothing.
//!
//! A session holds the constants and variables of its graph. Any number of threads may run it at once, so instances share
//! one, unless their graph keeps something from one run to the next: then each has a session of its own, as in Triton.

use std::sync::Arc;

use hippocamp_backend::Result;
use parking_lot::Mutex;

use crate::model_file::Opened;

/// The session that the next instance may use.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// How many instances share one.
    share_count: usize,
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    opened: Arc<Opened>,
    users: usize,
}

impl Sessions {
    /// Starts with the session from which the model's signature was read.
    pub(crate) fn with_first(opened: Arc<Opened>, share_count: usize) -> Sessions {
        Sessions { share_count, last: Mutex::new(Some(Last { opened, users: 0 })) }
    }

    /// Whether all instances use one session.
    pub(crate) fn all_share_one(&self) -> bool {
        self.share_count == usize::MAX
    }

    /// A session for one more instance: the last one, or a new one of `open`.
    pub(crate) fn get(&self, open: impl FnOnce() -> Result<Opened>) -> Result<Arc<Opened>> {
        let mut last = self.last.lock();
        if let Some(last) = &mut *last
            && last.users < self.share_count
        {
            last.users += 1;
            return Ok(Arc::clone(&last.opened));
        }
        // The model lets go of the one that has all its users.
        *last = None;
        let opened = Arc::new(open()?);
        // With one user each there is no next user, for whom it would be kept when its own is gone.
        if self.share_count > 1 {
            *last = Some(Last { opened: Arc::clone(&opened), users: 1 });
        }
        Ok(opened)
    }
}

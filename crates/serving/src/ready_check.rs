//! Models that have a word of their own in whether they are ready.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hippocamp_backend::Model;
use std::sync::Mutex;
use tracing::warn;

/// Asks a model whether it is ready: one question at a time, as an answer may take seconds, and those who ask come again.
pub struct ReadyCheck {
    model: Arc<dyn Model>,
    name: Arc<str>,
    asked: Mutex<()>,
    last: AtomicBool,
}

impl ReadyCheck {
    /// The check of a model; `None` if it has none.
    pub fn of(model: &Arc<dyn Model>, name: &Arc<str>) -> Option<Arc<ReadyCheck>> {
        model.has_ready_check().then(|| {
            let (model, name) = (Arc::clone(model), Arc::clone(name));
            Arc::new(ReadyCheck { model, name, asked: Mutex::default(), last: AtomicBool::new(true) })
        })
    }

    /// Asks, and waits for the answer. While somebody else does, the last answer is returned.
    pub fn ask(&self) -> bool {
        let Ok(_asked) = self.asked.try_lock() else { return self.last.load(Ordering::Relaxed) };
        let ready = self.model.check_ready();
        let before = self.last.swap(ready.is_ok(), Ordering::Relaxed);
        if let Err(error) = &ready
            && before
        {
            warn!(model = &*self.name, "the model says that it is not ready: {}", error.message());
        }
        ready.is_ok()
    }
}

impl fmt::Debug for ReadyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadyCheck of {}, last {}", self.name, self.last.load(Ordering::Relaxed))
    }
}

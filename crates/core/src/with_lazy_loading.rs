//! Makes lazy loading if the settings enable it.

use std::sync::Arc;

use crate::Settings;
pub(crate) use hippocamp_lazy_loading::LazyLoading;
use hippocamp_lifecycle::Lifecycle;

/// Lazy loading; `None` if the settings do not enable it.
pub(crate) fn if_wanted(settings: &Settings, lifecycle: &Arc<Lifecycle>) -> Option<Arc<LazyLoading>> {
    let budget = Some(settings.lazy_load_memory_budget).filter(|&budget| budget > 0);
    settings.lazy_load.then(|| LazyLoading::new(Arc::clone(lifecycle), budget))
}

//! Families that others write: what the fronts count, for one.

use std::fmt;

use hippocamp_metrics::Page;
use parking_lot::Mutex;

#[derive(Default)]
pub(crate) struct Sources(Mutex<Vec<Source>>);

type Source = Box<dyn Fn(&mut Page) + Send + Sync>;

impl Sources {
    pub(super) fn add(&self, source: impl Fn(&mut Page) + Send + Sync + 'static) {
        self.0.lock().push(Box::new(source));
    }

    pub(super) fn write(&self, page: &mut Page) {
        self.0.lock().iter().for_each(|source| source(page));
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sources", self.0.lock().len())
    }
}

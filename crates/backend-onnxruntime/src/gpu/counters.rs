//! Counts the plans of instances on GPUs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hippocamp_metrics::{Kind, Page};
use parking_lot::Mutex;

/// The counters of the models that are loaded.
static ALL: Mutex<BTreeMap<Arc<str>, Weak<PlanCounters>>> = Mutex::new(BTreeMap::new());

/// The counters of a model. Its versions share them.
#[derive(Debug, Default)]
pub(crate) struct PlanCounters {
    made: AtomicU64,
    missed: AtomicU64,
    dropped: AtomicU64,
    microseconds: AtomicU64,
}

impl PlanCounters {
    pub(crate) fn of(model: &Arc<str>) -> Arc<PlanCounters> {
        let mut all = ALL.lock();
        all.retain(|_, counters| counters.upgrade().is_some());
        if let Some(counters) = all.get(model).and_then(Weak::upgrade) {
            return counters;
        }
        let counters = Arc::<PlanCounters>::default();
        all.insert(Arc::clone(model), Arc::downgrade(&counters));
        counters
    }

    /// A plan was made in that time, while the instance was loaded or, if `missed`, for a request.
    pub(super) fn made(&self, missed: bool, took: Duration) {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.missed.fetch_add(u64::from(missed), Ordering::Relaxed);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(took, Ordering::Relaxed);
    }

    /// A plan made room for another one.
    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// How to read a counter.
type Read = fn(&PlanCounters) -> u64;

const FAMILIES: [(&str, &str, Read); 4] = [
    ("nv_plan_made", "Number of plans that instances on GPUs made for a shape of their inputs", |c| {
        c.made.load(Ordering::Relaxed)
    }),
    ("nv_plan_miss", "Number of batches that waited for a plan to be made", |c| {
        c.missed.load(Ordering::Relaxed)
    }),
    ("nv_plan_dropped", "Number of plans that made room for others", |c| c.dropped.load(Ordering::Relaxed)),
    ("nv_plan_duration_us", "Cumulative time that making plans took, in microseconds", |c| {
        c.microseconds.load(Ordering::Relaxed)
    }),
];

/// Writes the counters of all loaded models that have instances on GPUs to the page of metrics.
pub fn write_metrics(page: &mut Page) {
    let all: Vec<_> = ALL
        .lock()
        .iter()
        .filter_map(|(model, counters)| Some((Arc::clone(model), counters.upgrade()?)))
        .collect();
    for (name, help, read) in FAMILIES {
        let mut family = page.family(name, help, Kind::Counter);
        for (model, counters) in &all {
            family.sample(&[("model", &**model)], read(counters));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_models_that_are_loaded() {
        let text = || {
            let mut page = Page::default();
            write_metrics(&mut page);
            page.into_text()
        };
        let name: Arc<str> = "counted".into();
        let counters = PlanCounters::of(&name);
        assert!(Arc::ptr_eq(&counters, &PlanCounters::of(&name)), "versions share them");
        counters.made(false, Duration::from_millis(2));
        counters.made(true, Duration::from_millis(1));
        counters.dropped();
        let page = text();
        for line in [
            "nv_plan_made{model=\"counted\"} 2",
            "nv_plan_miss{model=\"counted\"} 1",
            "nv_plan_dropped{model=\"counted\"} 1",
            "nv_plan_duration_us{model=\"counted\"} 3000",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
        drop(counters);
        assert!(!text().contains("counted"));
    }
}

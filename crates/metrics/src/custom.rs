//! Metrics whose names are made at run time, by backends and what runs in them.
//!
//! A family is shared by all who ask for its name, and a metric by all who ask for its labels; each is on the page for as
//! long as somebody has a handle. To count is an atomic operation on the value; the lock is for those who make and drop handles and
//! for the page.

mod fault;
mod names;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::page::LabelSet;
use crate::{Kind, Page};
pub use fault::{MetricFault, MetricFaultKind};
use value::Value;

/// What one family may take on the page, in bytes. A label with a value for each request fills its own family, not the page.
const FAMILY_BYTES: usize = 1 << 20;

/// What all families together may take on the page, in bytes.
const ALL_BYTES: usize = 8 << 20;

/// What a line has at most besides its name and labels: a suffix, a bucket's bound, and the value.
const LINE_BYTES: usize = 96;

/// Families of metrics that are made at run time.
///
/// ```
/// use hippocamp_metrics::{CustomMetrics, Kind, Page};
///
/// let metrics = CustomMetrics::default();
/// let family = metrics.family(Kind::Counter, "tokens_total", "Tokens made")?;
/// let tokens = family.metric(&[("model", "llm")], None)?;
/// tokens.increment(7.0)?;
/// let mut page = Page::default();
/// metrics.write(&mut page);
/// assert!(page.into_text().ends_with("tokens_total{model=\"llm\"} 7\n"));
/// # Ok::<(), hippocamp_metrics::MetricFault>(())
/// ```
#[derive(Clone, Default)]
pub struct CustomMetrics(Arc<Mutex<Families>>);

#[derive(Default)]
struct Families {
    by_name: BTreeMap<Arc<str>, FamilyState>,
    /// What all of them take on the page at most.
    bytes: usize,
}

struct FamilyState {
    kind: Kind,
    help: Box<str>,
    /// Handles of the family and of its metrics.
    handles: usize,
    /// By their labels as they are on the page.
    metrics: BTreeMap<Arc<str>, MetricState>,
    bytes: usize,
}

struct MetricState {
    value: Arc<Value>,
    handles: usize,
    bytes: usize,
}

impl CustomMetrics {
    /// Those of the whole process, for interfaces that do not tell whose a metric is.
    pub fn of_process() -> &'static CustomMetrics {
        static OF_PROCESS: LazyLock<CustomMetrics> = LazyLock::new(CustomMetrics::default);
        &OF_PROCESS
    }

    /// The family of that name, which is made if there is none. The help of the first who asks stays. Fails if there is one of
    /// another kind, if the name is none that Prometheus can read, or if the page is full.
    pub fn family(&self, kind: Kind, name: &str, help: &str) -> Result<MetricFamily, MetricFault> {
        names::check_family(name)?;
        if kind == Kind::Summary {
            return Err(MetricFault::unsupported(format!(
                "metric family '{name}': summaries are not supported"
            )));
        }
        let name = self.lock().family(kind, name, help)?;
        Ok(MetricFamily { registry: self.clone(), name, kind, live: Arc::default() })
    }

    /// Writes all families that have metrics. One with samples whose names are on the page already is left out: a name that is
    /// there twice would spoil the whole page for a scraper.
    pub fn write(&self, page: &mut Page) {
        for (name, family) in &self.lock().by_name {
            let is_there = page.kind_of(name).is_some()
                || names::check_samples(name, family.kind, |other| page.kind_of(other)).is_err();
            if is_there {
                page.comment(&format!(
                    "{name} of a backend is left out: the server has samples of that name"
                ));
                continue;
            }
            let mut on_page = page.family(name, &family.help, family.kind);
            for (labels, metric) in &family.metrics {
                metric.value.write(&mut on_page, &Formatted(labels));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Families {
    /// Makes the family if it is not there, and counts a handle.
    fn family(&mut self, kind: Kind, name: &str, help: &str) -> Result<Arc<str>, MetricFault> {
        if let Some((shared, family)) = self.by_name.get_key_value(name) {
            if family.kind != kind {
                return Err(MetricFault::invalid(format!(
                    "metric family '{name}' is a {}, and a {} was asked for",
                    family.kind.name(),
                    kind.name()
                )));
            }
            let shared = Arc::clone(shared);
            self.known(&shared).handles += 1;
            return Ok(shared);
        }
        names::check_samples(name, kind, |other| self.by_name.get(other).map(|family| family.kind))?;
        let bytes = 2 * name.len() + help.len() + LINE_BYTES;
        if bytes > FAMILY_BYTES {
            return Err(MetricFault::invalid(format!("metric family '{name}': its help is too long")));
        }
        self.take(bytes, name)?;
        let shared = Arc::<str>::from(name);
        let state = FamilyState { kind, help: help.into(), handles: 1, metrics: BTreeMap::new(), bytes };
        self.by_name.insert(Arc::clone(&shared), state);
        Ok(shared)
    }

    /// Makes the metric if it is not there, and counts a handle.
    fn metric(
        &mut self,
        name: &str,
        labels: &str,
        new: Value,
    ) -> Result<(Arc<str>, Arc<Value>), MetricFault> {
        let family = self.known(name);
        if let Some((shared, metric)) = family.metrics.get_key_value(labels) {
            let (shared, value) = (Arc::clone(shared), Arc::clone(&metric.value));
            family.metrics.entry(Arc::clone(&shared)).and_modify(|metric| metric.handles += 1);
            family.handles += 1;
            return Ok((shared, value));
        }
        let bytes = new.lines() * (name.len() + labels.len() + LINE_BYTES);
        if family.bytes + bytes > FAMILY_BYTES {
            return Err(MetricFault::full(format!(
                "metric family '{name}' has {} metrics, and one more would take it over the {FAMILY_BYTES} bytes that a \
                 backend's family may take on the page",
                family.metrics.len()
            )));
        }
        self.take(bytes, name)?;
        let (shared, value) = (Arc::<str>::from(labels), Arc::new(new));
        let state = MetricState { value: Arc::clone(&value), handles: 1, bytes };
        let family = self.known(name);
        family.metrics.insert(Arc::clone(&shared), state);
        family.bytes += bytes;
        family.handles += 1;
        Ok((shared, value))
    }

    /// A family of which there are handles.
    fn known(&mut self, name: &str) -> &mut FamilyState {
        self.by_name.get_mut(name).expect("a family is there while it has handles")
    }

    /// Takes that much of the page for a family.
    fn take(&mut self, bytes: usize, name: &str) -> Result<(), MetricFault> {
        if self.bytes + bytes > ALL_BYTES {
            return Err(MetricFault::full(format!(
                "metric family '{name}': the metrics of backends take {ALL_BYTES} bytes of the page, which is all that they may"
            )));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back a handle of a family, or of one of its metrics.
    fn release(&mut self, name: &str, metric: Option<&str>) {
        let Some(family) = self.by_name.get_mut(name) else { return };
        if let Some(labels) = metric
            && let Some(metric) = family.metrics.get_mut(labels)
        {
            metric.handles -= 1;
            if metric.handles == 0 {
                family.bytes -= metric.bytes;
                self.bytes -= metric.bytes;
                family.metrics.remove(labels);
            }
        }
        family.handles -= 1;
        if family.handles == 0 {
            self.bytes -= family.bytes;
            self.by_name.remove(name);
        }
    }
}

/// A handle of a family. The family goes with the last handle of it and of its metrics.
pub struct MetricFamily {
    registry: CustomMetrics,
    name: Arc<str>,
    kind: Kind,
    /// The metrics that this handle has made and that are still there.
    live: Arc<AtomicUsize>,
}

impl MetricFamily {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The number of metrics that were made with this handle and were not dropped.
    pub fn live_metrics(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// The metric with these labels, which is made with the value 0 if there is none. Of two labels with one name the latter
    /// counts. A histogram needs the ascending upper bounds of its buckets, without the one that has no bound; the bounds of
    /// the first who asks stay. Other kinds have none. Fails if that does not hold, if a label's name is none that Prometheus can
    /// read, or if the family or the page is full.
    pub fn metric(&self, labels: &[(&str, &str)], bounds: Option<&[f64]>) -> Result<Metric, MetricFault> {
        let labels = names::check_labels(&self.name, self.kind, labels)?;
        let new = Value::new(&self.name, self.kind, bounds)?;
        let mut text = String::new();
        labels.write(&mut text);
        let (labels, value) = self.registry.lock().metric(&self.name, &text, new)?;
        self.live.fetch_add(1, Ordering::AcqRel);
        let (registry, family, live) =
            (self.registry.clone(), Arc::clone(&self.name), Arc::clone(&self.live));
        Ok(Metric { registry, family, kind: self.kind, labels, value, live })
    }
}

impl Drop for MetricFamily {
    fn drop(&mut self) {
        self.registry.lock().release(&self.name, None);
    }
}

impl fmt::Debug for MetricFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} '{}'", self.kind.name(), self.name)
    }
}

/// A handle of a metric. The metric goes with its last handle. Any thread may use it at any time.
pub struct Metric {
    registry: CustomMetrics,
    family: Arc<str>,
    kind: Kind,
    labels: Arc<str>,
    value: Arc<Value>,
    live: Arc<AtomicUsize>,
}

impl Metric {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The value of a counter or a gauge.
    pub fn value(&self) -> Result<f64, MetricFault> {
        self.value.get()
    }

    /// Adds to a counter, which takes no negative number, or a gauge.
    pub fn increment(&self, by: f64) -> Result<(), MetricFault> {
        self.value.increment(by)
    }

    /// Sets a gauge.
    pub fn set(&self, to: f64) -> Result<(), MetricFault> {
        self.value.set(to)
    }

    /// Counts a value in a histogram.
    pub fn observe(&self, value: f64) -> Result<(), MetricFault> {
        self.value.observe(value)
    }
}

impl Drop for Metric {
    fn drop(&mut self) {
        self.registry.lock().release(&self.family, Some(&self.labels));
        self.live.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} '{}{{{}}}'", self.kind.name(), self.family, self.labels)
    }
}

impl fmt::Debug for CustomMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} custom families", self.lock().by_name.len())
    }
}

/// Labels as they are on the page.
struct Formatted<'a>(&'a str);

impl LabelSet for Formatted<'_> {
    fn write(&self, text: &mut String) {
        text.push_str(self.0);
    }
}

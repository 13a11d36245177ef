//! The value of a custom metric.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::MetricFault;
use crate::Kind;
use crate::page::{Family, LabelSet};

/// A value that any thread may change.
pub(super) enum Value {
    Counter(Number),
    Gauge(Number),
    Histogram(Mutex<Buckets>),
}

/// A floating-point number that threads share.
#[derive(Default)]
pub(super) struct Number(AtomicU64);

impl Number {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, to: f64) {
        self.0.store(to.to_bits(), Ordering::Relaxed);
    }

    fn add(&self, by: f64) {
        let added = |bits| Some((f64::from_bits(bits) + by).to_bits());
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added);
    }
}

/// What a histogram has counted.
pub(super) struct Buckets {
    /// Upper bounds, inclusive and ascending.
    bounds: Box<[f64]>,
    /// The count of each bucket alone; the last one has no bound.
    counts: Box<[u64]>,
    sum: f64,
}

impl Value {
    pub(super) fn new(family: &str, kind: Kind, bounds: Option<&[f64]>) -> Result<Value, MetricFault> {
        match (kind, bounds) {
            (Kind::Counter, None) => Ok(Value::Counter(Number::default())),
            (Kind::Gauge, None) => Ok(Value::Gauge(Number::default())),
            (Kind::Histogram, Some(bounds)) => {
                Ok(Value::Histogram(Mutex::new(Buckets::new(family, bounds)?)))
            }
            (Kind::Histogram, None) => Err(MetricFault::invalid(format!(
                "metric family '{family}': Bucket boundaries not found in Metric args."
            ))),
            _ => Err(MetricFault::invalid(format!(
                "metric family '{family}': Unexpected args found in {} Metric constructor.",
                kind.name()
            ))),
        }
    }

    /// The number of lines that it takes on the page.
    pub(super) fn lines(&self) -> usize {
        match self {
            Value::Counter(_) | Value::Gauge(_) => 1,
            Value::Histogram(buckets) => lock(buckets).counts.len() + 2,
        }
    }

    pub(super) fn get(&self) -> Result<f64, MetricFault> {
        match self {
            Value::Counter(number) | Value::Gauge(number) => Ok(number.get()),
            Value::Histogram(_) => Err(self.lacks("Value")),
        }
    }

    pub(super) fn increment(&self, by: f64) -> Result<(), MetricFault> {
        match self {
            Value::Counter(number) if by >= 0.0 && by.is_finite() => number.add(by),
            Value::Counter(_) => {
                let text = "can only be incremented monotonically by non-negative values.";
                return Err(MetricFault::invalid(format!("{} {text}", self.kind())));
            }
            Value::Gauge(number) => number.add(by),
            Value::Histogram(_) => return Err(self.lacks("Increment")),
        }
        Ok(())
    }

    pub(super) fn set(&self, to: f64) -> Result<(), MetricFault> {
        match self {
            Value::Gauge(number) => {
                number.set(to);
                Ok(())
            }
            _ => Err(self.lacks("Set")),
        }
    }

    pub(super) fn observe(&self, value: f64) -> Result<(), MetricFault> {
        match self {
            // One of it would make the sum useless for ever.
            Value::Histogram(_) if value.is_nan() => {
                Err(MetricFault::invalid(format!("{} cannot observe a value that is no number", self.kind())))
            }
            Value::Histogram(buckets) => {
                lock(buckets).observe(value);
                Ok(())
            }
            _ => Err(self.lacks("Observe")),
        }
    }

    pub(super) fn write<L: LabelSet + ?Sized>(&self, family: &mut Family<'_>, labels: &L) {
        match self {
            Value::Counter(number) | Value::Gauge(number) => family.sample(labels, Shown(number.get())),
            Value::Histogram(buckets) => {
                let buckets = lock(buckets);
                let bounds = buckets.bounds.iter().map(|&bound| Some(Shown(bound))).chain([None]);
                let mut all = 0;
                let cumulative = bounds.zip(&buckets.counts).map(|(bound, count)| {
                    all += count;
                    (bound, all)
                });
                family.buckets(labels, cumulative, Shown(buckets.sum));
            }
        }
    }

    /// Its kind as backends know it.
    fn kind(&self) -> &'static str {
        match self {
            Value::Counter(_) => "TRITONSERVER_METRIC_KIND_COUNTER",
            Value::Gauge(_) => "TRITONSERVER_METRIC_KIND_GAUGE",
            Value::Histogram(_) => "TRITONSERVER_METRIC_KIND_HISTOGRAM",
        }
    }

    fn lacks(&self, operation: &str) -> MetricFault {
        MetricFault::unsupported(format!("{} does not support {operation}", self.kind()))
    }
}

impl Buckets {
    /// Empty buckets. A last bound of infinity is that of the bucket without one.
    fn new(family: &str, bounds: &[f64]) -> Result<Buckets, MetricFault> {
        let bounds = bounds.strip_suffix(&[f64::INFINITY]).unwrap_or(bounds);
        if !bounds.iter().all(|bound| bound.is_finite()) || !bounds.is_sorted_by(|a, b| a < b) {
            return Err(MetricFault::invalid(format!(
                "metric family '{family}': the bounds of a histogram's buckets are finite and ascend"
            )));
        }
        Ok(Buckets { bounds: bounds.into(), counts: vec![0; bounds.len() + 1].into(), sum: 0.0 })
    }

    fn observe(&mut self, value: f64) {
        self.counts[self.bounds.partition_point(|&bound| bound < value)] += 1;
        self.sum += value;
    }
}

fn lock(buckets: &Mutex<Buckets>) -> std::sync::MutexGuard<'_, Buckets> {
    buckets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number as Prometheus reads it, in few characters.
struct Shown(f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        if number.is_infinite() {
            f.write_str(if number > 0.0 { "+Inf" } else { "-Inf" })
        } else if number == 0.0 || number.is_nan() || (1e-6..1e17).contains(&number.abs()) {
            write!(f, "{number}")
        } else {
            write!(f, "{number:e}")
        }
    }
}

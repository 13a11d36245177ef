//! The results of a run, and their forms.

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod svg;
pub(crate) mod table;
mod time;

use std::sync::Arc;

use hippocamp_client::{Tensor, dims};

use crate::args::BenchArgs;
use crate::plan::Plan;
use crate::point::Point;

/// The results of all levels.
#[derive(Debug)]
pub struct Report {
    pub(crate) model: String,
    pub(crate) version: Option<String>,
    pub(crate) batch: i64,
    /// What was measured, in the order of the points.
    pub(crate) plans: Vec<Arc<Plan>>,
    pub(crate) points: Vec<Point>,
    /// What failed after something was measured: further levels, or files that could not be written.
    pub(crate) failures: Vec<String>,
}

/// The quantiles that are reported, and their names.
pub(crate) const QUANTILES: [(f64, &str); 5] =
    [(0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99"), (0.999, "p99.9")];

impl Report {
    pub(crate) fn new(args: &BenchArgs) -> Report {
        Report {
            model: args.model().to_owned(),
            version: args.model_version.clone(),
            batch: args.batch,
            plans: Vec::new(),
            points: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// The next points are those of a plan.
    pub(crate) fn begin(&mut self, plan: &Arc<Plan>) {
        self.plans.push(Arc::clone(plan));
    }

    /// The inputs that were sent.
    pub(crate) fn inputs(&self) -> &[Tensor] {
        self.plans.first().map_or(&[], |plan| &plan.encoder.request.inputs)
    }

    /// What was asked where, for people.
    pub(crate) fn subject(&self) -> String {
        let input = |tensor: &Tensor| format!("{} {} {}", tensor.name, tensor.data_type, dims(&tensor.shape));
        let inputs: Vec<String> = self.inputs().iter().map(input).collect();
        let place = |plan: &Arc<Plan>| format!("{} at {}", plan.transport.title(), plan.encoder.authority);
        let places: Vec<String> = self.plans.iter().map(place).collect();
        format!("{}; inputs {}", places.join(", "), inputs.join(", "))
    }

    /// Whether a request failed or could not be sent, a level could not be measured, or a file could not be written.
    pub fn has_failures(&self) -> bool {
        !self.failures.is_empty()
            || self.points.iter().any(|point| point.record.failed() > 0 || point.gave_up.is_some())
    }

    /// The results as a table for people.
    pub fn table(&self) -> String {
        table::render(self)
    }
}

/// Nanoseconds as microseconds.
pub(crate) fn micros(nanos: f64) -> f64 {
    nanos / 1000.0
}

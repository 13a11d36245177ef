//! What is wrong with a call about a metric.

use std::fmt;

/// Why a call about a custom metric failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricFault {
    kind: MetricFaultKind,
    message: String,
}

/// The kinds of faults, as callers tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricFaultKind {
    /// An argument is not valid.
    Invalid,
    /// Metrics of this kind have no such operation.
    Unsupported,
    /// There are too many metrics.
    Full,
}

impl MetricFault {
    pub(super) fn invalid(message: String) -> MetricFault {
        MetricFault { kind: MetricFaultKind::Invalid, message }
    }

    pub(super) fn unsupported(message: String) -> MetricFault {
        MetricFault { kind: MetricFaultKind::Unsupported, message }
    }

    pub(super) fn full(message: String) -> MetricFault {
        MetricFault { kind: MetricFaultKind::Full, message }
    }

    pub fn kind(&self) -> MetricFaultKind {
        self.kind
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for MetricFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for MetricFault {}

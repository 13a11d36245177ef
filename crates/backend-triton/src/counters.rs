//! What Triton's backends leave behind, on the page of metrics.

use hippocamp_metrics::{Kind, Page};

use crate::host::left_alone;
use crate::response::handles_left;

/// Writes the families of this crate to the page of metrics.
pub fn write_metrics(page: &mut Page) {
    let help = "Calls of the Python backend that wait without an end, as a process has ended; each holds a thread and a region";
    page.family("nv_backend_calls_left_alone", help, Kind::Gauge).sample(&[], left_alone());
    let help =
        "Requests, factories and responses that backends had not given back when an instance was finalized";
    page.family("nv_backend_handles_left", help, Kind::Counter).sample(&[], handles_left());
}

//! Histograms of versions.

use hippocamp_metrics::{Histogram, Kind, Page, SizeHistogram};
use hippocamp_statistics::Counters;

use super::{Seen, whole};
use crate::Histograms;

/// A histogram of a version: name, help, and how to read it.
type Durations = (&'static str, &'static str, fn(&Counters) -> &Histogram);

const DURATIONS: [Durations; 3] = [
    (
        "nv_inference_request_histogram_us",
        "Duration of successful inference requests in microseconds, from arrival to last response",
        |c| &c.request_durations,
    ),
    ("nv_inference_queue_histogram_us", "Time that requests waited for an instance in microseconds", |c| {
        &c.queue_durations
    }),
    (
        "nv_inference_compute_infer_histogram_us",
        "Time that the model itself ran for a request in microseconds",
        |c| &c.compute_infer_durations,
    ),
];

impl Histograms {
    fn has(self, count: u64) -> bool {
        match self {
            Histograms::Used => count > 0,
            Histograms::All => true,
            Histograms::Off => false,
        }
    }
}

pub(super) fn write(page: &mut Page, wanted: Histograms, versions: &[Seen]) {
    for (name, help, read) in DURATIONS {
        let mut family = page.family(name, help, Kind::Histogram);
        for version in versions {
            let durations = read(&version.counters);
            if wanted.has(durations.count()) {
                family.histogram(version.series(), durations);
            }
        }
    }
    let help = "Batch entries of each execution";
    let mut family = page.family("nv_inference_batch_size_histogram", help, Kind::Histogram);
    for version in versions {
        let sizes = batch_sizes(&version.counters);
        if wanted.has(sizes.count()) {
            family.sizes(version.series(), &sizes);
        }
    }
    let help = "Number of requests that were waiting for an instance when a request came";
    let mut family = page.family("nv_inference_queue_depth_histogram", help, Kind::Histogram);
    for version in whole(versions) {
        let depths = version.model.queue_depths();
        if wanted.has(depths.count()) {
            family.sizes(version.series(), &depths);
        }
    }
}

fn batch_sizes(counters: &Counters) -> SizeHistogram {
    let mut sizes = SizeHistogram::default();
    for (size, phases) in &counters.batches {
        sizes.observe_many(*size, phases.compute_infer.count);
    }
    sizes
}

pub(super) fn first_responses(page: &mut Page, versions: &[Seen]) {
    let help = "Duration from request to first response in milliseconds";
    let mut family = page.family("nv_inference_first_response_histogram_ms", help, Kind::Histogram);
    for version in whole(versions) {
        if let Some(durations) = version.model.statistics.first_responses() {
            family.bounded(version.series(), &durations);
        }
    }
}

//! Summaries of durations: quantiles of the last minute.

use hippocamp_metrics::{Kind, Page};
use hippocamp_statistics::{Latency, LatencySummary};

use super::{Seen, whole};

const SUMMARIES: [(Latency, &str, &str); Latency::ALL.len()] = [
    (
        Latency::Request,
        "nv_inference_request_summary_us",
        "Summary of inference request duration in microseconds (includes cached requests)",
    ),
    (
        Latency::Queue,
        "nv_inference_queue_summary_us",
        "Summary of inference queuing duration in microseconds (includes cached requests)",
    ),
    (
        Latency::ComputeInput,
        "nv_inference_compute_input_summary_us",
        "Summary of compute input duration in microseconds (does not include cached requests)",
    ),
    (
        Latency::ComputeInfer,
        "nv_inference_compute_infer_summary_us",
        "Summary of compute inference duration in microseconds (does not include cached requests)",
    ),
    (
        Latency::ComputeOutput,
        "nv_inference_compute_output_summary_us",
        "Summary of inference compute output duration in microseconds (does not include cached requests)",
    ),
    (
        Latency::CacheHit,
        "nv_cache_hit_summary_per_model",
        "Summary of cache hit duration per model, in microseconds",
    ),
    (
        Latency::CacheMiss,
        "nv_cache_miss_summary_per_model",
        "Summary of cache miss duration per model, in microseconds",
    ),
];

pub(super) fn write(page: &mut Page, quantiles: &[f64], versions: &[Seen]) {
    let kept: Vec<(&Seen, Vec<LatencySummary>)> = whole(versions)
        .map(|version| (version, version.model.statistics.latency_summaries(quantiles)))
        .collect();
    for (latency, name, help) in SUMMARIES {
        let mut family = page.family(name, help, Kind::Summary);
        for (version, summaries) in &kept {
            if !is_told(latency, version.model.cache.is_some()) {
                continue;
            }
            let Some(summary) = summaries.iter().find(|summary| summary.latency == latency) else { continue };
            let values = quantiles.iter().copied().zip(summary.quantiles.iter().copied());
            family.summary(version.series(), values, summary.sum_us, summary.count);
        }
    }
}

/// With the response cache requests are told by whether it had them, as in Triton.
fn is_told(latency: Latency, is_cached: bool) -> bool {
    match latency {
        Latency::Request => !is_cached,
        Latency::CacheHit | Latency::CacheMiss => is_cached,
        Latency::Queue | Latency::ComputeInput | Latency::ComputeInfer | Latency::ComputeOutput => true,
    }
}

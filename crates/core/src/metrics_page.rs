//! The page for Prometheus: Triton's names and labels, and histograms beside them.

use hippocamp_backend::{Counters, FailureReason};
use hippocamp_metrics::{CpuTimes, Histogram, HostMemory, Kind, Page, SizeHistogram};

use crate::{InferenceServer, VersionStatistics};

/// A counter of a version: name, help, and how to read it.
type Counter = (&'static str, &'static str, fn(&Counters) -> u64);

const COUNTERS: [Counter; 8] = [
    ("nv_inference_request_success", "Number of successful inference requests, all batch sizes", |c| {
        c.success.count
    }),
    ("nv_inference_count", "Number of inferences performed (does not include cached requests)", |c| {
        c.inference_count
    }),
    (
        "nv_inference_exec_count",
        "Number of model executions performed (does not include cached requests)",
        |c| c.execution_count,
    ),
    (
        "nv_inference_request_duration_us",
        "Cumulative inference request duration in microseconds (includes cached requests)",
        |c| c.success.ns / 1_000,
    ),
    (
        "nv_inference_queue_duration_us",
        "Cumulative inference queuing duration in microseconds (includes cached requests)",
        |c| c.queue.ns / 1_000,
    ),
    (
        "nv_inference_compute_input_duration_us",
        "Cumulative compute input duration in microseconds (does not include cached requests)",
        |c| c.phases.compute_input.ns / 1_000,
    ),
    (
        "nv_inference_compute_infer_duration_us",
        "Cumulative compute inference duration in microseconds (does not include cached requests)",
        |c| c.phases.compute_infer.ns / 1_000,
    ),
    (
        "nv_inference_compute_output_duration_us",
        "Cumulative inference compute output duration in microseconds (does not include cached requests)",
        |c| c.phases.compute_output.ns / 1_000,
    ),
];

/// Of versions whose responses are cached.
const CACHE_COUNTERS: [Counter; 4] = [
    ("nv_cache_num_hits_per_model", "Number of cache hits per model", |c| c.cache_hit.count),
    ("nv_cache_num_misses_per_model", "Number of cache misses per model", |c| c.cache_miss.count),
    ("nv_cache_hit_duration_per_model", "Total cache hit duration per model, in microseconds", |c| {
        c.cache_hit.ns / 1_000
    }),
    ("nv_cache_miss_duration_per_model", "Total cache miss duration per model, in microseconds", |c| {
        c.cache_miss.ns / 1_000
    }),
];

/// A histogram of a version: name, help, and how to read it.
type Durations = (&'static str, &'static str, fn(&Counters) -> &Histogram);

const HISTOGRAMS: [Durations; 3] = [
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

impl InferenceServer {
    /// Everything that can be scraped, in the text format of Prometheus.
    pub fn metrics_page(&self) -> String {
        let mut page = Page::default();
        let statistics = self.statistics("", None).unwrap_or_default();
        for (name, help, read) in COUNTERS {
            let mut family = page.family(name, help, Kind::Counter);
            for version in &statistics {
                family.sample(&labels(version), read(&version.counters));
            }
        }
        failures(&mut page, &statistics);
        cache(&mut page, &statistics);
        for (name, help, read) in HISTOGRAMS {
            let mut family = page.family(name, help, Kind::Histogram);
            for version in &statistics {
                family.histogram(&labels(version), read(&version.counters));
            }
        }
        batch_sizes(&mut page, &statistics);
        self.queues(&mut page);
        self.loads(&mut page);
        self.standby_metrics(&mut page);
        self.host(&mut page);
        page.into_text()
    }

    /// What waits now, and what waited when each request came.
    fn queues(&self, page: &mut Page) {
        let models = self.routes.all();
        let help = "Instantaneous number of pending requests awaiting execution per-model.";
        let mut family = page.family("nv_inference_pending_request_count", help, Kind::Gauge);
        for model in &models {
            family.sample(&[("model", &*model.name), ("version", &*model.version_text)], model.pending());
        }
        let help = "Number of requests that were waiting for an instance when a request came";
        let mut family = page.family("nv_inference_queue_depth_histogram", help, Kind::Histogram);
        for model in &models {
            let labels = [("model", &*model.name), ("version", &*model.version_text)];
            family.sizes(&labels, &model.queue_depths());
        }
    }

    fn loads(&self, page: &mut Page) {
        let counted: Vec<_> =
            self.models.lock().entries.iter().map(|(name, entry)| (name.clone(), entry.loads)).collect();
        let help = "Number of times that a model was loaded, or loaded again";
        let mut family = page.family("nv_model_load_success", help, Kind::Counter);
        for (name, loads) in &counted {
            family.sample(&[("model", name)], loads.succeeded);
        }
        let help = "Number of times that loading a model failed; what served before goes on";
        let mut family = page.family("nv_model_load_failure", help, Kind::Counter);
        for (name, loads) in &counted {
            family.sample(&[("model", name)], loads.failed);
        }
    }

    /// What cannot be read on this machine is left out.
    fn host(&self, page: &mut Page) {
        if let Some(now) = CpuTimes::now() {
            let mut last = self.cpu_times.lock();
            let utilization = last.map_or(0.0, |earlier| now.utilization_since(earlier));
            *last = Some(now);
            let help = "CPU utilization rate [0.0 - 1.0], since the last scrape";
            page.family("nv_cpu_utilization", help, Kind::Gauge).sample(&[], format!("{utilization:.4}"));
        }
        if let Some(memory) = HostMemory::now() {
            let help = "CPU total memory (RAM), in bytes";
            page.family("nv_cpu_memory_total_bytes", help, Kind::Gauge).sample(&[], memory.total);
            let help = "CPU used memory (RAM), in bytes";
            page.family("nv_cpu_memory_used_bytes", help, Kind::Gauge).sample(&[], memory.used);
        }
    }
}

fn batch_sizes(page: &mut Page, statistics: &[VersionStatistics]) {
    let help = "Batch entries of each execution";
    let mut family = page.family("nv_inference_batch_size_histogram", help, Kind::Histogram);
    for version in statistics {
        let mut sizes = SizeHistogram::default();
        for (size, phases) in &version.counters.batches {
            sizes.observe_many(*size, phases.compute_infer.count);
        }
        family.sizes(&labels(version), &sizes);
    }
}

fn failures(page: &mut Page, statistics: &[VersionStatistics]) {
    let help = "Number of failed inference requests, all batch sizes";
    let mut family = page.family("nv_inference_request_failure", help, Kind::Counter);
    for version in statistics {
        for reason in FailureReason::ALL {
            let [model, number] = labels(version);
            let count = version.counters.failures[reason as usize];
            family.sample(&[model, ("reason", reason.name()), number], count);
        }
    }
}

fn cache(page: &mut Page, statistics: &[VersionStatistics]) {
    if !statistics.iter().any(|version| version.is_cached) {
        return;
    }
    for (name, help, read) in CACHE_COUNTERS {
        let mut family = page.family(name, help, Kind::Counter);
        for version in statistics.iter().filter(|version| version.is_cached) {
            family.sample(&labels(version), read(&version.counters));
        }
    }
}

fn labels(version: &VersionStatistics) -> [(&'static str, &str); 2] {
    [("model", &version.name), ("version", &version.version)]
}

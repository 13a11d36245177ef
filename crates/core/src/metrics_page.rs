//! The Prometheus page: Triton's metrics with their names and labels, and further histograms.

mod gpus;
mod histograms;
mod host;
mod sources;
mod summaries;

use std::sync::Arc;

use hippocamp_backend::FailureReason;
use hippocamp_metrics::{CustomMetrics, Kind, Page, Series};
use hippocamp_statistics::Counters;

pub(crate) use gpus::Gpus;
pub(crate) use host::Processors;
pub(crate) use sources::Sources;

use crate::{InferenceServer, LoadedModel};

/// A counter of a version: name, help, and how to read it.
type Counter = (&'static str, &'static str, fn(&Counters) -> u64);

const COUNTERS: [Counter; 3] = [
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
];

/// The counters of durations, which are shown with `counter_latencies`.
const DURATIONS: [Counter; 5] = [
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

/// The counters of the response cache, for versions that use it.
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

/// A version and its counters at the time of the scrape: all, or those of one of its GPUs.
struct Seen {
    model: Arc<LoadedModel>,
    counters: Counters,
    /// Which of the model's GPUs it is, if these are counted apart.
    gpu: Option<usize>,
}

impl Seen {
    /// A version; of one whose GPUs are counted apart, what was executed on none, and each GPU.
    fn of(model: Arc<LoadedModel>) -> Vec<Seen> {
        if model.series_by_gpu.is_empty() {
            return vec![Seen { counters: model.statistics.snapshot(), model, gpu: None }];
        }
        let gpus: Vec<i32> = model.series_by_gpu.iter().map(|(gpu, _)| *gpu).collect();
        let (elsewhere, on_gpus) = model.statistics.snapshot_by_gpu(&gpus);
        let on_gpus = on_gpus.into_iter().enumerate();
        let elsewhere = Seen { model: Arc::clone(&model), counters: elsewhere, gpu: None };
        let on_gpus =
            on_gpus.map(|(index, counters)| Seen { model: Arc::clone(&model), counters, gpu: Some(index) });
        std::iter::once(elsewhere).chain(on_gpus).collect()
    }

    fn series(&self) -> &Series {
        let of_gpu = self.gpu.and_then(|index| self.model.series_by_gpu.get(index));
        of_gpu.map_or(&self.model.series, |(_, series)| series)
    }
}

/// Those that stand for a whole version: what queues and summaries are written of.
fn whole(versions: &[Seen]) -> impl Iterator<Item = &Seen> {
    versions.iter().filter(|version| version.gpu.is_none())
}

impl InferenceServer {
    /// All metrics in the text format of Prometheus. With thousands of models this takes milliseconds, so it should not run
    /// on a thread that serves requests.
    pub fn metrics(&self) -> Page {
        let settings = &self.settings().metrics;
        let models = self.lifecycle.routes().all().into_iter();
        let versions: Vec<Seen> = models.flat_map(Seen::of).collect();
        let mut page = Page::default();
        let all: Vec<&Seen> = versions.iter().collect();
        counters(&mut page, &COUNTERS, &all);
        failures(&mut page, &versions);
        if settings.counter_latencies {
            let cached: Vec<&Seen> = whole(&versions).filter(|v| v.model.cache.is_some()).collect();
            counters(&mut page, &DURATIONS, &all);
            counters(&mut page, &CACHE_COUNTERS, &cached);
        }
        pending(&mut page, &versions);
        lost_instances(&mut page, &versions);
        histograms::write(&mut page, settings.histograms, &versions);
        if settings.histogram_latencies {
            histograms::first_responses(&mut page, &versions);
        }
        if settings.summary_latencies {
            summaries::write(&mut page, &settings.summary_quantiles, &versions);
        }
        self.loads(&mut page);
        if let Some(lazy) = &self.lazy {
            lazy.write_metrics(&mut page);
        }
        if settings.cpu {
            self.processors_and_memory(&mut page);
        }
        if settings.gpu {
            self.gpus.lock().write(&mut page, &self.settings().devices, settings.interval);
        }
        gpus::write_use(&mut page, &self.settings().devices);
        self.metrics_sources.write(&mut page);
        // The last, as it leaves out what is there.
        CustomMetrics::of_process().write(&mut page);
        page
    }

    /// As [`InferenceServer::metrics`], as one string.
    pub fn metrics_page(&self) -> String {
        self.metrics().into_text()
    }

    /// Registers a source that writes metric families of its own to the page at each scrape.
    pub fn add_metrics(&self, source: impl Fn(&mut Page) + Send + Sync + 'static) {
        self.metrics_sources.add(source);
    }

    fn loads(&self, page: &mut Page) {
        let counted = self.lifecycle.load_counts();
        let help = "Number of times that a model was loaded, or loaded again";
        let mut family = page.family("nv_model_load_success", help, Kind::Counter);
        for (name, loads) in &counted {
            family.sample(&[("model", name.as_str())], loads.succeeded);
        }
        let help = "Number of times that loading a model failed; what served before goes on";
        let mut family = page.family("nv_model_load_failure", help, Kind::Counter);
        for (name, loads) in &counted {
            family.sample(&[("model", name.as_str())], loads.failed);
        }
    }
}

fn counters(page: &mut Page, counters: &[Counter], versions: &[&Seen]) {
    for &(name, help, read) in counters {
        let mut family = page.family(name, help, Kind::Counter);
        for version in versions {
            family.sample(version.series(), read(&version.counters));
        }
    }
}

/// Writes the failure counters. Every reason is listed from the start with 0, so that a rate includes the first failure.
fn failures(page: &mut Page, versions: &[Seen]) {
    let help = "Number of failed inference requests, all batch sizes";
    let mut family = page.family("nv_inference_request_failure", help, Kind::Counter);
    for version in versions {
        for reason in FailureReason::ALL {
            let series = version.series().with("reason", reason.name());
            family.sample(&series, version.counters.failures[reason as usize]);
        }
    }
}

/// Writes the number of instances that are lost.
fn lost_instances(page: &mut Page, versions: &[Seen]) {
    let help =
        "Number of instances that were lost, such as by the end of a process, and are not made anew yet";
    let mut family = page.family("nv_model_instances_lost", help, Kind::Gauge);
    for version in whole(versions) {
        family.sample(version.series(), version.model.lost_instances());
    }
}

/// Writes the number of requests that wait in each queue.
fn pending(page: &mut Page, versions: &[Seen]) {
    let help = "Instantaneous number of pending requests awaiting execution per-model.";
    let mut family = page.family("nv_inference_pending_request_count", help, Kind::Gauge);
    for version in whole(versions) {
        family.sample(version.series(), version.model.pending());
    }
}

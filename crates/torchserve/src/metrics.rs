//! The page of metrics in TorchServe's names.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use hippocamp_machine::{CpuTimes, HostMemory};

use crate::TorchServe;

const MB: f64 = 1_048_576.0;
const GB: f64 = 1_073_741_824.0;

/// Labels and value of a sample.
type Sample = (String, f64);

struct Page<'a> {
    text: String,
    wanted: &'a [String],
}

impl Page<'_> {
    fn family(&mut self, name: &str, kind: &str, unit: &str, samples: &[Sample]) {
        if !self.wanted.is_empty() && !self.wanted.iter().any(|wanted| wanted == name) {
            return;
        }
        let text = &mut self.text;
        let mut written = writeln!(
            text,
            "# HELP {name} Torchserve prometheus {kind} metric with unit: {unit}\n# TYPE {name} {kind}"
        );
        for (labels, value) in samples {
            // As TorchServe writes it: a comma behind the last label, and a decimal point in each number.
            written = written.and_then(|()| writeln!(text, "{name}{{{labels}}} {value:?}"));
        }
        debug_assert!(written.is_ok(), "a string takes all that is written to it");
    }
}

impl TorchServe {
    /// The page; with names, only the families of these.
    pub fn metrics(&self, wanted: &[String]) -> String {
        let mut page = Page { text: String::new(), wanted };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host = label(&host);
        let of_host = format!("Level=\"Host\",Hostname=\"{host}\",");
        let counters = &self.counters;
        for (name, counter) in [
            ("Requests2XX", &counters.successes),
            ("Requests4XX", &counters.client_errors),
            ("Requests5XX", &counters.server_errors),
        ] {
            page.family(name, "counter", "Count", &[(of_host.clone(), counter.load(Relaxed) as f64)]);
        }
        let models = counters.models();
        let each = |value: &dyn Fn(usize) -> f64| -> Vec<Sample> {
            let labels = |index: usize| {
                let (model, version) = &models[index].0;
                let (model, version) = (label(model), label(version));
                format!("model_name=\"{model}\",model_version=\"{version}\",hostname=\"{host}\",")
            };
            (0..models.len()).map(|index| (labels(index), value(index))).collect()
        };
        let requests = each(&|index| models[index].1.requests.load(Relaxed) as f64);
        page.family("ts_inference_requests_total", "counter", "Count", &requests);
        let latency = each(&|index| models[index].1.latency_us.load(Relaxed) as f64);
        page.family("ts_inference_latency_microseconds", "counter", "Microseconds", &latency);
        let queues = each(&|index| models[index].1.waited_ns.load(Relaxed) as f64 / 1000.0);
        page.family("ts_queue_latency_microseconds", "counter", "Microseconds", &queues);
        self.handlers(&mut page, &host);
        system(&mut page, &of_host, self.processors);
        page.text
    }

    /// The times of the last predictions.
    fn handlers(&self, page: &mut Page<'_>, host: &str) {
        let models = self.counters.models();
        // The labels do not have the version, of which a model may have several: the longest of their times.
        let mut longest: BTreeMap<&str, u64> = BTreeMap::new();
        for ((model, _), counters) in &models {
            let longest = longest.entry(model).or_default();
            *longest = (*longest).max(counters.last_us.load(Relaxed));
        }
        let last: Vec<Sample> = longest
            .into_iter()
            .map(|(model, us)| {
                let labels = format!("ModelName=\"{}\",Level=\"Model\",Hostname=\"{host}\",", label(model));
                (labels, us as f64 / 1000.0)
            })
            .collect();
        page.family("PredictionTime", "gauge", "ms", &last);
        page.family("HandlerTime", "gauge", "ms", &last);
    }
}

/// How busy the machine is, its processors since the start.
fn system(page: &mut Page<'_>, labels: &str, begun: Option<CpuTimes>) {
    let one = |value: f64| [(labels.to_owned(), value)];
    if let (Some(now), Some(begun)) = (CpuTimes::now(), begun) {
        let busy = now.utilization_since(begun) * 100.0;
        page.family("CPUUtilization", "gauge", "Percent", &one(busy));
    }
    if let Some(HostMemory { total, used }) = HostMemory::now() {
        let (total, used) = (total as f64, used as f64);
        page.family("MemoryUsed", "gauge", "Megabytes", &one(used / MB));
        page.family("MemoryAvailable", "gauge", "Megabytes", &one((total - used) / MB));
        page.family("MemoryUtilization", "gauge", "Percent", &one(100.0 * used / total.max(1.0)));
    }
    if let Ok(disk) = rustix::fs::statvfs("/") {
        let (all, free) = ((disk.f_blocks * disk.f_frsize) as f64, (disk.f_bavail * disk.f_frsize) as f64);
        page.family("DiskUsage", "gauge", "Gigabytes", &one((all - free) / GB));
        page.family("DiskAvailable", "gauge", "Gigabytes", &one(free / GB));
        page.family("DiskUtilization", "gauge", "Percent", &one(100.0 * (all - free) / all.max(1.0)));
    }
}

/// A label's value, escaped.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

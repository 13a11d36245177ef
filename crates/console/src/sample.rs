//! Takes samples: what the counters of each model say, less what they said before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hippocamp_core::{InferenceServer, LoadedModel};
use hippocamp_machine::Processors;
use hippocamp_statistics::{Counters, ModelStatistics};

use crate::gpus;
use crate::history::{ModelSample, Sample};
use crate::host::Host;
use crate::percentiles;

/// Remembers what the last sample saw.
#[derive(Debug)]
pub(crate) struct Sampler {
    at: Instant,
    processors: Option<Processors>,
    versions: BTreeMap<(Arc<str>, u64), Seen>,
}

/// The counters of a version at the last sample in which they had changed.
#[derive(Debug)]
struct Seen {
    /// Whose they are: a version that is loaded anew begins at zero.
    statistics: Arc<ModelStatistics>,
    events: u64,
    counters: Counters,
}

impl Sampler {
    pub(crate) fn new(server: &InferenceServer) -> Sampler {
        let mut sampler = Sampler { at: Instant::now(), processors: None, versions: BTreeMap::new() };
        drop(sampler.take(server));
        sampler
    }

    pub(crate) fn take(&mut self, server: &InferenceServer) -> Sample {
        let before = std::mem::replace(&mut self.at, Instant::now());
        let mut models: BTreeMap<Arc<str>, ModelSample> = BTreeMap::new();
        let serving = server.serving();
        for model in &serving {
            if let Some(seen) = self.version(model) {
                let name = &model.name;
                let all = models.entry(Arc::clone(name)).or_default();
                all.name = Arc::clone(name);
                add(all, &seen);
            }
        }
        if self.versions.len() > serving.len() {
            let is_served = |name: &Arc<str>, version: u64| {
                serving.iter().any(|model| model.name == *name && model.version == version)
            };
            self.versions.retain(|(name, version), _| is_served(name, *version));
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Sample {
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            seconds: self.at.duration_since(before).as_secs_f32(),
            host: Host::now(&mut self.processors),
            gpus: gpus::now(server),
            models: models.into_values().collect(),
        }
    }

    /// What a version did since the last sample, if it did anything.
    fn version(&mut self, model: &LoadedModel) -> Option<ModelSample> {
        let key = (Arc::clone(&model.name), model.version);
        let (pending, events) = (model.pending() as u32, model.statistics.events());
        let same = self.versions.get(&key).filter(|seen| Arc::ptr_eq(&seen.statistics, &model.statistics));
        let before = match same {
            Some(seen) if seen.events == events && pending == 0 => return None,
            None if events == 0 && pending == 0 => return None,
            Some(seen) => seen.counters.clone(),
            None => Counters::default(),
        };
        let counters = model.statistics.snapshot();
        let sample = ModelSample { pending, ..difference(&before, &counters) };
        let statistics = Arc::clone(&model.statistics);
        self.versions.insert(key, Seen { statistics, events, counters });
        Some(sample)
    }
}

fn less(now: u64, before: u64) -> u32 {
    u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX)
}

fn difference(before: &Counters, now: &Counters) -> ModelSample {
    let mut failed = [0; 4];
    for ((failed, now), before) in failed.iter_mut().zip(now.failures).zip(before.failures) {
        *failed = less(now, before);
    }
    let executions = |counters: &Counters, size: u64| {
        counters.batches.get(&size).map_or(0, |phases| phases.compute_infer.count)
    };
    let batches = now.batches.keys().map(|size| {
        (u32::try_from(*size).unwrap_or(u32::MAX), less(executions(now, *size), executions(before, *size)))
    });
    let spent = |of: fn(&Counters) -> u64| of(now).saturating_sub(of(before)) / 1_000;
    ModelSample {
        succeeded: less(now.success.count, before.success.count),
        failed,
        cached: less(now.cache_hit.count, before.cache_hit.count),
        inferences: less(now.inference_count, before.inference_count),
        executions: less(now.execution_count, before.execution_count),
        request: percentiles::since(&before.request_durations, &now.request_durations),
        queue: percentiles::since(&before.queue_durations, &now.queue_durations),
        compute: percentiles::since(&before.compute_infer_durations, &now.compute_infer_durations),
        spent_us: [
            spent(|counters| counters.queue.ns),
            spent(|counters| counters.phases.compute_input.ns),
            spent(|counters| counters.phases.compute_infer.ns),
            spent(|counters| counters.phases.compute_output.ns),
        ],
        batches: batches.filter(|(_, count)| *count > 0).collect(),
        ..ModelSample::default()
    }
}

/// Adds a version to those of its model. Of percentiles the larger ones are taken, as those of both together are not known.
fn add(all: &mut ModelSample, one: &ModelSample) {
    all.succeeded += one.succeeded;
    all.cached += one.cached;
    all.inferences += one.inferences;
    all.executions += one.executions;
    all.pending += one.pending;
    all.failed.iter_mut().zip(one.failed).for_each(|(all, one)| *all += one);
    all.spent_us.iter_mut().zip(one.spent_us).for_each(|(all, one)| *all += one);
    for (all, one) in
        [(&mut all.request, one.request), (&mut all.queue, one.queue), (&mut all.compute, one.compute)]
    {
        all.iter_mut().zip(one).for_each(|(all, one)| *all = (*all).max(one));
    }
    let mut batches: BTreeMap<u32, u32> = all.batches.iter().copied().collect();
    for (size, count) in &one.batches {
        *batches.entry(*size).or_default() += count;
    }
    all.batches = batches.into_iter().collect();
}

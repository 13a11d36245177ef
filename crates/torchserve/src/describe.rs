//! What is said of models: lists and descriptions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hippocamp_archive_repository::Registration;
use hippocamp_core::LoadedModel;
use hippocamp_proto::inference::model_config::SchedulingChoice;
use serde::Serialize;

use crate::failure::pretty;
use crate::{Failure, TorchServe};

/// The most models of a page.
const PAGE: usize = 100;

/// The first of the numbers that workers are called by.
const FIRST_WORKER: u32 = 9000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
    models: Vec<Line>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    model_name: String,
    model_url: String,
}

/// In the order of TorchServe's own answer.
#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a member of the answer")]
#[serde(rename_all = "camelCase")]
struct Description {
    model_name: String,
    model_version: String,
    model_url: String,
    runtime: String,
    min_workers: u32,
    max_workers: u32,
    batch_size: u32,
    max_batch_delay: u32,
    response_timeout: u32,
    startup_timeout: u32,
    max_retry_timeout_in_sec: u32,
    client_timeout_in_mills: u32,
    parallel_type: &'static str,
    parallel_level: u32,
    device_type: &'static str,
    continuous_batching: bool,
    use_job_ticket: bool,
    use_venv: bool,
    stateful: bool,
    sequence_max_idle_m_sec: u32,
    sequence_timeout_m_sec: u32,
    max_num_sequence: u32,
    max_sequence_job_queue_size: u32,
    loaded_at_startup: bool,
    workers: Vec<Worker>,
    job_queue_status: Queue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    id: String,
    start_time: String,
    status: &'static str,
    memory_usage: u64,
    pid: u32,
    gpu: bool,
    gpu_usage: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Queue {
    remaining_capacity: u32,
    pending_requests: u32,
}

impl TorchServe {
    /// A page of the models, as JSON: `limit` of them from `offset` on.
    pub async fn list(self: &Arc<Self>, limit: Option<i64>, offset: usize) -> String {
        self.refresh().await;
        let mut lines: Vec<Line> = Vec::new();
        for (name, versions) in &self.table.read().models {
            let default = self.default_version(name, versions);
            let found = versions.iter().find(|each| Some(&each.version) == default.as_ref());
            lines.extend(found.map(|each| Line { model_name: name.clone(), model_url: each.url.clone() }));
        }
        lines.extend(
            self.plain_models().into_iter().map(|name| Line { model_url: name.clone(), model_name: name }),
        );
        lines.sort_by(|a, b| a.model_name.cmp(&b.model_name));
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|&limit| limit <= PAGE)
            .unwrap_or(PAGE);
        let end = offset.saturating_add(limit);
        let next_page_token = (end <= lines.len() && offset <= lines.len()).then(|| end.to_string());
        let models = lines.into_iter().skip(offset).take(limit).collect();
        pretty(&Page { next_page_token, models })
    }

    /// A description of versions of a model, as JSON: of the given one, of all for `all`, or of the default one.
    pub async fn describe(self: &Arc<Self>, name: &str, version: Option<&str>) -> Result<String, Failure> {
        self.refresh().await;
        let registered = self.table.read().models.get(name).cloned();
        let descriptions: Vec<Description> = if let Some(versions) = &registered {
            let default = self.default_version(name, versions).unwrap_or_default();
            let wanted = version.unwrap_or(&default);
            let each = versions.iter().filter(|each| wanted == "all" || each.version == wanted);
            each.map(|each| self.description(each)).collect()
        } else {
            let versions = self.server.ready_versions(name);
            if versions.is_empty() {
                return Err(Failure::no_model(name));
            }
            let latest = versions.last().map(|model| model.version_text.to_string()).unwrap_or_default();
            let wanted = version.unwrap_or(&latest);
            let each = versions.iter().filter(|model| wanted == "all" || &*model.version_text == wanted);
            each.map(|model| plain_description(model)).collect()
        };
        if descriptions.is_empty() {
            return Err(Failure::no_version(name, version.unwrap_or_default()));
        }
        Ok(pretty(&descriptions))
    }

    /// The models that do not come from archives, and are no steps of one that does.
    pub(crate) fn plain_models(&self) -> BTreeSet<String> {
        let mut of_archives = BTreeSet::new();
        for registration in self.table.read().models.values().flatten() {
            of_archives.extend(registration.models.iter().cloned());
        }
        let states = self.server.model_states();
        let names = states.into_keys().filter(|name| !of_archives.contains(name));
        names.filter(|name| !self.server.ready_versions(name).is_empty()).collect()
    }

    fn description(&self, of: &Registration) -> Description {
        let network = self.server.ready_versions(&of.network);
        let serves = !self.server.ready_versions(&of.model).is_empty();
        let network = network.last().filter(|_| serves).map(|model| &**model);
        let wanted = of.workers.unwrap_or_else(|| network.map_or(0, instances));
        Description {
            model_name: of.name.clone(),
            model_version: of.version.clone(),
            model_url: of.url.clone(),
            runtime: of.runtime.clone(),
            batch_size: of.batch_size,
            max_batch_delay: of.max_batch_delay,
            loaded_at_startup: of.at_start,
            ..frame(wanted, network)
        }
    }
}

fn plain_description(model: &LoadedModel) -> Description {
    let delay_us = match &model.config.scheduling_choice {
        Some(SchedulingChoice::DynamicBatching(batching)) => batching.max_queue_delay_microseconds,
        _ => 0,
    };
    Description {
        model_name: model.name.to_string(),
        model_version: model.version_text.to_string(),
        model_url: model.name.to_string(),
        runtime: model.config.backend.clone(),
        batch_size: model.interface.max_batch_size.max(1),
        max_batch_delay: u32::try_from(delay_us / 1000).unwrap_or(u32::MAX),
        loaded_at_startup: true,
        ..frame(instances(model), Some(model))
    }
}

/// What is the same of all: with so many workers, and those of the model that serves.
fn frame(wanted: u32, model: Option<&LoadedModel>) -> Description {
    let gpu = model.is_some_and(is_on_gpu);
    let memory_usage = resident_bytes().unwrap_or(0);
    let worker = |(number, since): (u32, SystemTime)| Worker {
        id: (FIRST_WORKER + number).to_string(),
        start_time: timestamp(since),
        status: "READY",
        memory_usage,
        pid: std::process::id(),
        gpu,
        gpu_usage: "N/A",
    };
    Description {
        model_name: String::new(),
        model_version: String::new(),
        model_url: String::new(),
        runtime: String::new(),
        min_workers: wanted,
        max_workers: wanted,
        batch_size: 1,
        max_batch_delay: 0,
        response_timeout: 120,
        startup_timeout: 120,
        max_retry_timeout_in_sec: 300,
        client_timeout_in_mills: 0,
        parallel_type: "",
        parallel_level: 0,
        device_type: if gpu { "gpu" } else { "cpu" },
        continuous_batching: false,
        use_job_ticket: false,
        use_venv: false,
        stateful: false,
        sequence_max_idle_m_sec: 0,
        sequence_timeout_m_sec: 0,
        max_num_sequence: 0,
        max_sequence_job_queue_size: 0,
        loaded_at_startup: false,
        workers: (0..)
            .zip(model.into_iter().flat_map(|model| model.ready_since.iter().copied()))
            .map(worker)
            .collect(),
        job_queue_status: Queue { remaining_capacity: 100, pending_requests: 0 },
    }
}

/// The number of instances of a model.
fn instances(model: &LoadedModel) -> u32 {
    u32::try_from(model.ready_since.len()).unwrap_or(u32::MAX)
}

fn is_on_gpu(model: &LoadedModel) -> bool {
    model.config.instance_group.iter().any(|group| !group.gpus.is_empty())
}

/// The memory of this process in bytes, which all instances share.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// A time as `2026-11-21T19:20:26.680Z`.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = ((since.as_secs() / 86400) as i64, since.as_secs() % 86400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis()
    )
}

/// The date so many days after 1970-01-01: years are counted from March, so that the leap day is their last.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696, "2000-02-29T12:34:56.000Z"),
            (1_795_952_426, "2026-11-29T11:40:26.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}

//! The statistics extension. Every key is there, whatever its value: clients read them unchecked.

use hippocamp_access::Grant;
use hippocamp_core::{InferenceServer, VersionStatistics};
use hippocamp_statistics::{Counted, Phases, ResponseCounters};
use hyper::Response;

use crate::response::{self, ResponseBody};
use hippocamp_http_content::json::JsonWriter;

/// Of one version, of all of a model's, or of all models if the name is empty: of those that the client may read.
pub(crate) fn statistics(
    server: &InferenceServer,
    name: &str,
    version: Option<u64>,
    grant: &Grant,
) -> Response<ResponseBody> {
    match server.statistics(name, version) {
        Ok(mut all) => {
            if !grant.is_all() {
                all.retain(|version| grant.covers(&version.name));
            }
            response::json(written(&all))
        }
        Err(error) => response::error(&error),
    }
}

fn written(all: &[VersionStatistics]) -> Vec<u8> {
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("model_stats");
    writer.open_array();
    for version in all {
        one(&mut writer, version);
    }
    writer.close_array();
    writer.close_object();
    writer.into_bytes()
}

fn one(writer: &mut JsonWriter, version: &VersionStatistics) {
    let counters = &version.counters;
    writer.open_object();
    writer.name("name");
    writer.string(version.name.as_bytes());
    writer.name("version");
    writer.string(version.version.as_bytes());
    writer.name("last_inference");
    writer.integer(counters.last_inference_ms);
    writer.name("inference_count");
    writer.integer(counters.inference_count);
    writer.name("execution_count");
    writer.integer(counters.execution_count);
    writer.name("inference_stats");
    writer.open_object();
    counted(writer, "success", counters.success);
    counted(writer, "fail", counters.fail);
    counted(writer, "queue", counters.queue);
    phases(writer, &counters.phases);
    counted(writer, "cache_hit", counters.cache_hit);
    counted(writer, "cache_miss", counters.cache_miss);
    writer.close_object();
    writer.name("response_stats");
    writer.open_object();
    for (index, response) in counters.responses.iter().enumerate() {
        writer.name(&index.to_string());
        responses(writer, response);
    }
    writer.close_object();
    writer.name("batch_stats");
    writer.open_array();
    for (&size, times) in &counters.batches {
        writer.open_object();
        writer.name("batch_size");
        writer.integer(size);
        phases(writer, times);
        writer.close_object();
    }
    writer.close_array();
    writer.name("memory_usage");
    writer.open_array();
    writer.close_array();
    writer.close_object();
}

fn responses(writer: &mut JsonWriter, counters: &ResponseCounters) {
    writer.open_object();
    counted(writer, "compute_infer", counters.compute_infer);
    counted(writer, "compute_output", counters.compute_output);
    counted(writer, "success", counters.success);
    counted(writer, "fail", counters.fail);
    counted(writer, "empty_response", counters.empty_response);
    counted(writer, "cancel", counters.cancel);
    writer.close_object();
}

fn phases(writer: &mut JsonWriter, phases: &Phases) {
    counted(writer, "compute_input", phases.compute_input);
    counted(writer, "compute_infer", phases.compute_infer);
    counted(writer, "compute_output", phases.compute_output);
}

fn counted(writer: &mut JsonWriter, name: &str, counted: Counted) {
    writer.name(name);
    writer.open_object();
    writer.name("count");
    writer.integer(counted.count);
    writer.name("ns");
    writer.integer(counted.ns);
    writer.close_object();
}

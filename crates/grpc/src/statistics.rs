//! The statistics extension.

use hippocamp_access::Grant;
use hippocamp_backend::Result;
use hippocamp_core::{InferenceServer, VersionStatistics};
use hippocamp_proto::inference::{
    InferBatchStatistics, InferResponseStatistics, InferStatistics, ModelStatistics, ModelStatisticsRequest,
    ModelStatisticsResponse, StatisticDuration,
};
use hippocamp_statistics::{Counted, Phases, ResponseCounters};

use crate::status::version;

pub(crate) fn statistics(
    server: &InferenceServer,
    request: &ModelStatisticsRequest,
    grant: &Grant,
) -> Result<ModelStatisticsResponse> {
    let statistics = server.statistics(&request.name, version(&request.version)?)?;
    let shown = statistics.into_iter().filter(|version| grant.covers(&version.name));
    Ok(ModelStatisticsResponse { model_stats: shown.map(of_version).collect() })
}

fn of_version(statistics: VersionStatistics) -> ModelStatistics {
    let counters = statistics.counters;
    let Phases { compute_input, compute_infer, compute_output } = counters.phases;
    ModelStatistics {
        name: statistics.name.to_string(),
        version: statistics.version.to_string(),
        last_inference: counters.last_inference_ms,
        inference_count: counters.inference_count,
        execution_count: counters.execution_count,
        inference_stats: Some(InferStatistics {
            success: duration(counters.success),
            fail: duration(counters.fail),
            queue: duration(counters.queue),
            compute_input: duration(compute_input),
            compute_infer: duration(compute_infer),
            compute_output: duration(compute_output),
            cache_hit: duration(counters.cache_hit),
            cache_miss: duration(counters.cache_miss),
        }),
        response_stats: counters.responses.iter().enumerate().map(of_response).collect(),
        batch_stats: counters.batches.into_iter().map(|(size, phases)| of_batch(size, phases)).collect(),
        ..ModelStatistics::default()
    }
}

fn of_response((index, counters): (usize, &ResponseCounters)) -> (String, InferResponseStatistics) {
    let statistics = InferResponseStatistics {
        compute_infer: duration(counters.compute_infer),
        compute_output: duration(counters.compute_output),
        success: duration(counters.success),
        fail: duration(counters.fail),
        empty_response: duration(counters.empty_response),
        cancel: duration(counters.cancel),
    };
    (index.to_string(), statistics)
}

fn of_batch(batch_size: u64, phases: Phases) -> InferBatchStatistics {
    InferBatchStatistics {
        batch_size,
        compute_input: duration(phases.compute_input),
        compute_infer: duration(phases.compute_infer),
        compute_output: duration(phases.compute_output),
    }
}

/// Clients read every duration without asking whether it is there.
#[allow(clippy::unnecessary_wraps, reason = "the message has every sub-message optional")]
fn duration(counted: Counted) -> Option<StatisticDuration> {
    Some(StatisticDuration { count: counted.count, ns: counted.ns })
}

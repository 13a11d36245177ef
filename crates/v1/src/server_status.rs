//! The status of the server and its models.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_access::{Grant, Right};
use hippocamp_backend::{Error, Result};
use hippocamp_core::{LoadedModel, State, VersionState};
use hippocamp_net::off_thread;
use hippocamp_proto::v1;
use hippocamp_proto::v1::{ModelReadyState, ServerReadyState, StatDuration};
use hippocamp_statistics::{Counted, Counters, RequestCounters};

use crate::config::config;
use crate::guard::check_model;
use crate::{CallKind, V1};

impl V1 {
    /// The status of the server with one model, or with all of them if the name is empty: those that serve, that are being
    /// loaded or unloaded, that failed to load, and that were unloaded. Clients hear of the models that they may see, and of
    /// the statistics of those that they may read.
    pub async fn server_status(&self, name: &str, grant: &Grant) -> Result<v1::ServerStatus> {
        if !name.is_empty() {
            check_model(grant, name)?;
            // Clients ask for the status of a model before they send it a request, and need its config. If it cannot be
            // loaded, the states tell the reason.
            drop(self.server.model_or_load(name, None).await);
        }
        let server = Arc::clone(&self.server);
        // It may look at the disk.
        let states = off_thread(true, move || server.model_states()).await;
        let mut states =
            states.map_err(|e| Error::internal("the states could not be read").with_source(e))?;
        if !name.is_empty() {
            states.retain(|known, _| known == name);
            if states.is_empty() {
                return Err(Error::invalid_arg(format!("no status available for unknown model '{name}'")));
            }
        }
        states.retain(|known, _| grant.covers(known));
        let counted = grant.asking(Right::Read);
        let model_status = states.into_iter().map(|(name, versions)| {
            let of_model = self.model_status(&name, versions, counted.covers(&name));
            (name, of_model)
        });
        let success = |kind| Some(self.calls(kind));
        Ok(v1::ServerStatus {
            id: self.id.clone(),
            version: self.server.metadata().version.to_owned(),
            ready_state: self.ready_state().into(),
            uptime_ns: u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX),
            model_status: model_status.collect(),
            status_stats: Some(v1::StatusRequestStats { success: success(CallKind::Status) }),
            health_stats: Some(v1::HealthRequestStats { success: success(CallKind::Health) }),
            model_control_stats: Some(v1::ModelControlRequestStats {
                success: success(CallKind::ModelControl),
            }),
            shm_control_stats: Some(v1::SharedMemoryControlRequestStats {
                success: success(CallKind::SharedMemoryControl),
            }),
            repository_stats: Some(v1::RepositoryRequestStats { success: success(CallKind::Repository) }),
        })
    }

    fn ready_state(&self) -> ServerReadyState {
        if self.server.is_stopping() {
            ServerReadyState::ServerExiting
        } else if self.server.has_started() {
            ServerReadyState::ServerReady
        } else {
            ServerReadyState::ServerInitializing
        }
    }

    fn model_status(
        &self,
        name: &str,
        versions: BTreeMap<u64, VersionState>,
        counted: bool,
    ) -> v1::ModelStatus {
        let ready = self.server.ready_versions(name);
        // The config of a model that does not serve is not kept.
        let unknown = || v1::ModelConfig { name: name.to_owned(), ..v1::ModelConfig::default() };
        let config = ready.last().map_or_else(unknown, |model| config(&model.config));
        let status = |(version, state): (u64, VersionState)| {
            let model = ready.iter().find(|model| counted && model.version == version);
            (version as i64, version_status(&state, model))
        };
        v1::ModelStatus { config: Some(config), version_status: versions.into_iter().map(status).collect() }
    }
}

fn version_status(state: &VersionState, model: Option<&Arc<LoadedModel>>) -> v1::ModelVersionStatus {
    let counters = model.map(|model| model.statistics.snapshot()).unwrap_or_default();
    let ready_state = match state.state {
        State::Loading => ModelReadyState::ModelLoading,
        State::Ready => ModelReadyState::ModelReady,
        State::Unloading => ModelReadyState::ModelUnloading,
        State::Unavailable => ModelReadyState::ModelUnavailable,
    };
    let reason = (!state.reason.is_empty()).then(|| state.reason.clone());
    v1::ModelVersionStatus {
        ready_state: ready_state.into(),
        ready_state_reason: reason.map(|message| v1::ModelReadyStateReason { message }),
        infer_stats: infer_stats(&counters),
        model_execution_count: counters.execution_count,
        model_inference_count: counters.inference_count,
        last_inference_timestamp_milliseconds: counters.last_inference_ms,
    }
}

/// The statistics of requests by their batch size.
fn infer_stats(counters: &Counters) -> BTreeMap<u32, v1::InferRequestStats> {
    let stats = |(&batch_size, requests): (&u32, &RequestCounters)| (batch_size, request_stats(requests));
    counters.requests.iter().map(stats).collect()
}

fn request_stats(requests: &RequestCounters) -> v1::InferRequestStats {
    let RequestCounters { success, fail, queue, phases } = requests;
    let compute = StatDuration {
        count: phases.compute_infer.count,
        total_time_ns: phases.compute_input.ns + phases.compute_infer.ns + phases.compute_output.ns,
    };
    v1::InferRequestStats {
        success: Some(duration(*success)),
        failed: Some(duration(*fail)),
        compute: Some(compute),
        queue: Some(duration(*queue)),
        compute_input: Some(duration(phases.compute_input)),
        compute_infer: Some(duration(phases.compute_infer)),
        compute_output: Some(duration(phases.compute_output)),
    }
}

fn duration(counted: Counted) -> StatDuration {
    StatDuration { count: counted.count, total_time_ns: counted.ns }
}

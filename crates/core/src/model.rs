//! A model version that is being served.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{ModelStatistics, ResponseReceiver, Result};
use hippocamp_metrics::SizeHistogram;
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_scheduler::Scheduler;

use crate::infer::{self, InferRequest};

/// One loaded version. Whoever holds it keeps it alive: when it is replaced or unloaded, requests that found it before
/// are still executed, and its memory goes when the last of them is done.
#[derive(Debug)]
pub struct LoadedModel {
    pub name: Arc<str>,
    pub version: u64,
    /// `version` as the protocols write it.
    pub version_text: Arc<str>,
    /// Completed, defaulted and checked.
    pub config: Arc<ModelConfig>,
    pub interface: Arc<Interface>,
    pub statistics: Arc<ModelStatistics>,
    /// The labels of those outputs that have a label file, by output name.
    pub labels: BTreeMap<Arc<str>, Vec<String>>,
    pub(crate) scheduler: Scheduler,
}

impl LoadedModel {
    /// Checks a request and queues it. The answers come from the receiver; dropping it cancels the request.
    pub fn infer(&self, request: InferRequest<'_>) -> Result<ResponseReceiver> {
        let (request, responses) = infer::check(self, request)?;
        self.scheduler.enqueue(request);
        Ok(responses)
    }

    /// The label of a class of an output.
    pub fn label(&self, output: &str, class: usize) -> Option<&str> {
        self.labels.get(output)?.get(class).map(String::as_str)
    }

    /// How many requests wait for an instance.
    pub fn pending(&self) -> usize {
        self.scheduler.pending()
    }

    /// How many requests each new one found waiting.
    pub fn queue_depths(&self) -> SizeHistogram {
        self.scheduler.depths()
    }
}

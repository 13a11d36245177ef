//! A model version that is being served.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{ModelStatistics, Request, ResponseReceiver, Result};
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_scheduler::Scheduler;

use crate::cache::ModelCache;
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
    /// If its responses are kept.
    pub(crate) cache: Option<ModelCache>,
    pub(crate) scheduler: Scheduler,
}

impl LoadedModel {
    /// Checks a request and queues it. The answers come from the receiver; dropping it cancels the request.
    pub fn infer(&self, request: InferRequest<'_>) -> Result<ResponseReceiver> {
        let (request, responses) = infer::check(self, request)?;
        if let Some(request) = self.not_cached(request) {
            self.scheduler.enqueue(request);
        }
        Ok(responses)
    }

    /// The request, unless the response cache has answered it.
    fn not_cached(&self, request: Request) -> Option<Request> {
        match &self.cache {
            Some(cache) => cache.answer(request),
            None => Some(request),
        }
    }

    /// The label of a class of an output.
    pub fn label(&self, output: &str, class: usize) -> Option<&str> {
        self.labels.get(output)?.get(class).map(String::as_str)
    }

    /// How many requests wait for an instance.
    pub fn pending(&self) -> usize {
        self.scheduler.pending()
    }
}

//! A library that says which requests of a model are executed together.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Instant;

use hippocamp_backend::{
    BatchStrategy, Delivery, Error, GrowingBatch, Request, RequestContext, Result, channel,
};
use hippocamp_model_config::{BATCH_STRATEGY, Interface, ModelConfig};
use tracing::error;

use super::model::Version;
use crate::border::Ref;
use crate::library::{BatchState, Batcher};
use crate::life::TensorNames;
use crate::request::{Input, RequestObject};
use crate::response::{Execution, Outstanding};

/// The library's name where no parameter names it.
const USUAL: &str = "batchstrategy.so";

/// A library that was asked to decide.
#[derive(Debug)]
pub(super) struct TritonStrategy {
    names: Arc<TensorNames>,
    /// It has the batcher, and is not kept by a queue: the model is finalized with its last instance.
    version: Weak<Version>,
}

impl TritonStrategy {
    /// That of a model, if it or its backend has one.
    pub(super) fn of(
        version: &Arc<Version>,
        config: &ModelConfig,
        interface: &Arc<Interface>,
    ) -> Result<Option<Arc<dyn BatchStrategy>>> {
        let Some(path) = found(config, &version.strategies)? else { return Ok(None) };
        // That of a version which goes on under another config stays: its path cannot be another one.
        let mut batcher = version.batcher.lock();
        if batcher.is_none() {
            *batcher = Some(Batcher::new(&path, version.object.as_ref())?);
        }
        drop(batcher);
        let names = Arc::new(TensorNames::new(interface, config));
        Ok(Some(Arc::new(TritonStrategy { names, version: Arc::downgrade(version) })))
    }
}

/// Where libraries of strategies may be.
#[derive(Debug)]
pub(super) struct StrategyFolders {
    /// The model's.
    pub(super) model: PathBuf,
    /// In the order in which they are looked through.
    pub(super) all: Vec<PathBuf>,
}

/// The library of a model. The config is one of the repository, or one that names no library: those of load requests may not.
fn found(config: &ModelConfig, folders: &StrategyFolders) -> Result<Option<PathBuf>> {
    let named = config.parameters.get(BATCH_STRATEGY).map(|parameter| &*parameter.string_value);
    let absolute_file = |path: PathBuf| std::path::absolute(path).ok().filter(|path| path.is_file());
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        return Ok(folders.all.iter().find_map(|folder| absolute_file(folder.join(USUAL))));
    };
    // As Triton takes it: anywhere, or from the working directory; and from the model's folder, wherever the server was started.
    let there = absolute_file(named.into()).or_else(|| absolute_file(folders.model.join(named)));
    there.map(Some).ok_or_else(|| {
        let model = &config.name;
        Error::not_found(format!(
            "Batching library path not found: {named}, neither from the working directory nor in the folder of model '{model}'"
        ))
    })
}

impl BatchStrategy for TritonStrategy {
    fn begin(&self, first: &Request) -> Box<dyn GrowingBatch + '_> {
        let version = self.version.upgrade();
        let begun = version.as_ref().and_then(|version| version.batcher.lock().as_ref().map(Batcher::begin));
        let state = begun.transpose().unwrap_or_else(|error| {
            error!(
                model = self.names.model(),
                "the batch strategy cannot begin a batch: {}",
                error.message()
            );
            None
        });
        let mut growing = Growing { strategy: self, state, _version: version };
        growing.admits(first);
        Box::new(growing)
    }
}

struct Growing<'a> {
    strategy: &'a TritonStrategy,
    /// `None` if the library failed: then it has no say.
    state: Option<BatchState>,
    /// Has the batcher that it is of.
    _version: Option<Arc<Version>>,
}

impl GrowingBatch for Growing<'_> {
    fn admits(&mut self, next: &Request) -> bool {
        let Some(state) = &mut self.state else { return true };
        let names = &self.strategy.names;
        shown(next, names, |request| state.includes(request)).unwrap_or_else(|error| {
            error!(model = names.model(), "the batch strategy failed for a request: {}", error.message());
            true
        })
    }
}

/// Calls `body` with a handle of a request that still waits.
fn shown(
    request: &Request,
    names: &Arc<TensorNames>,
    body: impl FnOnce(Ref<RequestObject>) -> Result<bool>,
) -> Result<bool> {
    let inputs = Input::all(&request.inputs, names)?;
    let context = RequestContext::with_id(Arc::clone(&request.response.context().id), Instant::now());
    // Nobody can answer by the handle: this sender's receiver goes at the end.
    let (response, _receiver) = channel(Delivery::Once, context, Arc::default());
    let copy = request.copy_for(response);
    let Some(execution) = Execution::of(std::slice::from_ref(&copy)).map(Arc::new) else { return Ok(true) };
    let outstanding = Arc::<Outstanding>::default();
    let object = RequestObject::new(copy, inputs, names, Instant::now(), &execution, &outstanding, None);
    let handle = Ref::new(object)?;
    let included = body(handle);
    if let Ok(object) = handle.remove() {
        drop(object.channel.detach());
    }
    included
}

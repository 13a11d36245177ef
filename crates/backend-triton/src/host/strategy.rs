//! A library that says which requests of a model are executed together.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Instant;

use hippocamp_backend::{
    BatchStrategy, Delivery, Error, GrowingBatch, Request, RequestContext, Result, channel,
};
use hippocamp_model_config::{Interface, ModelConfig};
use tracing::error;

use super::model::Version;
use crate::border::Ref;
use crate::library::{BatchState, Batcher};
use crate::life::TensorNames;
use crate::request::{Input, RequestObject};
use crate::response::{Execution, Outstanding};

/// The parameter of a model that names the library.
const PATH: &str = "TRITON_BATCH_STRATEGY_PATH";
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

fn found(config: &ModelConfig, folders: &StrategyFolders) -> Result<Option<PathBuf>> {
    let named = config.parameters.get(PATH).map(|parameter| &*parameter.string_value);
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        let all = folders.all.iter().map(|folder| folder.join(USUAL));
        return Ok(all.filter_map(|path| std::path::absolute(path).ok()).find(|path| path.is_file()));
    };
    let refused = |why: &str| {
        let model = &config.name;
        Error::invalid_arg(format!("parameter '{PATH}' of model '{model}' is '{named}', {why}"))
    };
    let resolve =
        |path: &Path| path.canonicalize().map_err(|e| refused(&format!("which cannot be read: {e}")));
    let (own, path) = (resolve(&folders.model)?, resolve(&folders.model.join(named))?);
    if path.starts_with(&own) {
        Ok(Some(path))
    } else {
        Err(refused("expected a file in the model's folder"))
    }
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

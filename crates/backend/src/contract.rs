//! The three traits that a backend implements.

use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_interface::{BackendFacts, Interface, ModelConfig, differ_in_scheduling_only};

use crate::{BackendSource, Batch, BatchStrategy, Error, Result, ServerHandle};

/// A kind of model: one value a process, shared by all its models.
pub trait Backend: Send + Sync + Debug {
    /// The name that configs use: `onnxruntime`.
    fn name(&self) -> &str;

    /// Opens what the backend needs, such as an engine's library or a device. Fails if that is missing; by default
    /// nothing is needed.
    fn available(&self) -> Result<()> {
        Ok(())
    }

    /// The registration facts of the backend: how its models are recognized and where they can run. Called once, when
    /// it is registered.
    fn facts(&self) -> BackendFacts {
        BackendFacts::PLAIN
    }

    /// Gives the server that the backend belongs to, so that its models can call others. Called before any model is loaded; not
    /// at all where models are only checked.
    fn connect(&self, server: ServerHandle) {
        let _ = server;
    }

    /// The source of further backends that this one is; it is then not looked up by its own name. None by default.
    fn source(&self) -> Option<Arc<dyn BackendSource>> {
        None
    }

    /// Opens one version of a model. Called on a loading thread; may take seconds. The config is as the user wrote it,
    /// checked but not completed.
    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>>;

    /// Whether all instances of a version under this config share one copy of its files in memory. By default each
    /// instance has its own copy. Called before the version is loaded, even for a config that cannot be loaded.
    fn shares_files(&self, _config: &ModelConfig) -> bool {
        false
    }
}

/// Where a version's files are, and what its config says.
#[derive(Clone, Debug)]
pub struct ModelSource {
    /// What clients call the model.
    pub name: Arc<str>,
    /// The number of the version, which is its folder's name.
    pub version: u64,
    /// The model's folder: labels and such.
    pub model_directory: PathBuf,
    /// The folder of this version: the model file.
    pub version_directory: PathBuf,
    /// As the user wrote it, with defaults; what it leaves out is still open.
    pub config: Arc<ModelConfig>,
}

/// A loaded version of a model, from which its instances are made.
pub trait Model: Send + Sync {
    /// Completes the config with facts of the model file. `default_max_batch_size` is used for a model that supports
    /// batching without giving a limit. Not called when the user switched completion off.
    fn complete_config(&self, config: &mut ModelConfig, default_max_batch_size: i32) -> Result<()>;

    /// Compares the finished config with the model file.
    fn check_config(&self, config: &ModelConfig) -> Result<()>;

    /// Whether this version, loaded from the same files under the config `loaded`, and its instances can be reused
    /// under `config` without being loaded again. Both configs are finished; `loaded` may be the result of an earlier
    /// reuse. By default true if no setting changed that an engine may have read.
    fn serves_under(&self, loaded: &ModelConfig, config: &ModelConfig) -> bool {
        differ_in_scheduling_only(loaded, config)
    }

    /// Makes an instance, and says whether it may move. Called on the instance's own thread; instances of a model may be made
    /// at the same time.
    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance>;

    /// The batch sizes that instances under this finished config have prepared runs for, ascending: a smaller batch is padded up
    /// to the next one. The batcher then avoids batches that are mostly padding. Empty, the default, if a batch of any
    /// size costs what its rows cost.
    fn prepared_batch_sizes(&self, config: &ModelConfig) -> Vec<usize> {
        let _ = config;
        Vec::new()
    }

    /// Who decides, under this finished config with the dynamic batcher, which requests are executed together. `None`, the
    /// default, if the config says it all.
    fn batch_strategy(
        &self,
        config: &ModelConfig,
        interface: &Arc<Interface>,
    ) -> Result<Option<Arc<dyn BatchStrategy>>> {
        let _ = (config, interface);
        Ok(None)
    }

    /// Whether the model has a word of its own in whether it is ready. False, the default, if it is ready while its instances are.
    fn has_ready_check(&self) -> bool {
        false
    }

    /// Asks the model whether it is ready. Called when a client asks, on a thread that may wait, and not again before it has
    /// answered. An error says that it is not, and why.
    fn check_ready(&self) -> Result<()> {
        Ok(())
    }

    /// Makes an instance beyond those that the config asks for, with which a thread that accepts requests executes short
    /// ones while other threads do the same. Only for models whose instances keep nothing from one batch to the next and
    /// take little memory: how many there are makes no difference but for speed. Called when threads have met at
    /// the other instances, on a thread of its own. `None`, the default, if no more batches are to be executed at once
    /// than the config has instances.
    fn extra_instance(&self, spec: &InstanceSpec) -> Option<MovableInstance> {
        let _ = spec;
        None
    }
}

/// A new instance, and whether it may move between threads.
pub enum NewInstance {
    /// The instance belongs to the thread that made it, such as one that holds CUDA graphs: it is made, warmed up, executed and
    /// dropped there and nowhere else. That thread is its own. It keeps it while there is nothing to do, and when an
    /// edit of the config has it reused; after a panic the instance is made anew on the same thread. No request is executed
    /// inline on it. All such instances of a model take their batches from one queue: each batch wakes one of them.
    Bound(Box<dyn ModelInstance>),
    /// Any thread may use the instance, one at a time. A request that finds it idle may be executed inline by the
    /// accepting thread, if recent executions took microseconds.
    Movable(MovableInstance),
}

/// An instance that any thread may use while it holds the instance's lock.
pub type MovableInstance = Box<dyn ModelInstance + Send>;

impl NewInstance {
    /// One that stays on the thread that made it.
    pub fn bound(instance: impl ModelInstance + 'static) -> NewInstance {
        NewInstance::Bound(Box::new(instance))
    }

    /// One that any thread may use.
    pub fn movable(instance: impl ModelInstance + Send + 'static) -> NewInstance {
        NewInstance::Movable(Box::new(instance))
    }

    /// The instance, for a caller that keeps it on its thread.
    pub fn into_box(self) -> Box<dyn ModelInstance> {
        match self {
            NewInstance::Bound(instance) => instance,
            NewInstance::Movable(instance) => instance,
        }
    }
}

impl ModelInstance for NewInstance {
    fn execute(&mut self, batch: &mut Batch) {
        match self {
            NewInstance::Bound(instance) => instance.execute(batch),
            NewInstance::Movable(instance) => instance.execute(batch),
        }
    }

    fn lost(&self) -> Option<Error> {
        match self {
            NewInstance::Bound(instance) => instance.lost(),
            NewInstance::Movable(instance) => instance.lost(),
        }
    }

    fn when_lost(&mut self, calls: LossCalls) {
        match self {
            NewInstance::Bound(instance) => instance.when_lost(calls),
            NewInstance::Movable(instance) => instance.when_lost(calls),
        }
    }
}

impl Debug for NewInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NewInstance::Bound(_) => "Bound",
            NewInstance::Movable(_) => "Movable",
        })
    }
}

/// What runs batches. Made, used and dropped on one thread, so it need not be `Send`, unless its model makes it
/// [movable](NewInstance::Movable).
pub trait ModelInstance {
    /// Runs a batch and answers every request in it. Requests that are still in the batch when this returns, or that
    /// are dropped on the way, are answered with an internal error; a panic answers the whole batch so, and the instance
    /// is made anew.
    ///
    /// It may return before the batch is done: what [`Batch::finish_later`] gives holds the instance until then.
    fn execute(&mut self, batch: &mut Batch);

    /// As [`execute`](ModelInstance::execute), but may leave requests unanswered that it has taken out of the batch, while its device works
    /// on them: the instance [`has_begun`](ModelInstance::has_begun) then. It is soon called again, for a further batch, which its
    /// device executes behind the one before, or to [`finish`](ModelInstance::finish). By default it executes the batch.
    fn begin(&mut self, batch: &mut Batch) {
        self.execute(batch);
    }

    /// Whether it has begun what is to be finished.
    fn has_begun(&self) -> bool {
        false
    }

    /// Waits for what it has begun, and answers those requests.
    fn finish(&mut self) {}

    /// Why the instance can execute no more batches, such as the end of a process of its own; `None`, the default, if it can. Asked
    /// before each batch, so it has to be quick. Such an instance is dropped and made anew, with pauses if that fails
    /// or happens often; meanwhile the model's other instances take the requests.
    fn lost(&self) -> Option<Error> {
        None
    }

    /// Takes what is to be called when the instance is [lost](ModelInstance::lost), in the place of what was taken before. Without that
    /// it is noticed with the next batch. By default nothing is called.
    fn when_lost(&mut self, calls: LossCalls) {
        drop(calls);
    }
}

/// What an instance calls, from any thread, when it is lost.
#[derive(Clone)]
pub struct LossCalls {
    /// Called once it is lost. Between two batches it is then made anew at once, and its model says that it is not ready if it has no
    /// other one.
    pub lost: Arc<dyn Fn() + Send + Sync>,
    /// Called if a batch was being executed then and, for all that the backend knows, never returns; the requests were answered.
    /// Returns whether one is still executed: then its thread is left alone, and the instance is made anew on another one. Should
    /// the execution return after all, the lost instance is dropped, on its own thread as always.
    pub stuck: Arc<dyn Fn(Error) -> bool + Send + Sync>,
}

impl Debug for LossCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LossCalls")
    }
}

/// Where an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// On the processor, in host memory.
    Cpu,
    /// On the GPU that configs give this number.
    Gpu(i32),
}

impl Device {
    /// The number of the GPU, if it is one.
    pub fn gpu(self) -> Option<i32> {
        match self {
            Device::Cpu => None,
            Device::Gpu(gpu) => Some(gpu),
        }
    }
}

/// Which instance of a model is to be made.
#[derive(Clone, Debug)]
pub struct InstanceSpec {
    /// As in the log and in the thread's name: `simple_0_1`.
    pub name: String,
    /// Counted over all instance groups of the model, from 0.
    pub index: usize,
    /// Where it runs.
    pub device: Device,
    /// Finished: completed, defaulted and checked.
    pub config: Arc<ModelConfig>,
    /// Made of the config: the tensors of requests and responses, in their order.
    pub interface: Arc<Interface>,
}

//! Loads the versions of a model: opens the model files and makes the instances. It runs on a loading thread and changes nothing
//! that is being served.

use std::collections::BTreeMap;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use hippocamp_backend::{Error, Model, ModelDirectories, ModelSource, Result, Uses};
use hippocamp_model_config::{self as model_config, Interface, ModelConfig};
use hippocamp_proto::inference::model_config::SchedulingChoice;
use hippocamp_repository::ModelFolder;
use hippocamp_scheduler::{
    self as scheduler, InstancePlan, QueueSettings, RateLimiter, Scheduler, SequencePolicy,
};
use hippocamp_serving::{Executor, LastUse, LoadedModel, ModelCache, ReadyCheck, ResponseCache, observers};
use tracing::info;

use crate::failure::{LoadFailure, all_versions};
use crate::faults::{Collected, bad_config};
use crate::latencies::warn_of_families;
use crate::reuse::{self, Files, Opened, Reusable};
use crate::series::{series, series_by_gpu};
use crate::started::{Started, Stopped};
use crate::{Context, Prepared, Required, gpu_limit, initial_state, instances, model_file, require, warmup};

/// Loads models with the backends and settings of one server.
#[derive(Debug)]
pub struct Loader {
    /// The backends, the devices and the settings.
    pub context: Context,
    /// The rate limiter; `None` if instances execute without a limit.
    pub rate_limiter: Option<Arc<RateLimiter>>,
    pub cache: Option<ResponseCache>,
}

impl Loader {
    /// Loads every version that the config selects, the latest first, which completes the config. If one version fails, none is
    /// loaded. Versions in `serving` that an edit of the config does not affect are reused instead of being loaded again.
    pub fn load(&self, prepared: Prepared, serving: Vec<Reusable>) -> Result<Vec<Started>, LoadFailure> {
        let Required { config, labels } = match require(&self.context, &prepared) {
            Ok(required) => required,
            Err(error) => return Err(all_versions(&prepared.versions, &error)),
        };
        let Prepared { folder, versions, .. } = prepared;
        let files = versions.iter().map(|&version| (version, Files::read(&folder, version))).collect();
        let reusable = reuse::if_edited(serving, &config, &files);
        let mut loading =
            Loading { loader: self, folder: &folder, config, labels, files, reusable, completed: None };
        let mut started = Vec::new();
        let mut failed = BTreeMap::new();
        for version in versions.into_iter().rev() {
            // A backend that panics fails this version, and nothing else.
            let loaded = catch_unwind(AssertUnwindSafe(|| loading.version(version)));
            let panicked = |_| Err(Error::internal("the backend panicked while loading the model"));
            match loaded.unwrap_or_else(panicked) {
                Ok(version) => started.push(version),
                Err(error) => drop(failed.insert(version, error)),
            }
        }
        if !failed.is_empty() {
            return Err(LoadFailure::Versions(failed));
        }
        started.reverse();
        Ok(started)
    }
}

/// A model whose versions are being loaded.
struct Loading<'a> {
    loader: &'a Loader,
    folder: &'a ModelFolder,
    config: ModelConfig,
    labels: Labels,
    /// As they were before anything was read of them.
    files: BTreeMap<u64, Files>,
    reusable: Vec<Reusable>,
    /// Set by the first version.
    completed: Option<Completed>,
}

#[derive(Clone)]
struct Completed {
    config: Arc<ModelConfig>,
    interface: Arc<Interface>,
}

/// The labels of the outputs that have any, by output.
type Labels = BTreeMap<Arc<str>, Vec<String>>;

/// What executes the requests of a version.
type Execution = (Arc<Scheduler>, scheduler::Stopped);

impl Loading<'_> {
    fn version(&mut self, version: u64) -> Result<Started> {
        if let Some(started) = self.reuse(version)? {
            return Ok(started);
        }
        let name: Arc<str> = self.folder.name.as_str().into();
        let version_directory = self.folder.version_path(version);
        let directories = ModelDirectories {
            version: Some(&version_directory),
            model: &self.folder.path,
            came_with_request: self.folder.came_with_request,
        };
        let backend = self.loader.context.backend(&name, &self.config, directories)?;
        let loaded = backend.load(&ModelSource {
            name: Arc::clone(&name),
            version,
            model_directory: self.folder.path.clone(),
            version_directory: version_directory.clone(),
            config: Arc::new(self.config.clone()),
        });
        let explained = |error| model_file::explained(error, &version_directory, &self.config);
        let model: Arc<dyn Model> = loaded.map_err(explained)?.into();
        let completed = self.completed(&*model)?;
        // All that is wrong with it is told at once.
        let mut faults = Collected::default();
        faults.take(model.check_config(&completed.config));
        let execution = self.start(&model, &completed, &mut faults);
        faults.into_result()?;
        let Some(execution) = execution else {
            return Err(Error::internal("a step of the load failed without an error message"));
        };
        let files = self.files.get(&version).cloned().unwrap_or_default();
        let opened = Arc::new(Opened { model, written: self.config.clone(), files });
        Ok(self.started(version, completed, execution, opened, None))
    }

    /// Reuses a version that serves under the new config, if it does not have to be loaded again. `None` if it has to.
    fn reuse(&mut self, version: u64) -> Result<Option<Started>> {
        let Some(index) = self.reusable.iter().position(|reusable| reusable.model.version == version) else {
            return Ok(None);
        };
        let reusable = self.reusable.swap_remove(index);
        let first = self.completed.is_none();
        let reused = match self.completed(&*reusable.opened.model) {
            Ok(completed) => {
                self.reuse_instances(&reusable, &completed)?.map(|execution| (completed, execution))
            }
            // Loading the version reports this error.
            Err(_) => None,
        };
        let Some((completed, execution)) = reused else {
            if first {
                self.completed = None;
            }
            return Ok(None);
        };
        let Opened { model, files, .. } = &*reusable.opened;
        let opened = Opened { model: Arc::clone(model), written: self.config.clone(), files: files.clone() };
        Ok(Some(self.started(version, completed, execution, Arc::new(opened), Some(&reusable.model))))
    }

    /// The execution of a version that is reused: its scheduler as it is, or a new scheduler with the same instances. `None` if
    /// it cannot be reused.
    fn reuse_instances(&self, reusable: &Reusable, completed: &Completed) -> Result<Option<Execution>> {
        let (before, after) = (&reusable.model.config, &completed.config);
        let same_files = self.files.get(&reusable.model.version);
        let same_files =
            same_files.is_some_and(|files| files.same_for_engine(&reusable.opened.files, before, after));
        let model = &reusable.opened.model;
        let Some(scheduler) = reusable.model.scheduler() else { return Ok(None) };
        // Instances are prepared for the sizes of the config that they were made with.
        let same_plans = model.prepared_batch_sizes(before) == model.prepared_batch_sizes(after);
        let serves = same_files && same_plans && model.serves_under(before, after);
        if !serves || model.check_config(after).is_err() {
            return Ok(None);
        }
        if before.instance_group == after.instance_group
            && before.scheduling_choice == after.scheduling_choice
        {
            info!(model = &*reusable.model.name, version = reusable.model.version, "goes on as it is");
            return Ok(Some((Arc::clone(scheduler), reusable.stopped.clone())));
        }
        // The states of sequences cannot move to another scheduler.
        if scheduler.is_of_sequences() || model_config::sequence_batching(after).is_some() {
            return Ok(None);
        }
        let (plans, queue) = (self.plans(completed)?, self.queue(&**model, completed));
        let model = warmup::warmed_up(Arc::clone(model), after, &completed.interface, &self.folder.path)?;
        let execution = Scheduler::prepare_handover(scheduler, &model, plans, queue?)?;
        info!(model = &*reusable.model.name, version = reusable.model.version, "goes on with its instances");
        Ok(Some(execution))
    }

    /// Starts the instances of a version that was loaded, unless it has faults. Those found so far are in `faults`; further ones
    /// are added.
    fn start(
        &self,
        model: &Arc<dyn Model>,
        completed: &Completed,
        faults: &mut Collected,
    ) -> Option<Execution> {
        let Completed { config, interface } = completed;
        let (folder, settings) = (self.folder, &self.loader.context.settings);
        let model = warmup::warmed_up(Arc::clone(model), config, interface, &folder.path);
        let mut initial_state = |file: &str| initial_state::read(&folder.name, &folder.path, config, file);
        let sequences = SequencePolicy::from_config(config, interface, &mut initial_state);
        let (model, sequences) = (faults.take(model), faults.take(sequences));
        if !faults.is_empty() {
            return None;
        }
        let model = model?;
        let queue = faults.take(self.queue(&*model, completed))?;
        // It takes resources of the rate limiter, so nothing may be wrong by then.
        let (sequences, plans) = (sequences?, faults.take(self.plans(completed))?);
        let gpus = gpu_limit::gpus(&plans);
        let (delay, backlog_delay) = (settings.delay_scheduler, settings.backlog_delay_scheduler);
        let started = if let Some(policy) = sequences {
            Scheduler::start_sequences(&model, plans, policy.with_delays(delay, backlog_delay))
        } else {
            Scheduler::start(&model, plans, queue)
        };
        let (scheduler, stopped) = faults.take(started)?;
        faults.take(gpu_limit::check(&folder.name, &gpus, &self.loader.context))?;
        Some((Arc::new(scheduler), stopped))
    }

    fn plans(&self, Completed { config, interface }: &Completed) -> Result<Vec<InstancePlan>> {
        let Loader { context, rate_limiter, .. } = self.loader;
        let policies = &context.settings.host_policies;
        instances::plans(config, interface, policies, rate_limiter.as_ref(), &context.devices)
    }

    fn queue(&self, model: &dyn Model, Completed { config, interface }: &Completed) -> Result<QueueSettings> {
        let hold = self.loader.context.settings.delay_scheduler;
        let settings = QueueSettings::from_config(config, interface, hold)
            .with_plans(model.prepared_batch_sizes(config));
        let strategy = if is_dynamic(config) { model.batch_strategy(config, interface)? } else { None };
        Ok(settings.with_strategy(strategy))
    }

    /// The version with all that belongs to it. `before` is the one whose instances it goes on with.
    fn started(
        &self,
        version: u64,
        completed: Completed,
        (scheduler, stopped): Execution,
        opened: Arc<Opened>,
        before: Option<&LoadedModel>,
    ) -> Started {
        let Completed { config, interface } = completed;
        // What was not loaded again goes on with its statistics.
        let statistics = before.map(|model| Arc::clone(&model.statistics)).unwrap_or_default();
        let kept = before.map_or(&[][..], |model| &model.ready_since);
        let name: Arc<str> = self.folder.name.as_str().into();
        let settings = &self.loader.context.settings;
        statistics.want_latencies(&settings.latencies.wanted(&config, interface.decoupled));
        let observers = observers(&settings.observers, &name, version, &statistics);
        let ready_check = ReadyCheck::of(&opened.model, &name);
        let model = LoadedModel {
            ready_check,
            ready_since: ready_since(&config, kept),
            labels: self.labels.clone(),
            name,
            version,
            version_text: version.to_string().into(),
            series: series(self.folder, version, &config, &self.loader.context.devices),
            series_by_gpu: series_by_gpu(self.folder, version, &config, &self.loader.context.devices),
            cache: ModelCache::wanted(self.loader.cache.as_ref(), &config, &interface, &observers),
            observers,
            config,
            interface,
            statistics,
            sequences: scheduler.is_of_sequences().then(|| Arc::clone(&scheduler)).into_iter().collect(),
            last_use: LastUse::now(),
            uses: (settings.count_uses || scheduler.is_of_sequences()).then(Uses::default),
            executor: Executor::Scheduler(scheduler),
        };
        Started { model: Arc::new(model), stopped: Stopped::Instances(stopped), opened: Some(opened) }
    }

    /// The finished config: completed from the model file, defaulted, validated. The same for all versions.
    fn completed(&mut self, model: &dyn Model) -> Result<Completed> {
        if let Some(completed) = &self.completed {
            return Ok(completed.clone());
        }
        let (name, settings) = (&self.folder.folder_name, &self.loader.context.settings);
        let mut config = self.config.clone();
        if !settings.disable_auto_complete_config {
            let default_max_batch_size = settings.default_max_batch_size(&config.backend);
            model.complete_config(&mut config, default_max_batch_size)?;
        }
        model_config::apply_defaults(&mut config, name, &self.loader.context.facts);
        let mut faults = Collected::default();
        faults.take(model_config::validate(&config, None, "config", name).map_err(bad_config));
        faults.take(self.loader.context.check_placement(&config));
        faults.into_result()?;
        let interface = Interface::new(&config).map_err(bad_config)?;
        warn_of_families(name, &config);
        let completed = Completed { config: Arc::new(config), interface: Arc::new(interface) };
        Ok(self.completed.insert(completed).clone())
    }
}

/// When each instance was ready: the first ones at the times `kept`, the others now.
fn ready_since(config: &ModelConfig, kept: &[SystemTime]) -> Vec<SystemTime> {
    let now = SystemTime::now();
    kept.iter().copied().chain(iter::repeat(now)).take(instances::count(config)).collect()
}

/// Whether the dynamic batcher has the requests.
fn is_dynamic(config: &ModelConfig) -> bool {
    matches!(config.scheduling_choice, Some(SchedulingChoice::DynamicBatching(_)))
}

//! The checked config of an ensemble, from which its versions are built, and rebuilt whenever a composing model changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_backend::{Error, RegisteredObservers, Result, Uses};
use hippocamp_device::Devices;
use hippocamp_ensemble::{Ensemble, StepModel};
use hippocamp_loading::faults::{about, bad_config};
use hippocamp_loading::{
    LatencySettings, LoadSettings, Loader, Prepared, Required, Started, Stopped, require, series,
    warn_of_families,
};
use hippocamp_model_config::{
    self as model_config, FaultKind, Interface, ModelConfig, ModelEnsembling, Step,
};
use hippocamp_proto::inference::ModelTransactionPolicy;
use hippocamp_repository::ModelFolder;
use hippocamp_scheduler::Scheduler;
use hippocamp_serving::{Executor, LastUse, LoadedModel, ModelCache, ResponseCache, observers};
use hippocamp_statistics::ModelStatistics;

use crate::composition::step_names;
use crate::settings::Repositories;

/// An ensemble with a valid config. It is kept as long as the ensemble is wanted, so that it can be rebuilt without reading
/// files.
#[derive(Debug)]
pub(crate) struct EnsembleSource {
    name: Arc<str>,
    config: ModelConfig,
    /// The names under which the models of the steps are served, one a step.
    step_names: Vec<String>,
    interface: Interface,
    labels: BTreeMap<Arc<str>, Vec<String>>,
    /// The statistics of each version. A rebuild does not reset them, because the ensemble itself was not reloaded.
    statistics: BTreeMap<u64, Arc<ModelStatistics>>,
    folder: ModelFolder,
    latencies: LatencySettings,
    observers: RegisteredObservers,
    count_uses: bool,
    /// The server's response cache; each built version owns its entries in it.
    cache: Option<ResponseCache>,
}

impl EnsembleSource {
    /// Checks the whole config; there is no model file that could complete it.
    pub(crate) fn new(
        prepared: Prepared,
        repositories: &Repositories,
        loader: &Loader,
    ) -> Result<EnsembleSource> {
        let Required { config, labels } = require(&loader.context, &prepared)?;
        let Prepared { folder, versions, .. } = prepared;
        let steps = model_config::ensemble_scheduling(&config).map_or(&[][..], |steps| &steps.step);
        let step_names = step_names(repositories, folder.namespace.as_deref(), steps);
        let interface = Interface::new(&config).map_err(bad_config)?;
        warn_of_families(&folder.name, &config);
        let statistics = versions.into_iter().map(|version| (version, Arc::default())).collect();
        let LoadSettings { latencies, count_uses, ref observers, .. } = loader.context.settings;
        let observers = observers.clone();
        let name = folder.name.as_str().into();
        let cache = loader.cache.clone();
        Ok(EnsembleSource {
            name,
            config,
            step_names,
            interface,
            labels,
            statistics,
            folder,
            latencies,
            observers,
            count_uses,
            cache,
        })
    }

    pub(crate) fn versions(&self) -> Vec<u64> {
        self.statistics.keys().copied().collect()
    }

    /// Builds all versions. `steps` are the models of the steps, in the config's order.
    pub(crate) fn build_versions(&self, steps: &[Arc<LoadedModel>]) -> Result<Vec<Started>> {
        let versions = self.statistics.iter();
        versions.map(|(&version, statistics)| self.build_version(version, steps, statistics)).collect()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The steps, each with the name under which its model is served.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Step, &str)> {
        self.scheduling().step.iter().zip(self.step_names.iter().map(String::as_str))
    }

    fn scheduling(&self) -> &ModelEnsembling {
        // Checked by `validate`; without steps there is nothing to build.
        static NONE: ModelEnsembling = ModelEnsembling { step: Vec::new(), max_inflight_requests: 0 };
        model_config::ensemble_scheduling(&self.config).unwrap_or(&NONE)
    }

    /// The names of the composing models.
    pub(crate) fn composing(&self) -> BTreeSet<String> {
        self.step_names.iter().cloned().collect()
    }

    /// Builds one version. `steps` are the models of the steps, in the config's order.
    fn build_version(
        &self,
        version: u64,
        steps: &[Arc<LoadedModel>],
        statistics: &Arc<ModelStatistics>,
    ) -> Result<Started> {
        let models = steps.iter().map(|model| Arc::clone(model) as Arc<dyn StepModel>).collect();
        let (ensemble, ended) = Ensemble::build(&self.name, self.scheduling(), &self.interface, models)?;
        let decoupled = ensemble.is_decoupled();
        if decoupled && self.config.response_cache.is_some_and(|cache| cache.enable) {
            let error = Error::invalid_arg(format!(
                "Response Cache does not currently support model {} with 'decoupled' transaction policy. Please disable \
                 the response cache.",
                self.name
            ));
            return Err(about(error, "response_cache.enable", FaultKind::Other));
        }
        // The policy in the config is ignored: whether an ensemble is decoupled follows from its steps.
        let policy = Some(ModelTransactionPolicy { decoupled });
        let config = ModelConfig { model_transaction_policy: policy, ..self.config.clone() };
        let interface = Interface { decoupled, ..self.interface.clone() };
        statistics.want_latencies(&self.latencies.wanted(&config, decoupled));
        let sequences = sequences(steps);
        let uses = (self.count_uses || !sequences.is_empty()).then(Uses::default);
        let observers = observers(&self.observers, &self.name, version, statistics);
        let model = LoadedModel {
            ready_check: None,
            name: Arc::clone(&self.name),
            version,
            version_text: version.to_string().into(),
            series: series(&self.folder, version, &config, &Devices::none()),
            series_by_gpu: Vec::new(),
            cache: ModelCache::wanted(self.cache.as_ref(), &config, &interface, &observers),
            observers,
            config: Arc::new(config),
            interface: Arc::new(interface),
            statistics: Arc::clone(statistics),
            labels: self.labels(steps),
            sequences,
            ready_since: Vec::new(),
            last_use: LastUse::now(),
            uses,
            executor: Executor::Ensemble(ensemble),
        };
        Ok(Started { model: Arc::new(model), stopped: Stopped::Ensemble(ended), opened: None })
    }

    /// The classification labels: the ensemble's own, or for an output without any, those of the model that produces it.
    fn labels(&self, steps: &[Arc<LoadedModel>]) -> BTreeMap<Arc<str>, Vec<String>> {
        let mut labels = self.labels.clone();
        for output in &self.interface.outputs {
            for (step, model) in self.scheduling().step.iter().zip(steps) {
                let made_here = step.output_map.iter().find(|(_, tensor)| ***tensor == *output.name);
                if let Some(of_model) = made_here.and_then(|(name, _)| model.labels.get(name.as_str())) {
                    labels.entry(Arc::clone(&output.name)).or_insert_with(|| of_model.clone());
                }
            }
        }
        labels
    }
}

/// The schedulers of these models that hold sequences, each once.
fn sequences(steps: &[Arc<LoadedModel>]) -> Vec<Arc<Scheduler>> {
    let mut all: Vec<Arc<Scheduler>> = Vec::new();
    for scheduler in steps.iter().flat_map(|model| &model.sequences) {
        if !all.iter().any(|other| Arc::ptr_eq(other, scheduler)) {
            all.push(Arc::clone(scheduler));
        }
    }
    all
}

//! A loaded model.

use std::path::PathBuf;

use hippocamp_backend::{
    Device, Error, InstanceSpec, Model, ModelSource, MovableInstance, NewInstance, Result,
};
use hippocamp_batching::Batched;
use hippocamp_engine_library::give_back;
use hippocamp_model_config::{Interface, ModelConfig};
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::Settings;
use crate::arguments::Arguments;
use crate::ffi::library::Library;
use crate::ffi::module::{Facts, Module, RunSettings};
use crate::instance::Instance;
use crate::modules::{Modules, Shared};
use crate::options::{Options, Switches};
use crate::results::Results;

pub(crate) struct PyTorchModel {
    library: &'static Library,
    source: ModelSource,
    file: PathBuf,
    options: Options,
    settings: Settings,
    facts: Facts,
    modules: Modules,
    /// Declared after the modules, so that it is dropped after them. Instances hold the model until their modules are
    /// dropped.
    _end: GiveBack,
}

/// Trims the allocator when the last part of a model is dropped.
struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        give_back();
    }
}

/// The switches that a model set last: they are of the whole process.
static SWITCHES: Mutex<Switches> =
    Mutex::new(Switches { profiling: None, executor: None, tensor_fuser: None });

impl PyTorchModel {
    /// Loads the file.
    pub(crate) fn load(
        library: &'static Library,
        source: &ModelSource,
        file: PathBuf,
        options: Options,
        settings: Settings,
    ) -> Result<PyTorchModel> {
        let name = &*source.name;
        // From here on a failed load releases its memory, too.
        let end = GiveBack;
        set_for_all(library, name, &options)?;
        let first = open(library, name, &file)?;
        // What was read to load it takes as much as the model.
        give_back();
        let facts = first.module().facts.clone();
        if facts.is_training {
            warn!(model = name, "it was saved in training mode: call eval() before it is scripted or traced");
        }
        if let Some(keeper) = &facts.keeper {
            info!(model = name, "runs are not independent of each other: {keeper}");
        }
        let all_share_one = options.weight_sharing.unwrap_or(facts.keeper.is_none());
        if all_share_one && facts.keeper.is_some() {
            warn!(
                model = name,
                "ENABLE_WEIGHT_SHARING has its instances share what it keeps, and take turns"
            );
        }
        Ok(PyTorchModel {
            library,
            source: source.clone(),
            file,
            options,
            settings,
            facts,
            modules: Modules::with_first(first, all_share_one),
            _end: end,
        })
    }

    fn instance(&self, spec: &InstanceSpec, threads: usize) -> Result<Batched<Instance>> {
        let name = &*self.source.name;
        if let Device::Gpu(gpu) = spec.device {
            return Err(Error::unsupported(format!(
                "unable to load model '{name}', PyTorch runs on the CPU here, its config names GPU {gpu}"
            )));
        }
        let module = self.modules.get(|| open(self.library, name, &self.file))?;
        let run = RunSettings {
            threads,
            inference_mode: self.options.inference_mode,
            optimized: self.options.optimized,
        };
        let arguments = Arguments::of(name, &self.facts, &spec.interface)?;
        let results = Results::of(name, &self.facts, &spec.interface)?;
        let instance = Instance::new(module, run, arguments, results, &spec.interface);
        Ok(Batched::new(instance, spec.interface.clone()))
    }

    /// Threads within an operation. The CPUs are divided among the instances, which all may run at once.
    fn threads(&self, config: &ModelConfig) -> usize {
        let instances: i32 = config.instance_group.iter().map(|group| group.count.max(1)).sum();
        let share = || std::thread::available_parallelism().map_or(1, Into::into) / instances.max(1) as usize;
        self.options.intra_threads.or(self.settings.intra_op_thread_count).unwrap_or_else(share).max(1)
    }
}

/// Sets what a model's parameters say for the whole process.
fn set_for_all(library: &Library, model: &str, options: &Options) -> Result<()> {
    if let Some(count) = options.inter_threads
        && let Err(why) = library.set_interop_threads(count)
    {
        warn!(
            model,
            "INTER_OP_THREAD_COUNT is of the whole process, and cannot be set to {count} now: {why}"
        );
    }
    let wanted = options.switches;
    if wanted == Switches::default() {
        return Ok(());
    }
    let mut last = SWITCHES.lock();
    let merged = Switches {
        profiling: wanted.profiling.or(last.profiling),
        executor: wanted.executor.or(last.executor),
        tensor_fuser: wanted.tensor_fuser.or(last.tensor_fuser),
    };
    if *last != Switches::default() && *last != merged {
        warn!(
            model,
            "its ENABLE_JIT_... and ENABLE_TENSOR_FUSER hold for all models of the process from now on"
        );
    }
    *last = merged;
    library.set_switches(wanted).map_err(|fault| fault.of_load(model, "its parameters cannot be set"))
}

fn open(library: &'static Library, model: &str, file: &std::path::Path) -> Result<Shared> {
    let module = Module::load(library, file).map_err(|fault| {
        if fault.message.contains("constants.pkl") {
            return Error::invalid_arg(format!(
                "unable to load model '{model}', '{}' holds weights without the model, as torch.save writes them: save the model \
                 itself, by torch.jit.script(model).save(\"model.pt\")",
                file.display()
            ));
        }
        if fault.message.contains("required keyword attribute 'value' is undefined") {
            return Error::invalid_arg(format!(
                "unable to load model '{model}', '{}' was saved behind torch.jit.optimize_for_inference, whose models cannot be \
                 saved: leave that out, or use torch.jit.freeze",
                file.display()
            ));
        }
        fault.of_load(model, "PyTorch refuses its file")
    })?;
    Ok(Shared::new(module))
}

impl Model for PyTorchModel {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        // A file names the arguments of its model, but not their types and shapes.
        Ok(())
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        let interface = Interface::new(config)
            .map_err(|faults| Error::invalid_arg(faults.to_string()).with_source(faults))?;
        Arguments::of(&self.source.name, &self.facts, &interface)?;
        Results::of(&self.source.name, &self.facts, &interface).map(drop)
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let threads = self.threads(&spec.config);
        let instance = self.instance(spec, threads)?;
        // OpenMP keeps threads for each thread that starts some, so an instance with more than one stays on its own.
        Ok(if threads == 1 { NewInstance::movable(instance) } else { NewInstance::bound(instance) })
    }

    fn extra_instance(&self, spec: &InstanceSpec) -> Option<MovableInstance> {
        let threads = self.threads(&spec.config);
        let is_free = threads == 1 && self.modules.all_share_one() && self.facts.keeper.is_none();
        Some(Box::new(is_free.then(|| self.instance(spec, threads).ok())??))
    }
}

impl std::fmt::Debug for PyTorchModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PyTorchModel").field("file", &self.file).finish_non_exhaustive()
    }
}

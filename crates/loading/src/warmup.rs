//! Warm-up: an instance executes the samples of the config before it serves, so that no client waits for the work that an
//! engine does once, at its first request.

mod sample;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{
    Batch, BatchStrategy, Delivery, Error, Event, Finish, InstanceSpec, Model, ModelInstance,
    MovableInstance, NewInstance, Request, ResponseReceiver, Result, channel,
};
use hippocamp_model_config::{FaultKind, FileUse, Interface, ModelConfig};
use hippocamp_proto::inference::model_warmup::input::InputDataType;
use sample::Sample;
use tracing::debug;

use crate::faults::about;

/// Wraps a model so that each of its instances is warmed up on its own thread when it is made. The version is ready when all
/// of its instances are. Statistics do not count these requests, as no client sent them.
struct WarmModel {
    model: Arc<dyn Model>,
    samples: Vec<Sample>,
}

/// Adds to the model the warm-up of its config, if there is any. `folder` is the model's folder.
pub fn warmed_up(
    model: Arc<dyn Model>,
    config: &ModelConfig,
    interface: &Interface,
    folder: &Path,
) -> Result<Arc<dyn Model>> {
    let samples = sample::read(config, interface, folder)?;
    if samples.is_empty() {
        return Ok(model);
    }
    Ok(Arc::new(WarmModel { model, samples }))
}

/// Opens every file of warm-up data that the config names, and returns the error of each that cannot be opened.
pub fn open_files(config: &ModelConfig, folder: &Path) -> Vec<Error> {
    let mut errors = Vec::new();
    for (index, warmup) in config.model_warmup.iter().enumerate() {
        for (name, input) in &warmup.inputs {
            let Some(InputDataType::InputDataFile(file)) = &input.input_data_type else { continue };
            if let Err(error) = sample::open(&config.name, folder, file) {
                let path = format!("model_warmup[{index}].inputs[\"{name}\"].input_data_file");
                errors.push(about(error, &path, FaultKind::File(FileUse::WarmUp)));
            }
        }
    }
    errors
}

impl Model for WarmModel {
    fn complete_config(&self, config: &mut ModelConfig, default_max_batch_size: i32) -> Result<()> {
        self.model.complete_config(config, default_max_batch_size)
    }

    fn check_config(&self, config: &ModelConfig) -> Result<()> {
        self.model.check_config(config)
    }

    fn serves_under(&self, loaded: &ModelConfig, config: &ModelConfig) -> bool {
        self.model.serves_under(loaded, config)
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let mut instance = self.model.new_instance(spec)?;
        self.warm_up(spec, &mut instance)?;
        Ok(instance)
    }

    fn batch_strategy(
        &self,
        config: &ModelConfig,
        interface: &Arc<Interface>,
    ) -> Result<Option<Arc<dyn BatchStrategy>>> {
        self.model.batch_strategy(config, interface)
    }

    fn has_ready_check(&self) -> bool {
        self.model.has_ready_check()
    }

    fn check_ready(&self) -> Result<()> {
        self.model.check_ready()
    }

    fn prepared_batch_sizes(&self, config: &ModelConfig) -> Vec<usize> {
        self.model.prepared_batch_sizes(config)
    }

    fn extra_instance(&self, spec: &InstanceSpec) -> Option<MovableInstance> {
        // What can be warm, it shares with those that are.
        self.model.extra_instance(spec)
    }
}

impl WarmModel {
    fn warm_up(&self, spec: &InstanceSpec, instance: &mut dyn ModelInstance) -> Result<()> {
        for sample in &self.samples {
            for iteration in 1..=sample.count {
                debug!(
                    model = spec.config.name,
                    instance = spec.name,
                    sample = sample.name,
                    iteration,
                    "warm-up"
                );
                run(sample, instance, &spec.interface)?;
            }
        }
        Ok(())
    }
}

/// Executes a sample once. An error response fails the warm-up; the content of other responses is ignored.
fn run(sample: &Sample, instance: &mut dyn ModelInstance, interface: &Interface) -> Result<()> {
    let mut errors = String::new();
    // Each request has one batch entry. A model without a batch dimension executes them one at a time.
    let (batches, size) = if interface.max_batch_size > 0 { (1, sample.size) } else { (sample.size, 1) };
    for _ in 0..batches {
        let (mut batch, receivers): (Batch, Vec<_>) = (0..size).map(|_| request(sample, interface)).unzip();
        if batch.execute_on(instance) == Finish::Panicked {
            return Err(Error::internal(format!("the backend panicked in warmup sample '{}'", sample.name)));
        }
        // A request that the backend did not answer gets an error when its sender is dropped.
        drop(batch);
        for error in errors_of(receivers)? {
            errors.extend([error.message(), "; "]);
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let error = Error::invalid_arg(format!("failed to run warmup sample '{}': {errors}", sample.name));
    Err(about(error, "model_warmup", FaultKind::Other))
}

fn request(sample: &Sample, interface: &Interface) -> (Request, ResponseReceiver) {
    let now = Instant::now();
    let delivery = if interface.decoupled { Delivery::Many } else { Delivery::Once };
    let (response, receiver) = channel(delivery, now, Arc::default());
    let request = Request::new(sample.inputs.clone(), 1, response);
    (request, receiver)
}

/// Waits for all responses. A decoupled backend may send them from threads of its own.
fn errors_of(receivers: Vec<ResponseReceiver>) -> Result<Vec<Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|e| Error::internal(format!("failed to wait for a warm-up: {e}")))?;
    Ok(runtime.block_on(async {
        let mut errors = Vec::new();
        for mut receiver in receivers {
            while let Some(event) = receiver.next().await {
                if let Event::Failed(error) | Event::ResponseFailed(error) = event {
                    errors.push(error);
                }
            }
        }
        errors
    }))
}

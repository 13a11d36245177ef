//! `fail`: a model whose executions always fail.

use hippocamp_backend::{
    Backend, BackendFacts, Batch, Error, FailureReason, InstanceSpec, Model, ModelInstance, ModelSource,
    NewInstance, Result,
};
use hippocamp_model_config::ModelConfig;

use crate::FACTS;

/// Answers every request with an error. Accepts any config.
#[derive(Debug)]
pub(crate) struct Fail;

impl Backend for Fail {
    fn name(&self) -> &'static str {
        "fail"
    }

    fn facts(&self) -> BackendFacts {
        FACTS
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        Ok(Box::new(Fail))
    }
}

impl Model for Fail {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(Fail))
    }
}

impl ModelInstance for Fail {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.drain(..) {
            request.fail(Error::invalid_arg("boom from the model"), FailureReason::Backend);
        }
    }
}

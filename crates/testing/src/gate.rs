//! A backend whose executions wait until the test lets them through.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::{
    Backend, Batch, Delivery, Error, ExecutionTimes, FailureReason, InstanceSpec, Model, ModelInstance,
    ModelSource, NewInstance, Response, Result,
};
use hippocamp_model_config::ModelConfig;
use parking_lot::{Condvar, Mutex};

/// The backend `gate`, whose executions are recorded and then wait for [`Gate::open`]. An execution ends early once all
/// its clients are gone. Responses have no outputs; a decoupled model sends one response.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The request ids of each execution, in the order in which the executions began.
    executions: Vec<Vec<String>>,
    /// How many waiting executions may continue.
    let_through: usize,
    abandoned: usize,
}

impl Gate {
    /// The request ids of each execution that has begun.
    pub fn executions(&self) -> Vec<Vec<String>> {
        self.0.state.lock().executions.clone()
    }

    /// Waits until `count` executions have begun, and returns the request ids of each.
    pub async fn begun(&self, count: usize) -> Vec<Vec<String>> {
        loop {
            let executions = self.executions();
            if executions.len() >= count {
                return executions;
            }
            tokio::task::yield_now().await;
        }
    }

    /// How many executions ended because all their clients were gone.
    pub fn abandoned(&self) -> usize {
        self.0.state.lock().abandoned
    }

    /// Lets `executions` executions continue, those that wait now or those that come next.
    pub fn open(&self, executions: usize) {
        self.0.state.lock().let_through += executions;
        self.0.opened.notify_all();
    }

    /// Waits until the execution may continue; false once nobody waits for its responses.
    fn pass(&self, batch: &Batch) -> bool {
        let mut state = self.0.state.lock();
        state.executions.push(batch.iter().map(|request| request.id().to_string()).collect());
        loop {
            if state.let_through > 0 {
                state.let_through -= 1;
                return true;
            }
            if batch.iter().all(hippocamp_backend::Request::is_cancelled) {
                state.abandoned += 1;
                return false;
            }
            // A client that goes away wakes nobody, so it is polled.
            self.0.opened.wait_for(&mut state, Duration::from_millis(1));
        }
    }
}

impl Backend for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        Ok(Box::new(self.clone()))
    }
}

impl Model for Gate {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(self.clone()))
    }
}

impl ModelInstance for Gate {
    fn execute(&mut self, batch: &mut Batch) {
        let times = ExecutionTimes::starting(batch.started());
        let passed = self.pass(batch);
        if let Some(first) = batch.first().filter(|_| passed) {
            let size: usize = batch.iter().map(|request| request.batch_size).sum();
            first.response.executed(size, &times);
        }
        for mut request in batch.drain(..) {
            match request.response.delivery() {
                _ if !passed => request.fail(Error::cancelled("nobody waits"), FailureReason::Canceled),
                Delivery::Once => request.succeed(Response::default(), &times),
                Delivery::Many => {
                    request.response.send(Response::default());
                    request.response.finish(request.queued, &times);
                }
            }
        }
    }
}

/// The config of a model of this backend with one optional FP32 input of any width. `more` is appended verbatim.
pub fn gate_config(max_batch_size: u32, more: &str) -> String {
    format!(
        "backend: \"gate\" max_batch_size: {max_batch_size}\n\
         input {{ name: \"INPUT0\" data_type: TYPE_FP32 dims: -1 optional: true }}\n\
         output {{ name: \"OUTPUT0\" data_type: TYPE_FP32 dims: -1 }}\n\
         {more}\n"
    )
}

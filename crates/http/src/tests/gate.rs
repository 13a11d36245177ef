//! A backend whose executions wait until they are let through, or until their client is gone. A decoupled model sends a
//! response each time, and ends only with its client.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hippocamp_backend::{
    Backend, Batch, Delivery, Error, ExecutionTimes, FailureReason, InstanceSpec, Model, ModelInstance,
    ModelSource, NewInstance, Response, Result,
};
use hippocamp_model_config::ModelConfig;

/// What an execution tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Started,
    Cancelled,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<Channels>);

#[derive(Debug)]
struct Channels {
    news: (Sender<News>, Mutex<Receiver<News>>),
    open: (Sender<()>, Mutex<Receiver<()>>),
}

impl Default for Channels {
    fn default() -> Self {
        let (news, open) = (channel(), channel());
        Channels { news: (news.0, Mutex::new(news.1)), open: (open.0, Mutex::new(open.1)) }
    }
}

impl Gate {
    /// Waits for what the next execution tells. Blocks the thread; fails if nothing ever comes.
    pub(super) fn news(&self) -> News {
        self.0
            .news
            .1
            .lock()
            .unwrap()
            .recv_timeout(Duration::from_mins(1))
            .expect("an execution tells something")
    }

    /// Lets one execution through, or one response of a decoupled model.
    pub(super) fn open(&self) {
        self.0.open.0.send(()).unwrap();
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
        for mut request in batch.drain(..) {
            self.0.news.0.send(News::Started).unwrap();
            let open = self.0.open.1.lock().unwrap();
            loop {
                if open.try_recv().is_ok() {
                    if request.response.delivery() == Delivery::Many {
                        request.response.send(Response::default());
                        continue;
                    }
                    request.succeed(Response::default(), &ExecutionTimes::now());
                    break;
                }
                if request.is_cancelled() {
                    request.fail(Error::cancelled("gone"), FailureReason::Canceled);
                    self.0.news.0.send(News::Cancelled).unwrap();
                    break;
                }
                thread::yield_now();
            }
        }
    }
}

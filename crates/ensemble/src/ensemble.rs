//! An ensemble that can be asked.

use std::sync::Arc;

use hippocamp_backend::{Request, Result};
use hippocamp_model_config::{Interface, ModelEnsembling};
use tokio::sync::mpsc;

use crate::StepModel;
use crate::build::build;
use crate::graph::Graph;
use crate::run::Run;

/// The steps of an ensemble, each with the version of the model that it runs. Those stay loaded as long as the ensemble
/// and the requests that it was asked.
#[derive(Debug)]
pub struct Ensemble {
    graph: Arc<Graph>,
}

impl Ensemble {
    /// Of an ensemble whose config was validated on its own. `models` are those of its steps, in the config's order.
    /// Fails with Triton's text if they do not fit together.
    pub fn build(
        name: &Arc<str>,
        config: &ModelEnsembling,
        interface: &Interface,
        models: Vec<Arc<dyn StepModel>>,
    ) -> Result<(Ensemble, Ended)> {
        let (alive, ended) = mpsc::channel(1);
        let graph = build(name, config, interface, models, alive)?;
        Ok((Ensemble { graph: Arc::new(graph) }, Ended(ended)))
    }

    /// Whether a request has any number of responses, because a step has.
    pub fn is_decoupled(&self) -> bool {
        self.graph.interface.decoupled
    }

    /// Takes a request that was checked against the ensemble's own interface, queues its first steps and returns at once.
    pub fn enqueue(&self, request: Request) {
        Run::start(&self.graph, request);
    }

    /// The models of the steps.
    pub fn models(&self) -> impl Iterator<Item = &Arc<dyn StepModel>> {
        self.graph.steps.iter().map(|step| &step.model)
    }
}

/// Tells when an ensemble was dropped and its last request is done, so that it holds no model any more.
#[derive(Debug)]
pub struct Ended(mpsc::Receiver<()>);

impl Ended {
    pub async fn wait(mut self) {
        // Nothing is ever sent: the channel closes when the graph drops its end.
        while self.0.recv().await.is_some() {}
    }
}

//! A loaded ensemble.

use std::sync::Arc;

use hippocamp_backend::{Request, Result};
use hippocamp_model_config::{Interface, ModelEnsembling};
use hippocamp_tensor::Place;
use tokio::sync::mpsc;

use crate::StepModel;
use crate::build::build;
use crate::graph::Graph;
use crate::run::Run;

/// The steps of an ensemble, each with a version of its model. These versions stay loaded as long as the ensemble and
/// its requests.
#[derive(Debug)]
pub struct Ensemble {
    graph: Arc<Graph>,
}

impl Ensemble {
    /// Builds an ensemble whose config was validated. `models` are the models of its steps, in the config's order.
    /// Fails with Triton's message if they do not fit together.
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

    /// Whether a request may have any number of responses, because a step is decoupled.
    pub fn is_decoupled(&self) -> bool {
        self.graph.interface.decoupled
    }

    /// Queues the first steps of a request that was checked against the ensemble's interface, and returns at once.
    pub fn enqueue(&self, request: Request) {
        Run::start(&self.graph, request);
    }

    /// Where the input at that place of the ensemble's list is read best: where the first step that takes it reads it.
    pub fn input_place(&self, input: usize) -> Place {
        self.graph.input_place(input)
    }

    /// The models of the steps.
    pub fn models(&self) -> impl Iterator<Item = &Arc<dyn StepModel>> {
        self.graph.steps.iter().map(|step| &step.model)
    }
}

/// Completes once an ensemble was dropped and its last request is done, so that it no longer holds any model.
#[derive(Debug)]
pub struct Ended(mpsc::Receiver<()>);

impl Ended {
    pub async fn wait(mut self) {
        // Nothing is ever sent; the channel closes when the graph is dropped.
        while self.0.recv().await.is_some() {}
    }
}

//! A model on its way to be loaded, or to be checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_model_config::ModelConfig;
use hippocamp_repository::ModelFolder;

use crate::Context;
use crate::report::Report;
use crate::steps::Step;
use crate::written::Written;

/// What is known of a model while the [steps](crate::steps) are taken.
#[derive(Debug)]
pub(crate) struct Preparation<'a> {
    pub(crate) context: &'a Context,
    pub(crate) folder: &'a ModelFolder,
    /// A config in place of the one in the folder.
    pub(crate) json: Option<&'a str>,
    /// The config with its place in the text; the steps fill in what is left out.
    pub(crate) written: Written,
    /// The versions that the config selects, lowest first.
    pub(crate) versions: Vec<u64>,
    /// The labels of each output that has a label file.
    pub(crate) labels: BTreeMap<Arc<str>, Vec<String>>,
    /// Set by a step behind which no other makes sense.
    pub(crate) is_over: bool,
    pub(crate) report: Report,
}

/// How far steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// No step is taken behind one that found an error.
    FirstFault,
    /// All steps are taken, whatever they find.
    End,
}

impl<'a> Preparation<'a> {
    pub(crate) fn new(
        context: &'a Context,
        folder: &'a ModelFolder,
        json: Option<&'a str>,
    ) -> Preparation<'a> {
        let (written, versions, labels) = Default::default();
        let report = Report::default();
        Preparation { context, folder, json, written, versions, labels, is_over: false, report }
    }

    pub(crate) fn config(&self) -> &ModelConfig {
        &self.written.config
    }

    pub(crate) fn take(&mut self, steps: &[Step], until: Until) {
        for Step(step) in steps {
            let faulty = until == Until::FirstFault && !self.report.errors.is_empty();
            if self.is_over || faulty {
                return;
            }
            step(self);
        }
    }
}

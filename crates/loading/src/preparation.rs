//! The state of a model between the steps of a load or of a check.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_model_config::ModelConfig;
use hippocamp_repository::ModelFolder;

use crate::Context;
use crate::report::Report;
use crate::steps::Step;
use crate::written::Written;

/// What the [steps](crate::steps) have found out about a model so far.
#[derive(Debug)]
pub(crate) struct Preparation<'a> {
    pub(crate) context: &'a Context,
    pub(crate) folder: &'a ModelFolder,
    /// A config in JSON that replaces the one in the folder.
    pub(crate) json: Option<&'a str>,
    /// The config and the places of its fields. The steps fill in the defaults.
    pub(crate) written: Written,
    /// The versions that the config selects, lowest first.
    pub(crate) versions: Vec<u64>,
    /// The labels of each output that has a label file, by the output's name.
    pub(crate) labels: BTreeMap<Arc<str>, Vec<String>>,
    /// Set by a step after which the other steps have nothing to work on.
    pub(crate) is_over: bool,
    pub(crate) report: Report,
}

/// How far a list of steps is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The run ends after the first step that reports an error.
    FirstFault,
    /// All steps are run, whatever they report.
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

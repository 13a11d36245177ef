//! The steps as a check takes them.

use hippocamp_model_config::{Fault, FaultKind, ModelConfig, Spans};
use hippocamp_repository::ModelFolder;

use crate::Context;
use crate::faults::faults_of;
use crate::preparation::{Preparation, Until};
use crate::steps::{CONFIG, REQUIREMENTS};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The model would not load.
    Error,
    /// It would, but not all that was written has an effect, or not all could be checked.
    Warning,
}

/// One thing that is wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// In the config's text, counted from 1; 0 where the text has no place for it.
    pub line: u32,
    pub column: u32,
    /// The config's field; empty if it is about none.
    pub field: String,
    pub message: String,
    pub kind: FaultKind,
}

impl Finding {
    /// The fault, at its place in the text that these spans are of.
    pub fn new(severity: Severity, fault: Fault, spans: Option<&Spans>) -> Finding {
        let Fault { mut line, mut column, path, message, kind } = fault;
        if line == 0 {
            (line, column) = spans.and_then(|spans| spans.locate(&path)).unwrap_or_default();
        }
        Finding { severity, line, column, field: path, message, kind }
    }
}

/// What was found, and the config as far as it could be read.
#[derive(Debug, Default)]
pub struct ModelCheck {
    /// Errors first, each once.
    pub findings: Vec<Finding>,
    /// With defaults, not completed from a model file; `None` if it could not be read.
    pub config: Option<ModelConfig>,
    /// Of the config's text.
    pub spans: Option<Spans>,
    /// The versions that would be loaded.
    pub versions: Vec<u64>,
}

/// Takes all steps of a load up to the model files and tells all that is wrong. Opens no model file.
pub fn check_model(context: &Context, folder: &ModelFolder) -> ModelCheck {
    let mut model = Preparation::new(context, folder, None);
    model.take(&CONFIG, Until::End);
    model.take(&REQUIREMENTS, Until::End);
    let Preparation { written, versions, report, is_over, .. } = model;
    let spans = written.spans;
    let config_path = folder.config_path.as_deref();
    let errors = report.errors.iter().flat_map(|error| faults_of(error, config_path));
    let errors = errors.map(|fault| Finding::new(Severity::Error, fault, spans.as_ref()));
    let warnings = report.warnings.into_iter();
    let warnings = warnings.map(|fault| Finding::new(Severity::Warning, fault, spans.as_ref()));
    let mut findings: Vec<Finding> = Vec::new();
    for finding in errors.chain(warnings) {
        let is_same = |told: &Finding| told.field == finding.field && told.message == finding.message;
        if !findings.iter().any(is_same) {
            findings.push(finding);
        }
    }
    ModelCheck { findings, config: (!is_over).then_some(written.config), spans, versions }
}

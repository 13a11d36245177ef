//! The check of one model: it runs all steps of [`steps`](crate::steps) and collects what they find.

use hippocamp_model_config::{Fault, FaultKind, ModelConfig, Spans};
use hippocamp_repository::ModelFolder;

use crate::Context;
use crate::faults::faults_of;
use crate::preparation::{Preparation, Until};
use crate::steps::{CONFIG, REQUIREMENTS};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The model cannot be loaded.
    Error,
    /// The model can be loaded, but a part of its config or folder has no effect, or could not be checked.
    Warning,
}

/// One thing that is wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// The line in the config's text, counted from 1; 0 if the finding is at no known place.
    pub line: u32,
    pub column: u32,
    /// The field of the config, such as `input[0].dims`; empty if the finding is about no field.
    pub field: String,
    pub message: String,
    pub kind: FaultKind,
}

impl Finding {
    /// A finding for a fault. `spans` are those of the config's text and give the fault its line and column if it has none.
    pub fn new(severity: Severity, fault: Fault, spans: Option<&Spans>) -> Finding {
        let Fault { mut line, mut column, path, message, kind } = fault;
        if line == 0 {
            (line, column) = spans.and_then(|spans| spans.locate(&path)).unwrap_or_default();
        }
        Finding { severity, line, column, field: path, message, kind }
    }
}

/// The result of checking one model.
#[derive(Debug, Default)]
pub struct ModelCheck {
    /// The errors, then the warnings; the same finding is listed once.
    pub findings: Vec<Finding>,
    /// The config with defaults, not completed from a model file; `None` if it could not be read.
    pub config: Option<ModelConfig>,
    /// The places of the fields in the config's text.
    pub spans: Option<Spans>,
    /// The versions that a load would load.
    pub versions: Vec<u64>,
}

/// Runs all steps that come before the model file is opened, and collects everything that they find.
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

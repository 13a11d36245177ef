//! What a model's config sets for its sessions: the parameters of Triton's ONNX Runtime backend.
//!
//! Parameters that are not known are left alone, because configs carry parameters for others, too. A value that a known
//! one cannot have is an error.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use hippocamp_backend::{Error, ModelSource, Result};
use hippocamp_model_config::{ModelConfig, parameter};
use ort::session::builder::GraphOptimizationLevel;

use crate::Settings;
use crate::operator_libraries::operator_libraries;
use crate::pools::Wishes;
use crate::providers::Providers;
use crate::settings::{parse_count, parse_flag};

/// Entries with these beginnings go to the session as they are.
const SESSION_ENTRIES: [&str; 4] = ["session.", "optimization.", "ep.", "mlas."];

/// A run gives back memory of the arenas of these devices when it is done.
pub(crate) const ARENA_SHRINKAGE: &str = "memory.enable_memory_arena_shrinkage";

/// How the sessions of a model are made.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) level: GraphOptimizationLevel,
    pub(crate) wishes: Wishes,
    /// `None` where the engine's default holds.
    pub(crate) mem_arena: Option<bool>,
    pub(crate) mem_pattern: Option<bool>,
    pub(crate) session_entries: Vec<(String, String)>,
    /// Entries for every run.
    pub(crate) run_entries: Vec<(String, String)>,
    pub(crate) providers: Providers,
    /// Whether the engine maps files with weights. They must not change then while the model is loaded or serves.
    pub(crate) map_external_data: bool,
    /// Libraries of custom operators, which are there.
    pub(crate) operator_libraries: Vec<PathBuf>,
    /// Whether instances on the CPU run one session. `None`: where each has what it would have of its own.
    pub(crate) share_session: Option<bool>,
}

impl Options {
    pub(crate) fn of(model: &str, config: &ModelConfig) -> Result<Options> {
        let parameters = Parameters { model, config };
        parameters.no_null_bytes()?;
        let custom = config.model_operations.as_ref().is_some_and(|ops| !ops.op_library_filename.is_empty());
        let mem_arena = parameters.flag("enable_mem_arena")?;
        let shrinkage = parameters.arena_shrinkage(mem_arena)?;
        Ok(Options {
            level: parameters.level()?,
            wishes: Wishes {
                intra: parameters.count("intra_op_thread_count")?,
                inter: parameters.count("inter_op_thread_count")?,
                parallel: parameters.flag("execution_mode")?.unwrap_or(false),
            },
            mem_arena,
            mem_pattern: parameters.flag("enable_mem_pattern")?,
            session_entries: parameters.session_entries(),
            run_entries: shrinkage.map(|devices| (ARENA_SHRINKAGE.to_owned(), devices)).into_iter().collect(),
            providers: Providers::of(model, config)?,
            map_external_data: parameters.flag("map_external_data")?.unwrap_or(false),
            operator_libraries: Vec::new(),
            // Whether operators of others may run on several threads at once, nobody knows.
            share_session: parameters.flag("share_session_between_instances")?.or(custom.then_some(false)),
        })
    }

    /// With the libraries of operators that the config names.
    pub(crate) fn with_libraries(self, source: &ModelSource, settings: &Settings) -> Result<Options> {
        Ok(Options { operator_libraries: operator_libraries(source, settings)?, ..self })
    }

    /// The value of an entry that the config sets.
    pub(crate) fn sets(&self, key: &str) -> bool {
        self.session_entries.iter().any(|(k, _)| k == key)
    }
}

/// The parameters of a config, by what they have to be.
pub(crate) struct Parameters<'a> {
    pub(crate) model: &'a str,
    pub(crate) config: &'a ModelConfig,
}

impl Parameters<'_> {
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        parameter(self.config, key)
    }

    #[cold]
    pub(crate) fn wrong(&self, key: &str, expected: &str, got: &str) -> Error {
        let model = self.model;
        Error::invalid_arg(format!(
            "unable to load model '{model}', parameter '{key}' was expected to be {expected}, got '{got}'"
        ))
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        let parse = |text| parse_flag(text).ok_or_else(|| self.wrong(key, "0 or 1", text));
        self.text(key).map(parse).transpose()
    }

    /// A number of threads; 0 and -1 are no wish.
    fn count(&self, key: &str) -> Result<Option<usize>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let count = parse_count(text).ok_or_else(|| self.wrong(key, "a number of threads", text))?;
        Ok((count > 0).then_some(count))
    }

    /// The numbers are Triton's own: they are not in order of strength.
    fn level(&self) -> Result<GraphOptimizationLevel> {
        let of_config =
            || self.config.optimization.as_ref()?.graph.as_ref().map(|graph| graph.level.to_string());
        let text = self.text("level").map(str::to_owned).or_else(of_config);
        let of_field = self.text("level").is_none();
        match text.as_deref().map(str::trim) {
            None | Some("0") => Ok(GraphOptimizationLevel::All),
            // Of the field, as Triton does; of the parameter it would be a slip.
            Some(level) if of_field && !["-1", "1", "2"].contains(&level) => Ok(GraphOptimizationLevel::All),
            Some("-1") => Ok(GraphOptimizationLevel::Level1),
            Some("1") => Ok(GraphOptimizationLevel::Level2),
            Some("2") => Ok(GraphOptimizationLevel::Disable),
            Some(other) => {
                let expected = "-1 (basic), 0 (all), 1 (extended) or 2 (none)";
                Err(self.wrong("level", expected, other))
            }
        }
    }

    /// Devices like `cpu:0;gpu:0`. A list that the engine does not understand would fail every run.
    fn arena_shrinkage(&self, mem_arena: Option<bool>) -> Result<Option<String>> {
        let Some(text) = self.text(ARENA_SHRINKAGE) else { return Ok(None) };
        let is_device = |device: &str| {
            let split = device.split_once(':');
            split.is_some_and(|(kind, id)| ["cpu", "gpu"].contains(&kind) && id.parse::<u16>().is_ok())
        };
        if !text.split(';').all(is_device) {
            return Err(self.wrong(ARENA_SHRINKAGE, "a list of devices such as cpu:0;gpu:0", text));
        }
        if mem_arena == Some(false) && text.contains("cpu") {
            return Err(self.wrong(
                ARENA_SHRINKAGE,
                "a list without cpu, because enable_mem_arena is 0",
                text,
            ));
        }
        Ok(Some(text.to_owned()))
    }

    fn session_entries(&self) -> Vec<(String, String)> {
        let parameters = self.config.parameters.iter();
        let ours = parameters.filter(|(key, _)| SESSION_ENTRIES.iter().any(|start| key.starts_with(start)));
        let mut entries: Vec<_> =
            ours.map(|(key, value)| (key.clone(), value.string_value.clone())).collect();
        entries.sort();
        entries
    }

    /// The engine's interface takes C strings.
    fn no_null_bytes(&self) -> Result<()> {
        let bad = |(key, value): &(&String, &str)| key.contains('\0') || value.contains('\0');
        let texts = self.config.parameters.iter().map(|(key, value)| (key, value.string_value.as_str()));
        match { texts }.find(bad) {
            Some((key, value)) => Err(self.wrong(key, "a text without null bytes", value)),
            None => Ok(()),
        }
    }
}

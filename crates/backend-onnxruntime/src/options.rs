//! The parameters of Triton's ONNX Runtime backend in a model's config.
//!
//! Unknown parameters are ignored, because configs have parameters for other readers, too. An invalid value of a known
//! parameter is an error.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use hippocamp_backend::{Error, ModelSource, Result};
use hippocamp_model_config::{ModelConfig, parameter};
use ort::session::builder::GraphOptimizationLevel;

use crate::Settings;
use crate::operator_libraries::operator_libraries;
use crate::pools::ThreadCounts;
use crate::providers::Providers;
use crate::settings::{parse_count, parse_flag};

/// The prefixes of entries that are passed to the session unchanged.
const SESSION_ENTRIES: [&str; 4] = ["session.", "optimization.", "ep.", "mlas."];

/// The entry by which a run shrinks the arenas of the given devices when it ends.
pub(crate) const ARENA_SHRINKAGE: &str = "memory.enable_memory_arena_shrinkage";

/// The parameter that says how many plans an instance keeps.
const PLAN_CACHE_SIZE: &str = "plan_cache_size";

/// How many that is by default.
const PLANS: usize = 8;

/// The options of a model's sessions.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) level: GraphOptimizationLevel,
    pub(crate) counts: ThreadCounts,
    /// `None` for the engine's default.
    pub(crate) mem_arena: Option<bool>,
    pub(crate) mem_pattern: Option<bool>,
    pub(crate) session_entries: Vec<(String, String)>,
    /// The entries of every run.
    pub(crate) run_entries: Vec<(String, String)>,
    pub(crate) providers: Providers,
    /// Whether the engine maps files with weights, which then must not change while the model is loaded.
    pub(crate) map_external_data: bool,
    /// The paths of libraries of custom operators; all exist.
    pub(crate) operator_libraries: Vec<PathBuf>,
    /// How many plans for shapes of inputs an instance on a GPU keeps, for a model that leaves sizes open.
    pub(crate) plan_cache_size: usize,
    /// Whether instances on the CPU share one session; `None` if they do unless that changes their threads.
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
            counts: ThreadCounts {
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
            plan_cache_size: parameters.count(PLAN_CACHE_SIZE)?.unwrap_or(PLANS),
            // Custom operators may not be thread-safe.
            share_session: parameters.flag("share_session_between_instances")?.or(custom.then_some(false)),
        })
    }

    /// Adds the libraries of operators that the config names.
    pub(crate) fn with_libraries(self, source: &ModelSource, settings: &Settings) -> Result<Options> {
        Ok(Options { operator_libraries: operator_libraries(source, settings)?, ..self })
    }

    /// Whether runs on a GPU may be captured as graphs. A graph needs the memory that it was captured with.
    pub(crate) fn can_be_captured(&self) -> bool {
        let shrinks =
            self.run_entries.iter().any(|(key, value)| key == ARENA_SHRINKAGE && value.contains("gpu"));
        self.providers.capture() && !shrinks
    }

    /// Whether the config sets this entry.
    pub(crate) fn sets(&self, key: &str) -> bool {
        self.session_entries.iter().any(|(k, _)| k == key)
    }
}

/// Reads the parameters of a config by type.
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

    /// A number of threads; `None` for 0 and -1.
    fn count(&self, key: &str) -> Result<Option<usize>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let count = parse_count(text).ok_or_else(|| self.wrong(key, "a number of threads", text))?;
        Ok((count > 0).then_some(count))
    }

    /// The graph optimization level. The numbers are Triton's, which are not in order of strength.
    fn level(&self) -> Result<GraphOptimizationLevel> {
        let of_config =
            || self.config.optimization.as_ref()?.graph.as_ref().map(|graph| graph.level.to_string());
        let text = self.text("level").map(str::to_owned).or_else(of_config);
        let of_field = self.text("level").is_none();
        match text.as_deref().map(str::trim) {
            None | Some("0") => Ok(GraphOptimizationLevel::All),
            // In the field other numbers are accepted, as in Triton; in the parameter they are refused.
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

    /// A list of devices such as `cpu:0;gpu:0`. Validated here, because an invalid list would fail every run.
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

    /// Checks for null bytes, because the engine's interface takes C strings.
    fn no_null_bytes(&self) -> Result<()> {
        let bad = |(key, value): &(&String, &str)| key.contains('\0') || value.contains('\0');
        let texts = self.config.parameters.iter().map(|(key, value)| (key, value.string_value.as_str()));
        match { texts }.find(bad) {
            Some((key, value)) => Err(self.wrong(key, "a text without null bytes", value)),
            None => Ok(()),
        }
    }
}

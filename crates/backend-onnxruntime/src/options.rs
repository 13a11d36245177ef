//! The parameters of Triton's ONNX Runtime backend in a model's config.
//!
//! Unknown parameters are ignored, because configs have parameters for other readers, too. An invalid value of a known
//! parameter is an error.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use hippocamp_backend::{ModelSource, Result};
use hippocamp_backend_options::Parameters;
use hippocamp_model_config::ModelConfig;
use ort::session::builder::GraphOptimizationLevel;

use crate::Settings;
use crate::operator_libraries::operator_libraries;
use crate::pools::ThreadCounts;
use crate::providers::Providers;

/// The prefixes of entries that are passed to the session unchanged.
const SESSION_ENTRIES: [&str; 4] = ["session.", "optimization.", "ep.", "mlas."];

/// The entry by which a run shrinks the arenas of the given devices when it ends.
pub(crate) const ARENA_SHRINKAGE: &str = "memory.enable_memory_arena_shrinkage";

/// The entry by which a session takes numbers too small for the usual form as zero.
const FLUSH_DENORMALS: &str = "session.set_denormal_as_zero";

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
    /// Whether runs take numbers too small for the usual form as zero. The engine sees to that on the threads of the session's own
    /// pool, but not on the one that calls it.
    pub(crate) flush_denormals: bool,
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
        let parameters = Parameters::new(model, config);
        no_null_bytes(&parameters)?;
        let custom = config.model_operations.as_ref().is_some_and(|ops| !ops.op_library_filename.is_empty());
        let mem_arena = parameters.flag("enable_mem_arena")?;
        let shrinkage = arena_shrinkage(&parameters, mem_arena)?;
        let flush_denormals = parameters.flag(FLUSH_DENORMALS)?.unwrap_or(false);
        Ok(Options {
            level: level(&parameters)?,
            counts: ThreadCounts {
                intra: parameters.threads("intra_op_thread_count")?,
                inter: parameters.threads("inter_op_thread_count")?,
                parallel: parameters.flag("execution_mode")?.unwrap_or(false),
                flushing: flush_denormals,
            },
            mem_arena,
            mem_pattern: parameters.flag("enable_mem_pattern")?,
            session_entries: session_entries(config, flush_denormals),
            flush_denormals,
            run_entries: shrinkage.map(|devices| (ARENA_SHRINKAGE.to_owned(), devices)).into_iter().collect(),
            providers: Providers::of(model, config)?,
            map_external_data: parameters.flag("map_external_data")?.unwrap_or(false),
            operator_libraries: Vec::new(),
            plan_cache_size: parameters.threads(PLAN_CACHE_SIZE)?.unwrap_or(PLANS),
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

/// The graph optimization level. The numbers are Triton's, which are not in order of strength.
fn level(parameters: &Parameters<'_>) -> Result<GraphOptimizationLevel> {
    let of_config =
        || parameters.config().optimization.as_ref()?.graph.as_ref().map(|graph| graph.level.to_string());
    let text = parameters.text("level").map(str::to_owned).or_else(of_config);
    let of_field = parameters.text("level").is_none();
    match text.as_deref().map(str::trim) {
        None | Some("0") => Ok(GraphOptimizationLevel::All),
        // In the field other numbers are accepted, as in Triton; in the parameter they are refused.
        Some(level) if of_field && !["-1", "1", "2"].contains(&level) => Ok(GraphOptimizationLevel::All),
        Some("-1") => Ok(GraphOptimizationLevel::Level1),
        Some("1") => Ok(GraphOptimizationLevel::Level2),
        Some("2") => Ok(GraphOptimizationLevel::Disable),
        Some(other) => {
            let expected = "-1 (basic), 0 (all), 1 (extended) or 2 (none)";
            Err(parameters.wrong("level", expected, other))
        }
    }
}

/// A list of devices such as `cpu:0;gpu:0`. Validated here, because an invalid list would fail every run.
fn arena_shrinkage(parameters: &Parameters<'_>, mem_arena: Option<bool>) -> Result<Option<String>> {
    let Some(text) = parameters.text(ARENA_SHRINKAGE) else { return Ok(None) };
    let is_device = |device: &str| {
        let split = device.split_once(':');
        split.is_some_and(|(kind, id)| ["cpu", "gpu"].contains(&kind) && id.parse::<u16>().is_ok())
    };
    if !text.split(';').all(is_device) {
        return Err(parameters.wrong(ARENA_SHRINKAGE, "a list of devices such as cpu:0;gpu:0", text));
    }
    if mem_arena == Some(false) && text.contains("cpu") {
        return Err(parameters.wrong(
            ARENA_SHRINKAGE,
            "a list without cpu, because enable_mem_arena is 0",
            text,
        ));
    }
    Ok(Some(text.to_owned()))
}

fn session_entries(config: &ModelConfig, flush_denormals: bool) -> Vec<(String, String)> {
    let ours = config
        .parameters
        .iter()
        .filter(|(key, _)| SESSION_ENTRIES.iter().any(|start| key.starts_with(start)));
    let mut entries: Vec<_> = ours.map(|(key, value)| (key.clone(), value.string_value.clone())).collect();
    for (_, value) in entries.iter_mut().filter(|(key, _)| key == FLUSH_DENORMALS) {
        // The engine knows no other word for it.
        *value = u8::from(flush_denormals).to_string();
    }
    entries.sort();
    entries
}

/// Checks for null bytes, because the engine's interface takes C strings.
fn no_null_bytes(parameters: &Parameters<'_>) -> Result<()> {
    let bad = |(key, value): &(&String, &str)| key.contains('\0') || value.contains('\0');
    let texts = parameters.config().parameters.iter().map(|(key, value)| (key, value.string_value.as_str()));
    match { texts }.find(bad) {
        Some((key, value)) => Err(parameters.wrong(key, "a text without null bytes", value)),
        None => Ok(()),
    }
}

//! The parameters of Triton's TensorFlow backend in a model's config.
//!
//! Unknown parameters are ignored, because configs have parameters for other readers, too. An invalid value of a known
//! parameter is an error.

#[cfg(test)]
mod tests;

use hippocamp_backend::{Error, Result};
use hippocamp_backend_options::Parameters;
use hippocamp_model_config::ModelConfig;

use crate::Settings;
use crate::messages::{ConfigProto, Experimental, GraphOptions, OptimizerOptions};

/// The options of a model's sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Threads within an operation; `None` for the server's number.
    intra_threads: Option<usize>,
    /// Threads across operations; `None` for the server's choice.
    inter_threads: Option<usize>,
    per_session_threads: bool,
    /// How many instances share a session; `None` if all may that keep nothing between runs.
    pub(crate) session_share_count: Option<usize>,
    /// The tag of the graph in a `SavedModel`.
    pub(crate) graph_tag: Option<String>,
    /// The signature of a `SavedModel`.
    pub(crate) signature: Option<String>,
    /// The file that names the nodes that are run once after loading.
    pub(crate) init_ops_file: Option<String>,
    /// How much XLA compiles, as TensorFlow numbers it.
    jit_level: i32,
}

impl Options {
    pub(crate) fn of(model: &str, config: &ModelConfig) -> Result<Options> {
        let parameters = Parameters::new(model, config);
        let text = |key| parameters.filled(key).map(str::to_owned);
        let operators = config.model_operations.iter().flat_map(|operations| &operations.op_library_filename);
        if let Some(library) = { operators }.next() {
            return Err(Error::unsupported(format!(
                "unable to load model '{model}', its config names the operator library '{library}'; libraries of operators \
                 are not loaded for TensorFlow"
            )));
        }
        if accelerates_cpu(config) {
            return Err(Error::invalid_arg(format!(
                "unable to load model '{model}', CPU Execution Accelerator is not supported in TensorFlow backend"
            )));
        }
        Ok(Options {
            intra_threads: parameters.threads("TF_NUM_INTRA_THREADS")?,
            inter_threads: parameters.threads("TF_NUM_INTER_THREADS")?,
            per_session_threads: parameters.switch("TF_USE_PER_SESSION_THREADS")?.unwrap_or(false),
            session_share_count: parameters.positive("MAX_SESSION_SHARE_COUNT", "instances")?,
            graph_tag: text("TF_GRAPH_TAG"),
            signature: text("TF_SIGNATURE_DEF"),
            init_ops_file: text("TF_INIT_OPS_FILE"),
            jit_level: jit_level(config),
        })
    }

    /// Whether operations run one after the other on the thread of the instance.
    pub(crate) fn on_calling_thread(&self, settings: &Settings) -> bool {
        let count = self.inter_threads.or(settings.inter_op_thread_count);
        count.map_or(!self.per_session_threads, |count| count == 1)
    }

    /// The settings of a session.
    pub(crate) fn session_config(&self, settings: &Settings) -> ConfigProto {
        let on_calling_thread = self.on_calling_thread(settings);
        let inter = self.inter_threads.or(settings.inter_op_thread_count).unwrap_or(0);
        let intra = self.intra_threads.unwrap_or(settings.intra_op_thread_count);
        ConfigProto {
            // The library may be one that could use them.
            device_count: [("GPU".to_owned(), 0)].into(),
            intra_op_parallelism_threads: intra as i32,
            inter_op_parallelism_threads: if on_calling_thread { -1 } else { inter as i32 },
            // Nodes that were made for a GPU run on the CPU.
            allow_soft_placement: true,
            // Threads that all sessions share would be as many as the first session asks for.
            use_per_session_threads: !on_calling_thread,
            graph_options: Some(GraphOptions {
                optimizer_options: Some(OptimizerOptions { global_jit_level: self.jit_level }),
            }),
            // Idle threads would take CPU time from those with work.
            experimental: Some(Experimental { disable_thread_spinning: true }),
        }
    }
}

fn accelerates_cpu(config: &ModelConfig) -> bool {
    let accelerators = config.optimization.as_ref().and_then(|each| each.execution_accelerators.as_ref());
    accelerators.is_some_and(|accelerators| !accelerators.cpu_execution_accelerator.is_empty())
}

/// TensorFlow's number for the level of `optimization { graph { level } }`, as in Triton.
fn jit_level(config: &ModelConfig) -> i32 {
    let graph = config.optimization.as_ref().and_then(|each| each.graph.as_ref());
    match graph.map(|graph| graph.level) {
        Some(-1) => -1,
        Some(1) => 1,
        Some(level) if level > 1 => 2,
        _ => 0,
    }
}

//! The parameters of Triton's PyTorch backend in a model's config.
//!
//! Unknown parameters are ignored, because configs have parameters for other readers, too. An invalid value of a known
//! parameter is an error.

use hippocamp_backend::{Error, Result};
use hippocamp_backend_options::Parameters;
use hippocamp_model_config::ModelConfig;
use tracing::warn;

/// The options of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Threads within an operation; `None` for the server's number.
    pub(crate) intra_threads: Option<usize>,
    /// Threads for parts that run at the same time; of the whole process.
    pub(crate) inter_threads: Option<usize>,
    pub(crate) inference_mode: bool,
    pub(crate) optimized: bool,
    /// Whether instances share the weights; `None` if they do unless the model keeps something.
    pub(crate) weight_sharing: Option<bool>,
    pub(crate) switches: Switches,
}

/// Switches of the executor of all models of the process; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    pub(crate) profiling: Option<bool>,
    pub(crate) executor: Option<bool>,
    pub(crate) tensor_fuser: Option<bool>,
}

/// Flags that act on GPUs alone.
const FOR_GPUS: [&str; 4] = ["ENABLE_CACHE_CLEANING", "DISABLE_CUDNN", "ENABLE_CUDNN", "ENABLE_NVFUSER"];

impl Options {
    pub(crate) fn of(model: &str, config: &ModelConfig) -> Result<Options> {
        let parameters = Parameters::new(model, config);
        let operators = config.model_operations.iter().flat_map(|operations| &operations.op_library_filename);
        if let Some(library) = { operators }.next() {
            return Err(Error::unsupported(format!(
                "unable to load model '{model}', its config names the operator library '{library}'; libraries of operators \
                 are not loaded for PyTorch"
            )));
        }
        for key in FOR_GPUS {
            if parameters.switch(key)?.is_some() {
                warn!(model, "parameter '{key}' changes nothing on the CPU");
            }
        }
        Ok(Options {
            intra_threads: parameters.threads("INTRA_OP_THREAD_COUNT")?,
            inter_threads: parameters.threads("INTER_OP_THREAD_COUNT")?,
            inference_mode: parameters.switch("INFERENCE_MODE")?.unwrap_or(true),
            optimized: !parameters.switch("DISABLE_OPTIMIZED_EXECUTION")?.unwrap_or(false),
            weight_sharing: parameters.switch("ENABLE_WEIGHT_SHARING")?,
            switches: Switches {
                profiling: parameters.switch("ENABLE_JIT_PROFILING")?,
                executor: parameters.switch("ENABLE_JIT_EXECUTOR")?,
                tensor_fuser: parameters.switch("ENABLE_TENSOR_FUSER")?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parameters: &[(&str, &str)]) -> Result<Options> {
        let each = |(key, value): &(&str, &str)| {
            format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }} ")
        };
        let text: String = parameters.iter().map(each).collect();
        Options::of("m", &hippocamp_model_config::parse(&text, "config.pbtxt").unwrap().config)
    }

    #[test]
    fn takes_tritons_parameters() {
        let options = of(&[
            ("INFERENCE_MODE", "false"),
            ("DISABLE_OPTIMIZED_EXECUTION", "true"),
            ("INTRA_OP_THREAD_COUNT", "3"),
            ("INTER_OP_THREAD_COUNT", "-1"),
            ("ENABLE_WEIGHT_SHARING", "1"),
            ("ENABLE_JIT_PROFILING", "false"),
            ("ENABLE_TENSOR_FUSER", "true"),
            ("ENABLE_NVFUSER", "true"),
            ("ENABLE_CACHE_CLEANING", "true"),
            ("SOMETHING_ELSE", "x"),
        ]);
        let switches = Switches { profiling: Some(false), executor: None, tensor_fuser: Some(true) };
        let expected = Options {
            intra_threads: Some(3),
            inter_threads: None,
            inference_mode: false,
            optimized: false,
            weight_sharing: Some(true),
            switches,
        };
        assert_eq!(options.unwrap(), expected);
        let default = of(&[]).unwrap();
        assert!(default.inference_mode && default.optimized && default.weight_sharing.is_none());
    }

    #[test]
    fn says_what_is_wrong() {
        for (key, value, expected) in [
            ("INFERENCE_MODE", "maybe", "true or false"),
            ("INTRA_OP_THREAD_COUNT", "many", "a number of threads"),
        ] {
            assert_eq!(
                of(&[(key, value)]).unwrap_err().message(),
                format!(
                    "unable to load model 'm', parameter '{key}' was expected to be {expected}, got '{value}'"
                )
            );
        }
        let operators = "model_operations { op_library_filename: \"ops.so\" }";
        let config = hippocamp_model_config::parse(operators, "config.pbtxt").unwrap().config;
        assert!(Options::of("m", &config).unwrap_err().message().contains("operator library 'ops.so'"));
    }
}

//! Execution providers: implementations of operators besides the CPU kernels.
//!
//! The loaded library contains a provider or not. A provider that a config asks for and that is missing is an error: a
//! model meant for a GPU must not run on the CPU unnoticed.

#[cfg(test)]
mod tests;

use hippocamp_backend::{Device, Error, Result};
use hippocamp_backend_options::{Parameters, parse_flag};
use hippocamp_model_config::ModelConfig;
use ort::ep::{
    ArbitrarilyConfigurableExecutionProvider, CUDA, ExecutionProvider, ExecutionProviderDispatch, OpenVINO,
    TensorRT,
};

use crate::error::engine;

type Entries = Vec<(String, String)>;

/// How a session of one instance uses CUDA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CudaSession {
    /// The handle of the stream that its runs are queued on. The stream outlives the session.
    pub(crate) stream: usize,
    /// Whether runs are captured as graphs.
    pub(crate) graphs: bool,
    /// How many instances the model has.
    pub(crate) instances: usize,
}

/// The parameter of CUDA that says whether runs are captured.
const GRAPHS: &str = "enable_cuda_graph";

/// Further settings of CUDA that may be parameters of a model, each 0 or 1.
const FLAGS: [&str; 7] = [
    "use_tf32",
    "cudnn_conv_use_max_workspace",
    "cudnn_conv1d_pad_to_nc1d",
    "prefer_nhwc",
    "enable_skip_layer_norm_strict_mode",
    "use_ep_level_unified_stream",
    GRAPHS,
];

/// What the server sets itself.
const OURS: [&str; 4] = ["device_id", "has_user_compute_stream", "user_compute_stream", GRAPHS];

/// The providers that a config asks for, with their settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Providers {
    /// The settings of CUDA, which is always used for instances on a GPU.
    cuda: Entries,
    /// The settings of TensorRT, which precedes CUDA for instances on a GPU.
    tensorrt: Option<Entries>,
    /// The settings of `OpenVINO` for instances on the CPU.
    openvino: Option<Entries>,
}

impl Providers {
    pub(crate) fn of(model: &str, config: &ModelConfig) -> Result<Providers> {
        let mut providers =
            Providers { cuda: cuda_parameters(&Parameters::new(model, config))?, ..Providers::default() };
        let accelerators = config.optimization.as_ref().and_then(|o| o.execution_accelerators.as_ref());
        let Some(accelerators) = accelerators else { return Ok(providers) };
        let unknown = |name: &str| {
            Error::invalid_arg(format!(
                "unable to load model '{model}', unknown Execution Accelerator '{name}' is requested"
            ))
        };
        for accelerator in &accelerators.gpu_execution_accelerator {
            let entries = sorted(model, &accelerator.parameters)?;
            match accelerator.name.as_str() {
                "cuda" => {
                    refuse_ours(model, &entries)?;
                    providers.cuda.extend(entries);
                }
                "tensorrt" => providers.tensorrt = Some(tensorrt_entries(model, entries)?),
                name => return Err(unknown(name)),
            }
        }
        for accelerator in &accelerators.cpu_execution_accelerator {
            match accelerator.name.as_str() {
                "openvino" => providers.openvino = Some(sorted(model, &accelerator.parameters)?),
                name => return Err(unknown(name)),
            }
        }
        Ok(providers)
    }

    /// Whether instances on the CPU have a provider besides the CPU kernels.
    pub(crate) fn accelerate_cpu(&self) -> bool {
        self.openvino.is_some()
    }

    /// Whether engines are built for the shapes of inputs.
    pub(crate) fn build_engines(&self) -> bool {
        self.tensorrt.is_some()
    }

    /// Whether runs on a GPU are captured if that is possible. TensorRT has graphs of its own.
    pub(crate) fn capture(&self) -> bool {
        let value = self.cuda.iter().rev().find(|(key, _)| key == GRAPHS).map(|(_, value)| value.as_str());
        self.tensorrt.is_none() && value.and_then(parse_flag).unwrap_or(true)
    }

    /// The settings of CUDA for a session: those of the config, and ours where it says nothing.
    fn cuda_entries(&self, session: Option<CudaSession>) -> Entries {
        let mut entries = Entries::new();
        let mut add = |key: &str, value: &str| entries.push((key.to_owned(), value.to_owned()));
        // An arena that grows by what is needed, and gives all of it back.
        add("arena_extend_strategy", "kSameAsRequested");
        if let Some(session) = session {
            if session.instances > 1 {
                add("cudnn_conv_use_max_workspace", "0");
            }
            if session.stream != 0 {
                add("has_user_compute_stream", "1");
                add("user_compute_stream", &session.stream.to_string());
            }
            add(GRAPHS, if session.graphs { "1" } else { "0" });
        }
        for (key, value) in self.cuda.iter().filter(|(key, _)| !OURS.contains(&key.as_str())) {
            entries.retain(|(other, _)| other != key);
            entries.push((key.clone(), value.clone()));
        }
        entries
    }

    /// The providers for an instance on that device, in order of preference.
    pub(crate) fn dispatches(
        &self,
        model: &str,
        device: Device,
        session: Option<CudaSession>,
    ) -> Result<Vec<ExecutionProviderDispatch>> {
        let mut dispatches = Vec::new();
        match device {
            Device::Cpu => {
                if let Some(entries) = &self.openvino {
                    required::<OpenVINO>(model)?;
                    dispatches.push(configured(OpenVINO::default(), entries).build());
                }
            }
            Device::Gpu(id) => {
                if let Some(entries) = &self.tensorrt {
                    required::<TensorRT>(model)?;
                    let mut entries = entries.clone();
                    if let Some(CudaSession { stream: stream @ 1.., .. }) = session {
                        entries.push(("has_user_compute_stream".to_owned(), "1".to_owned()));
                        entries.push(("user_compute_stream".to_owned(), stream.to_string()));
                    }
                    dispatches.push(configured(TensorRT::default().with_device_id(id), &entries).build());
                }
                required::<CUDA>(model)?;
                let entries = self.cuda_entries(session);
                dispatches.push(configured(CUDA::default().with_device_id(id), &entries).build());
            }
        }
        Ok(dispatches.into_iter().map(ExecutionProviderDispatch::error_on_failure).collect())
    }
}

fn configured<P: ArbitrarilyConfigurableExecutionProvider>(provider: P, entries: &Entries) -> P {
    entries.iter().fold(provider, |provider, (key, value)| provider.with_arbitrary_config(key, value))
}

/// An error if the library is built without the provider.
fn required<P: ExecutionProvider>(model: &str) -> Result<()> {
    if P::is_available().map_err(engine)? {
        return Ok(());
    }
    let name = P::NAME.trim_end_matches("ExecutionProvider");
    Err(Error::unsupported(format!(
        "unable to load model '{model}', its config asks for {name}, and the ONNX Runtime library that is loaded is built \
         without it"
    )))
}

/// An error for a setting of CUDA that is the server's.
fn refuse_ours(model: &str, entries: &Entries) -> Result<()> {
    match entries.iter().find(|(key, _)| key != GRAPHS && OURS.contains(&key.as_str())) {
        Some((key, _)) => Err(Error::invalid_arg(format!(
            "unable to load model '{model}', parameter '{key}' of cuda is set by the server; a config names GPUs in its \
             instance_group"
        ))),
        None => Ok(()),
    }
}

/// The entries sorted, so that their order is the same at each load.
fn sorted<'a>(
    model: &str,
    parameters: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<Entries> {
    let mut entries: Entries =
        parameters.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    entries.sort();
    match entries.iter().find(|(key, value)| key.contains('\0') || value.contains('\0')) {
        Some((key, _)) => Err(Error::invalid_arg(format!(
            "unable to load model '{model}', accelerator parameter '{key}' has a null byte"
        ))),
        None => Ok(entries),
    }
}

/// CUDA settings from parameters, as in older configs, where each choice is a number.
fn cuda_parameters(parameters: &Parameters<'_>) -> Result<Entries> {
    let mut entries = Entries::new();
    let choices: [(&str, &[&str]); 3] = [
        ("cudnn_conv_algo_search", &["EXHAUSTIVE", "HEURISTIC", "DEFAULT"]),
        ("arena_extend_strategy", &["kNextPowerOfTwo", "kSameAsRequested"]),
        ("do_copy_in_default_stream", &["0", "1"]),
    ];
    for (key, values) in choices {
        let Some(text) = parameters.text(key) else { continue };
        let value = text.trim().parse::<usize>().ok().and_then(|number| values.get(number));
        let expected = || format!("a number below {}", values.len());
        let value = value.ok_or_else(|| parameters.wrong(key, &expected(), text))?;
        entries.push((key.to_owned(), (*value).to_owned()));
    }
    for key in FLAGS {
        if let Some(value) = parameters.flag(key)? {
            entries.push((key.to_owned(), u8::from(value).to_string()));
        }
    }
    if let Some(text) = parameters.text("gpu_mem_limit") {
        let limit: u64 =
            text.trim().parse().map_err(|_| parameters.wrong("gpu_mem_limit", "a number of bytes", text))?;
        entries.push(("gpu_mem_limit".to_owned(), limit.to_string()));
    }
    Ok(entries)
}

/// Converts the names in configs to those of the provider.
fn tensorrt_entries(model: &str, entries: Entries) -> Result<Entries> {
    let mut renamed = Entries::new();
    for (key, value) in entries {
        let wrong = |expected: &str| {
            Error::invalid_arg(format!(
                "unable to load model '{model}', parameter '{key}' of tensorrt was expected to be {expected}, got '{value}'"
            ))
        };
        match (key.as_str(), value.as_str()) {
            ("precision_mode", "FP32") => {}
            ("precision_mode", "FP16" | "BF16" | "INT8") => {
                renamed.push((format!("trt_{}_enable", value.to_ascii_lowercase()), "1".to_owned()));
            }
            ("precision_mode", _) => return Err(wrong("FP32, FP16, BF16 or INT8")),
            ("max_workspace_size_bytes", _) => {
                let size: u64 = value.parse().map_err(|_| wrong("a number of bytes"))?;
                renamed.push(("trt_max_workspace_size".to_owned(), size.to_string()));
            }
            ("int8_calibration_table_name" | "int8_use_native_calibration_table", _) => {
                renamed.push((format!("trt_{key}"), value));
            }
            (known, _) if known.starts_with("trt_") => renamed.push((key, value)),
            _ => {
                return Err(Error::invalid_arg(format!(
                    "unable to load model '{model}', tensorrt has no parameter '{key}'"
                )));
            }
        }
    }
    Ok(renamed)
}

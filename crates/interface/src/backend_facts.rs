//! The properties of a backend, which configs and the placement of instances depend on.

/// The static properties of a backend, which it states once, before any of its models is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendFacts {
    /// The files that its models are known by. The first is meant where a config names the backend alone.
    pub formats: &'static [ModelFormat],
    /// Whether a config has to name the format: the backend alone does not say which one is meant.
    pub format_is_named: bool,
    /// Whether its models fill in what their configs leave out. Otherwise a config that leaves something out is wrong before
    /// any model file is looked at.
    pub completes_configs: bool,
    /// How many instances an instance group on the CPU has that gives no count.
    pub cpu_instances: i32,
    /// Which GPUs its instances can be on.
    pub gpus: GpuSupport,
    /// What becomes of instances that a config places on GPUs which cannot be used.
    pub without_gpu: WithoutGpu,
    /// Whether a library that its models name may say which requests are executed together.
    pub batch_strategies: bool,
}

/// A format that models are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFormat {
    /// What configs call it, such as `onnxruntime_onnx`; empty if it has no name of its own.
    pub platform: &'static str,
    /// The file's name in a version's folder, such as `model.onnx`.
    pub filename: &'static str,
}

/// Which GPUs a backend can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuSupport {
    /// None: it computes on the CPU only.
    None,
    /// Those of this compute capability, major and minor, and newer ones.
    From(u32, u32),
}

/// What becomes of instances that a config places on GPUs which cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutGpu {
    /// The model is refused, unless the server may fall back to the CPU (`--cpu-fallback`).
    Refused,
    /// They are on the CPU: the engine takes a place for a wish (TensorFlow's soft placement).
    OnCpu,
    /// The model is refused: it runs on GPUs only.
    Impossible,
}

impl BackendFacts {
    /// A backend without model files, for the CPU, whose models complete their configs.
    pub const PLAIN: BackendFacts = BackendFacts {
        formats: &[],
        format_is_named: false,
        completes_configs: true,
        cpu_instances: 1,
        gpus: GpuSupport::None,
        without_gpu: WithoutGpu::Refused,
        batch_strategies: false,
    };
}

impl GpuSupport {
    /// Whether a GPU of this compute capability can be used.
    pub fn includes(self, compute_capability: (u32, u32)) -> bool {
        match self {
            GpuSupport::None => false,
            GpuSupport::From(major, minor) => compute_capability >= (major, minor),
        }
    }
}

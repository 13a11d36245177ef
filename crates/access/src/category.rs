//! The categories into which Triton divides calls.

/// A category of calls. Its name is that of Triton's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Liveness and readiness of the server and of models.
    Health,
    /// Metadata of the server and of models.
    Metadata,
    /// Inference, unary, streamed and generating.
    Inference,
    /// Registration and status of shared memory, of all kinds.
    SharedMemory,
    /// Configurations of models.
    ModelConfig,
    /// Index, load and unload.
    ModelRepository,
    /// Statistics of models.
    Statistics,
    /// Trace settings, read and changed.
    Trace,
    /// Log settings, read and changed.
    Logging,
}

impl Category {
    /// Every category, in the order of their numbers.
    pub const ALL: [Category; 9] = [
        Category::Health,
        Category::Metadata,
        Category::Inference,
        Category::SharedMemory,
        Category::ModelConfig,
        Category::ModelRepository,
        Category::Statistics,
        Category::Trace,
        Category::Logging,
    ];

    /// The name in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Category::Health => "health",
            Category::Metadata => "metadata",
            Category::Inference => "inference",
            Category::SharedMemory => "shared-memory",
            Category::ModelConfig => "model-config",
            Category::ModelRepository => "model-repository",
            Category::Statistics => "statistics",
            Category::Trace => "trace",
            Category::Logging => "logging",
        }
    }

    /// The category of that name, in exactly this spelling.
    pub fn from_name(name: &str) -> Option<Category> {
        Category::ALL.into_iter().find(|category| category.name() == name)
    }
}

//! The backends of this build, the only place that names them.

use std::sync::Arc;

use hippocamp_backend::Backend;

use crate::args::Args;

type Made = anyhow::Result<Vec<Arc<dyn Backend>>>;

/// Takes a line for each cargo feature with backends: its name and a function that creates them. Defines `all`, which
/// creates those that were compiled in.
macro_rules! backends {
    ($($feature:literal $name:ident = $make:expr;)+) => {
        $(
            #[cfg(feature = $feature)]
            fn $name(args: &Args) -> Made {
                let make: fn(&Args) -> Made = $make;
                make(args)
            }

            #[cfg(not(feature = $feature))]
            fn $name(_: &Args) -> Made {
                Ok(Vec::new())
            }
        )+

        /// All backends that were compiled in. Creating one opens no library.
        pub(crate) fn all(args: &Args) -> Made {
            Ok([$($name(args)?),+].into_iter().flatten().collect())
        }
    };
}

backends! {
    "builtin" builtin = |_| Ok(hippocamp_backend_builtin::backends());
    "vision" vision = |_| Ok(vec![Arc::new(hippocamp_backend_vision::VisionBackend)]);
    "onnxruntime" onnxruntime = crate::engine::backend;
}

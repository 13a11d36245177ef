//! The backends of this build. Here alone are they named.

use std::sync::Arc;

use hippocamp_backend::Backend;

use crate::args::Args;

type Made = anyhow::Result<Vec<Arc<dyn Backend>>>;

/// Takes a line for each feature that brings backends, with what makes them, and defines `all`, which makes those that were
/// compiled in.
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

        /// All backends that were compiled in. Making one opens nothing.
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

//! The backends of this build, the only place that names them.

use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_device::Devices;

use crate::args::Args;

type Made = anyhow::Result<Vec<Arc<dyn Backend>>>;

/// Takes a line for each cargo feature with backends: its name and a function that creates them. Defines `all`, which
/// creates those that were compiled in.
macro_rules! backends {
    ($($feature:literal $name:ident = $make:expr;)+) => {
        $(
            #[cfg(feature = $feature)]
            fn $name(args: &Args, devices: &Devices) -> Made {
                let make: fn(&Args, &Devices) -> Made = $make;
                make(args, devices)
            }

            #[cfg(not(feature = $feature))]
            fn $name(_: &Args, _: &Devices) -> Made {
                Ok(Vec::new())
            }
        )+

        /// All backends that were compiled in, for a machine with these devices. Creating one opens no library.
        pub(crate) fn all(args: &Args, devices: &Devices) -> Made {
            Ok([$($name(args, devices)?),+].into_iter().flatten().collect())
        }
    };
}

backends! {
    "builtin" builtin = |_, _| Ok(hippocamp_backend_builtin::backends());
    "vision" vision = |_, devices| {
        let pinned = devices.memory(hippocamp_tensor::Place::Pinned);
        Ok(vec![Arc::new(hippocamp_backend_vision::VisionBackend::with_pinned_memory(pinned))])
    };
    "tensorrt" tensorrt = crate::tensorrt::backend;
    "onnxruntime" onnxruntime = crate::engine::backend;
    "triton" triton = |args, devices| Ok(crate::triton::backends(args, devices));
    "tensorflow" tensorflow = |args, _| crate::engine::tensorflow_backend(args);
    "pytorch" pytorch = |args, _| crate::engine::pytorch_backend(args);
}

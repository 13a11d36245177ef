//! Executes TensorFlow's graphs (`GraphDef`) and `SavedModel`s by its C library, on the CPU.
//!
//! The shared library is opened when the first model is loaded; this crate is built without it, and has no build-time
//! dependency of TensorFlow's. The instances of a model share one session, unless its graph keeps something from one run to
//! the next. Inputs are passed to the library without a copy, and large outputs are returned without a copy, with the same
//! exception.
//!
//! All unsafe code is in `ffi`. Faults of a graph or of its inputs become errors of the model or of the request.

mod backend;
mod element_type;
mod error;
mod ffi;
mod init_ops;
mod instance;
mod messages;
mod model;
mod model_file;
mod options;
mod ports;
mod reach;
mod runtime;
mod sessions;
mod settings;
mod trial;

pub use backend::TensorFlowBackend;
pub use settings::Settings;

/// Entry points of the fuzz targets.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use prost::Message;

    use crate::messages::GraphDef;
    use crate::reach::{ends, reach};

    /// What is read from the file of a graph without the library: nothing that it contains makes this panic or run for
    /// ever. Returns the number of placeholders that would have to be fed.
    pub fn graph(content: &[u8]) -> usize {
        let Ok(graph) = GraphDef::decode(content) else { return 0 };
        let outputs = ends(&graph);
        reach(&graph, outputs, &std::collections::BTreeSet::new(), &std::collections::BTreeSet::new())
            .unfed
            .len()
    }
}

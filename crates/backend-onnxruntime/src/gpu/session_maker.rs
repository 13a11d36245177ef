//! Makes the sessions of one instance.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hippocamp_backend::Result;
use ort::session::Session;

use crate::external::{self, ExternalFile};
use crate::options::Options;
use crate::providers::CudaSession;
use crate::runtime::Runtime;
use crate::session::{Placement, open_on_gpu};

/// What a model's files had when it was loaded, for sessions that are made while it serves: by then the files may be those of
/// a later load.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) file: Vec<u8>,
    pub(crate) external: Vec<ExternalFile>,
}

impl Content {
    pub(crate) fn read(model: &str, file: &Path, options: &Options) -> Result<Content> {
        let external = if options.map_external_data { Vec::new() } else { external::read(model, file)? };
        Ok(Content { file: external::content(model, file)?, external })
    }
}

/// Makes sessions on one stream.
#[derive(Clone)]
pub(crate) struct SessionMaker {
    pub(super) runtime: Arc<Runtime>,
    pub(super) model: Arc<str>,
    pub(super) file: PathBuf,
    /// `None` if sessions are only made while the model is loaded.
    pub(super) content: Option<Arc<Content>>,
    pub(super) options: Options,
    pub(super) placement: Placement,
    /// The handle of the stream, which outlives the sessions.
    pub(super) stream: usize,
    pub(super) instances: usize,
}

impl SessionMaker {
    /// A session, whose runs are captured if `graphs` is set.
    pub(super) fn open(&self, graphs: bool) -> Result<Session> {
        let cuda = CudaSession { stream: self.stream, graphs, instances: self.instances };
        let content = self.content.as_deref();
        // From its second run on a session would take one block for all that the first has taken piece by piece. A graph
        // is captured in the second, and no run comes behind it.
        let mem_pattern = self.options.mem_pattern.or(graphs.then_some(false));
        let options = Options { mem_pattern, ..self.options.clone() };
        open_on_gpu(&self.runtime, &self.model, (&self.file, content), &options, self.placement, cuda)
    }
}

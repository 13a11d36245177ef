//! Sessions for one instance each, of models that are small enough to be loaded several times.
//!
//! A session that instances share has locks of its own: eight threads that run a model of microseconds on one session get
//! less done than one thread. Its operators may also divide their work among the threads of the shared pool, which sleep
//! and have to be woken for it: that costs small models several times what it gains. Here each session is used by
//! one instance, and computes on the thread that runs it.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::debug;

use hippocamp_backend::Device;

use crate::arena::OpenSession;
use crate::external;
use crate::options::Options;
use crate::pools::{Pool, PoolSize};
use crate::runtime::Runtime;
use crate::session::{Placement, open_content};

/// The largest file, in bytes, that is loaded several times.
const LARGEST: u64 = 1 << 20;

/// On the thread that runs it.
const PLACEMENT: Placement = Placement {
    device: Device::Cpu,
    pool: Pool::Own(PoolSize { intra: 1, inter: 1 }),
    allow_spinning: false,
};

/// A model that can be loaded again at little cost.
#[derive(Debug)]
pub(crate) struct SmallModel {
    runtime: Arc<Runtime>,
    name: Arc<str>,
    file: PathBuf,
    options: Options,
    /// Of the file's content when the model was loaded. It may have been replaced since, for a later load.
    digest: u64,
}

impl SmallModel {
    /// `None` if the model is large, or its weights are beside the file.
    pub(crate) fn of(
        runtime: &Arc<Runtime>,
        name: &Arc<str>,
        file: &Path,
        options: &Options,
    ) -> Option<SmallModel> {
        let content = hippocamp_files::read(file, LARGEST).ok()?;
        if !external::names(file).is_empty() {
            return None;
        }
        let (runtime, name) = (Arc::clone(runtime), Arc::clone(name));
        let (file, options) = (file.to_owned(), options.clone());
        Some(SmallModel { runtime, name, file, options, digest: digest(&content) })
    }

    /// A session more; `None` if the file is not there any more as it was, or cannot be loaded again.
    pub(crate) fn open(&self) -> Option<Arc<OpenSession>> {
        let model = &*self.name;
        let content = hippocamp_files::read(&self.file, LARGEST).ok()?;
        if digest(&content) != self.digest {
            debug!(model, "its file has changed, so it gets no further session");
            return None;
        }
        let opened = open_content(&self.runtime, &self.name, &self.file, &content, &self.options, PLACEMENT);
        opened.inspect_err(|error| debug!(model, "it gets no further session: {error}")).ok()
    }
}

fn digest(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    hasher.finish()
}

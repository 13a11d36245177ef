//! A session: a loaded and optimised model file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use hippocamp_backend::{Device, Error, Result};
use hippocamp_engine_library::{FloatMode, give_back};
use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::{AutoDevicePolicy, SessionBuilder};

use crate::arena::OpenSession;
use crate::error::engine;
use crate::external::{self, ExternalFile};
use crate::ffi;
use crate::gpu::{Content, of_provider};
use crate::messages::log_id;
use crate::model_file::{ModelFile, is_ort_format};
use crate::options::Options;
use crate::pools::Pool;
use crate::providers::CudaSession;
use crate::runtime::Runtime;
use crate::versions::explain;

/// Where a session runs. Instances of the same placement can share a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) device: Device,
    pub(crate) pool: Pool,
    pub(crate) allow_spinning: bool,
}

/// Bytes of weights from which on the allocator is trimmed after loading, which takes two to three times as much
/// memory.
const LARGE: u64 = 1 << 20;

/// Creates a session for the file.
pub(crate) fn open(
    runtime: &Runtime,
    model: &Arc<str>,
    file: &Path,
    options: &Options,
    placement: Placement,
) -> Result<Arc<OpenSession>> {
    let external = if options.map_external_data { Vec::new() } else { external::read(model, file)? };
    let beside: usize = external.iter().map(|(_, content)| content.len()).sum();
    let size = std::fs::metadata(file).map_or(0, |metadata| metadata.len()) + beside as u64;
    let providers = options.providers.dispatches(model, placement.device, None)?;
    let session = create(
        runtime,
        model,
        &Source { file, content: None, external: &external },
        options,
        placement,
        providers,
    )?;
    drop(external);
    if size >= LARGE {
        give_back();
    }
    Ok(with_arena(runtime, model, session, options, placement))
}

/// Creates a session of what was read from the file. The weights are all in there.
pub(crate) fn open_content(
    runtime: &Runtime,
    model: &Arc<str>,
    file: &Path,
    content: &[u8],
    options: &Options,
    placement: Placement,
) -> Result<Arc<OpenSession>> {
    let providers = options.providers.dispatches(model, placement.device, None)?;
    let session = create(
        runtime,
        model,
        &Source { file, content: Some(content), external: &[] },
        options,
        placement,
        providers,
    )?;
    Ok(with_arena(runtime, model, session, options, placement))
}

/// Creates a session for one instance on a GPU.
pub(crate) fn open_on_gpu(
    runtime: &Runtime,
    model: &Arc<str>,
    (file, content): (&Path, Option<&Content>),
    options: &Options,
    placement: Placement,
    cuda: CudaSession,
) -> Result<Session> {
    let providers = options.providers.dispatches(model, placement.device, Some(cuda))?;
    if let Some(Content { file: bytes, external }) = content {
        let source = Source { file, content: Some(bytes), external };
        return create(runtime, model, &source, options, placement, providers);
    }
    let external = if options.map_external_data { Vec::new() } else { external::read(model, file)? };
    create(
        runtime,
        model,
        &Source { file, content: None, external: &external },
        options,
        placement,
        providers,
    )
}

fn with_arena(
    runtime: &Runtime,
    model: &Arc<str>,
    session: Session,
    options: &Options,
    placement: Placement,
) -> Arc<OpenSession> {
    // On other devices the provider owns the memory of runs; without an arena no memory is kept.
    let has_arena = placement.device == Device::Cpu && options.mem_arena != Some(false);
    let shrinking = runtime.shrinking.as_ref().filter(|_| has_arena);
    Arc::new(OpenSession::new(model, session, shrinking))
}

/// What a session is made of.
struct Source<'a> {
    file: &'a Path,
    /// What was read from the file, if that is to be used instead.
    content: Option<&'a [u8]>,
    /// The files beside it.
    external: &'a [ExternalFile],
}

fn create(
    runtime: &Runtime,
    model: &str,
    source: &Source<'_>,
    options: &Options,
    placement: Placement,
    providers: Vec<ExecutionProviderDispatch>,
) -> Result<Session> {
    let with = |pool, providers| {
        create_with(runtime, model, source, options, Placement { pool, ..placement }, providers)
    };
    let pool = runtime.pool(placement.pool);
    if pool != Pool::Shared {
        return with(pool, providers);
    }
    let created = with(pool, providers.clone());
    match &created {
        Err(error) if runtime.is_without_pool(error) => with(runtime.pool(pool), providers),
        _ => created,
    }
}

fn create_with(
    runtime: &Runtime,
    model: &str,
    source: &Source<'_>,
    options: &Options,
    placement: Placement,
    providers: Vec<ExecutionProviderDispatch>,
) -> Result<Session> {
    let Source { file, content, external } = *source;
    // The first session of the process sets the mode of the thread that makes it, for good.
    let _mode = FloatMode::kept();
    // The crate `ort` panics if inputs or outputs have types that it does not know.
    let created = catch_unwind(AssertUnwindSafe(|| {
        let builder = SessionBuilder::new(&runtime.environment).map_err(engine)?;
        let builder = configure(builder, model, options, placement)?;
        let builder = builder.with_execution_providers(providers);
        let mut builder = builder.map_err(|error| of_provider(model, engine(error)))?;
        for (name, content) in external {
            ffi::session::give_external_file(&mut builder, name, content)?;
        }
        // Decided by the content; the engine would go by the file name.
        if is_ort_format(file) {
            builder = builder.with_config_entry("session.load_model_format", "ORT").map_err(engine)?;
        }
        let session = match content {
            Some(content) => builder.commit_from_memory(content),
            None => builder.commit_from_file(file),
        };
        session.map_err(|error| refused(runtime, model, file, error))
    }));
    created.unwrap_or_else(|_| {
        Err(Error::unsupported(format!(
            "unable to load model '{model}', '{}' has inputs or outputs of a type that cannot be served",
            file.display()
        )))
    })
}

/// The engine's error, with an explanation if the model is too new for it.
#[cold]
fn refused<R>(runtime: &Runtime, model: &str, file: &Path, error: ort::Error<R>) -> Error {
    match explain(error.message(), &runtime.version, &ModelFile::read(file)) {
        Some(why) => Error::unsupported(format!("unable to load model '{model}', {why}")),
        None => engine(error),
    }
}

fn configure(
    builder: SessionBuilder,
    model: &str,
    options: &Options,
    placement: Placement,
) -> Result<SessionBuilder> {
    // Otherwise the engine may choose a provider that the config does not ask for.
    let mut builder = builder.with_auto_device(AutoDevicePolicy::Default).map_err(engine)?;
    builder = builder.with_log_id(log_id(model)).map_err(engine)?;
    builder = builder.with_optimization_level(options.level).map_err(engine)?;
    builder = builder.with_parallel_execution(options.counts.parallel).map_err(engine)?;
    if let Pool::Own(size) = placement.pool {
        builder = builder.with_independent_thread_pool().map_err(engine)?;
        builder = builder.with_intra_threads(size.intra).map_err(engine)?;
        builder = builder.with_inter_threads(size.inter).map_err(engine)?;
        // The same as in the shared pool, unless the config overrides it.
        let spinning = if placement.allow_spinning { "1" } else { "0" };
        for key in ["session.intra_op.allow_spinning", "session.inter_op.allow_spinning"] {
            if !options.sets(key) {
                builder = builder.with_config_entry(key, spinning).map_err(engine)?;
            }
        }
    }
    for (key, value) in &options.session_entries {
        builder = builder.with_config_entry(key, value).map_err(engine)?;
    }
    if let Some(enable) = options.mem_pattern {
        builder = builder.with_memory_pattern(enable).map_err(engine)?;
    }
    if let Some(enable) = options.mem_arena {
        ffi::session::set_mem_arena(&mut builder, enable)?;
    }
    for library in &options.operator_libraries {
        builder = builder.with_operator_library(library).map_err(engine)?;
    }
    Ok(builder)
}

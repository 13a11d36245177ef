//! Opens the files of a model: a session that can be run, and its inputs and outputs.

use std::path::{Component, Path, PathBuf};

use hippocamp_backend::{Error, ModelSource, Result};
use prost::Message;
use tracing::warn;

use crate::Settings;
use crate::ffi::graph::Graph;
use crate::ffi::library::Library;
use crate::ffi::session::{RunSettings, Session};
use crate::init_ops;
use crate::messages::{GraphDef, SavedModel};
use crate::options::Options;
use crate::ports::{self, Ports};

/// The names of the formats in configs.
pub(crate) const GRAPHDEF: &str = "tensorflow_graphdef";
pub(crate) const SAVED_MODEL: &str = "tensorflow_savedmodel";

/// What they are called in a version's folder, unless the config says otherwise.
pub(crate) const GRAPHDEF_FILE: &str = "model.graphdef";
pub(crate) const SAVED_MODEL_FOLDER: &str = "model.savedmodel";

/// The tag of graphs that are there to be served.
const DEFAULT_TAG: &str = "serve";

/// Messages of the format have at most two GiB.
const LARGEST: u64 = 2 << 30;

/// Where a model is, and in which format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ModelFile {
    GraphDef(PathBuf),
    SavedModel(PathBuf),
}

impl ModelFile {
    /// Finds the file of a version; an error if it does not exist.
    pub(crate) fn find(source: &ModelSource) -> Result<ModelFile> {
        let (name, folder) = (&source.name, &source.version_directory);
        let is_graph = match source.config.platform.as_str() {
            GRAPHDEF => true,
            SAVED_MODEL => false,
            "" => folder.join(GRAPHDEF_FILE).is_file(),
            other => {
                return Err(Error::invalid_arg(format!(
                    "platform {other} not supported for TensorFlow model '{name}'"
                )));
            }
        };
        let default = if is_graph { GRAPHDEF_FILE } else { SAVED_MODEL_FOLDER };
        let file = match source.config.default_model_filename.as_str() {
            "" => default,
            file => file,
        };
        let is_below = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below || file.contains('\0') {
            return Err(Error::invalid_arg(format!(
                "unable to load model '{name}', default_model_filename was expected to name a file in the version's \
                 folder, got '{file}'"
            )));
        }
        let path = folder.join(file);
        let metadata = std::fs::metadata(&path);
        let metadata = metadata
            .map_err(|e| Error::internal(format!("failed to stat file {}", path.display())).with_source(e))?;
        match (is_graph, metadata.is_dir()) {
            (true, false) => Ok(ModelFile::GraphDef(path)),
            (false, true) => Ok(ModelFile::SavedModel(path)),
            (true, true) => Err(wrong_kind(name, &path, "a folder, expected the file of a GraphDef")),
            (false, false) => Err(wrong_kind(name, &path, "no folder, expected that of a SavedModel")),
        }
    }

    /// Loads it. The config may be incomplete.
    pub(crate) fn open(
        &self,
        library: &'static Library,
        source: &ModelSource,
        options: &Options,
        settings: &Settings,
    ) -> Result<Opened> {
        let opened = match self {
            ModelFile::GraphDef(file) => open_graph(library, source, file, options, settings),
            ModelFile::SavedModel(folder) => open_saved_model(library, source, folder, options, settings),
        }?;
        if let Some(file) = &options.init_ops_file {
            let run = RunSettings::new(options.on_calling_thread(settings));
            init_ops::run(source, file, &opened.session, &run)?;
        }
        Ok(opened)
    }
}

/// A session, and the tensors of its graph that requests and responses have.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) ports: Ports,
}

#[cold]
fn wrong_kind(name: &str, path: &Path, what: &str) -> Error {
    Error::invalid_arg(format!("unable to load model '{name}', '{}' is {what}", path.display()))
}

fn open_graph(
    library: &'static Library,
    source: &ModelSource,
    file: &Path,
    options: &Options,
    settings: &Settings,
) -> Result<Opened> {
    let (name, config) = (&*source.name, &*source.config);
    let content = hippocamp_files::read(file, LARGEST).map_err(|error| {
        let message = format!("unable to load model '{name}', failed to read '{}': {error}", file.display());
        Error::internal(message).with_source(error)
    })?;
    let described = GraphDef::decode(content.as_slice()).map_err(|error| {
        let file = file.display();
        let why = if is_text(&content) {
            "it is the text of one: write it with as_text=False, by tf.io.write_graph".to_owned()
        } else {
            error.to_string()
        };
        Error::invalid_arg(format!("unable to load model '{name}', '{file}' is no GraphDef: {why}"))
    })?;
    if described.nodes.is_empty() {
        return Err(Error::invalid_arg(format!("model {name} has an empty network")));
    }
    let refused = |fault: crate::error::Fault| fault.of_load(name, "TensorFlow refuses its graph");
    let graph = Graph::import(library, &content).map_err(refused)?;
    drop(content);
    let ports = ports::of_graph(name, &graph, &described, config, &library.stateful)?;
    check_kernels(library, name, &ports)?;
    let session = Session::new(library, graph, &options.session_config(settings)).map_err(refused)?;
    Ok(Opened { session, ports })
}

/// Refuses a graph with an operation that the library cannot run, where that is not found by a run: of one that keeps something there
/// is none before the first request.
fn check_kernels(library: &Library, model: &str, ports: &Ports) -> Result<()> {
    for (operation, function) in &ports.operations {
        if library.has_kernel(operation) {
            continue;
        }
        let why = match operation.as_str() {
            "PyFunc" | "EagerPyFunc" => "it calls Python, which is not in the file",
            _ => "the library has no kernel of it for the CPU",
        };
        let Some(function) = function else {
            return Err(Error::unsupported(format!(
                "unable to load model '{model}', its graph has the operation '{operation}': {why}"
            )));
        };
        // Only a run tells whether the function is called.
        warn!(
            model,
            "requests fail that run the operation '{operation}' of the function '{function}': {why}"
        );
    }
    Ok(())
}

/// Whether it is a graph as protocol buffers are written for people.
fn is_text(content: &[u8]) -> bool {
    let head = &content[..content.len().min(4096)];
    let is_printed = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'\t' | b' '..=b'~');
    head.iter().all(is_printed) && head.windows(4).any(|word| word == b"node")
}

fn open_saved_model(
    library: &'static Library,
    source: &ModelSource,
    folder: &Path,
    options: &Options,
    settings: &Settings,
) -> Result<Opened> {
    let name = &*source.name;
    let tag = options.graph_tag.as_deref().unwrap_or(DEFAULT_TAG);
    let tags = tags(folder);
    if let Some(tags) = &tags
        && !tags.iter().any(|each| each.iter().eq([tag]))
    {
        let named: Vec<String> = tags.iter().map(|each| each.join(" and ")).collect();
        return Err(Error::invalid_arg(format!(
            "unable to load model '{name}', expected '{tag}' tag, its graphs are tagged: {}; the parameter TF_GRAPH_TAG names another",
            named.join(", ")
        )));
    }
    let config = options.session_config(settings);
    let (session, content) = Session::of_saved_model(library, folder, &[tag], &config)
        .map_err(|fault| fault.of_load(name, "TensorFlow refuses its SavedModel"))?;
    let wanted = options.signature.as_deref();
    let ports = ports::of_saved_model(name, &session.graph, &content, wanted, &library.stateful)?;
    check_kernels(library, name, &ports)?;
    Ok(Opened { session, ports })
}

/// The tags of each graph; `None` where they cannot be read, which the library then reports.
fn tags(folder: &Path) -> Option<Vec<Vec<String>>> {
    let content = hippocamp_files::read(&folder.join("saved_model.pb"), LARGEST).ok()?;
    let graphs = SavedModel::decode(content.as_slice()).ok()?.meta_graphs;
    Some(graphs.into_iter().map(|graph| graph.info.unwrap_or_default().tags).collect())
}

//! From an archive to the models that it becomes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use hippocamp_model_config::{ModelConfig, engine_place, parse, to_text};
use hippocamp_proto::inference::DataType;

use crate::configs::{self, StepNames};
use crate::execution;
use crate::fault::{ArchiveFault, Result};
use crate::handler::{Handler, POSTPROCESS, PREPROCESS};
use crate::labels::{LABELS, labels};
use crate::payload::{Kind, Payload};
use crate::pipelines::{Known, Pipeline, Pipelines, shipped};
use crate::settings::{MAX_WORKERS, ModelSettings};
use crate::wiring::connect;
use crate::{Archive, Port, Signature, entries, yaml};

/// The network's own config, among an archive's extra files.
const CONFIG: &str = "config.pbtxt";

/// What a registration asks for, beside what is in the archive. It wins over the archive's own settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// The model's name instead of that in the manifest.
    pub name: Option<String>,
    /// The handler instead of that in the manifest.
    pub handler: Option<String>,
    /// The largest batch.
    pub batch_size: Option<u32>,
    /// How long a request waits for others of its batch, in milliseconds.
    pub max_batch_delay: Option<u32>,
    /// The number of instances of the network.
    pub workers: Option<u32>,
    /// What `TorchServe` would run the handler by, instead of what is in the manifest. Clients are told it, and it changes nothing else.
    pub runtime: Option<String>,
    /// What holds where neither these options nor the archive say otherwise, as `config.properties` has it.
    pub usual: ModelSettings,
}

/// What an archive becomes.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The name of the model that clients ask.
    pub name: String,
    /// The models by their names: that one, and the steps of an ensemble.
    pub models: BTreeMap<String, ServedModel>,
    /// The name of the model that executes the model file.
    pub network: String,
    /// The largest batch that was asked for, at least 1.
    pub batch_size: u32,
    /// The delay in milliseconds that was asked for.
    pub max_batch_delay: u32,
    /// The number of instances that was asked for, if it was.
    pub workers: Option<u32>,
    /// What is to be said of settings of the archive that have no effect, each with the reason.
    pub without_effect: Vec<String>,
}

/// One of the models.
#[derive(Clone, Debug)]
pub struct ServedModel {
    /// Its config.
    pub config: ModelConfig,
    /// Its other files by their paths in the model's folder.
    pub files: BTreeMap<String, Content>,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// This text.
    Text(String),
    /// An entry of the archive.
    Entry(String),
}

impl ServedModel {
    /// The text of its `config.pbtxt`.
    pub fn config_text(&self) -> String {
        to_text(&self.config, |_| None)
    }
}

/// Says what an archive becomes. `supports` tells whether there is a backend of that name. Reads the whole model file once if it
/// is ONNX.
pub fn convert(archive: &Archive, options: &Options, supports: &dyn Fn(&str) -> bool) -> Result<Conversion> {
    check_texts(archive)?;
    let handler = Handler::find(archive, options.handler.as_deref())?;
    let payload = Payload::find(archive, supports)?;
    if handler != Handler::Base && !supports("vision") {
        return Err(archive.fault("its handler needs the backend 'vision', which this build is without"));
    }
    let name = options.name.clone().unwrap_or_else(|| archive.manifest().model_name.clone());
    let given = given_config(archive, payload.kind)?;
    let (asked, mut without_effect) = asked(archive, options)?;
    check_asked(archive, &asked)?;
    let signature = signature(archive, handler, &payload, given.as_ref())?;
    let known = known(signature.as_ref(), labels(archive)?);
    let pipelines = match handler {
        Handler::Pipelines => Pipelines {
            before: own(archive, PREPROCESS)?,
            behind: own(archive, POSTPROCESS)?,
            labels: labels(archive)?,
        },
        handler => shipped(handler, known),
    };
    let alone = pipelines == Pipelines { labels: pipelines.labels.clone(), ..Pipelines::default() };
    let names = StepNames::of(&name);
    let network_name = if alone { name.clone() } else { names.network.clone() };
    let network = network(archive, &network_name, &payload, given, signature.as_ref(), &asked)?;
    without_effect.extend(execution::without_effect(&asked, &network.config, alone));
    let mut models = BTreeMap::new();
    if !alone {
        let names_of = |ports: &[Port]| ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
        let signature = signature.unwrap_or_default();
        let wiring = connect(&names_of(&signature.inputs), &names_of(&signature.outputs), &pipelines)
            .map_err(|text| archive.fault(text))?;
        let ensemble = configs::ensemble(&name, &names, &network.config, &pipelines, &wiring);
        let rows = ensemble.max_batch_size.max(1) as u32;
        models.insert(name.clone(), ServedModel { config: ensemble, files: BTreeMap::new() });
        for (step, pipeline, count) in
            [(names.before, pipelines.before, options.workers), (names.behind, pipelines.behind, None)]
        {
            let Some(pipeline) = pipeline else { continue };
            let mut files: BTreeMap<String, Content> =
                [("1/pipeline.toml".to_owned(), Content::Text(pipeline.text))].into();
            if let Some(labels) = &pipelines.labels {
                files.insert("labels.txt".to_owned(), Content::Text(labels.clone()));
            }
            let config = configs::vision(&step, rows, count.filter(|&count| count > 0));
            models.insert(step, ServedModel { config, files });
        }
    }
    models.insert(network_name.clone(), network);
    let (batch_size, max_batch_delay) =
        (asked.batch_size.unwrap_or(1).max(1), asked.max_batch_delay.unwrap_or(100));
    Ok(Conversion {
        name,
        models,
        network: network_name,
        batch_size,
        max_batch_delay,
        workers: asked.min_workers,
        without_effect,
    })
}

/// Refuses what would be passed over because it is no text, or too long for one: the model would be served without it.
fn check_texts(archive: &Archive) -> Result<()> {
    let missed = |name: &&str| archive.size(name).is_some() && archive.text(name).is_none();
    match [CONFIG, PREPROCESS, POSTPROCESS, LABELS].iter().copied().find(missed) {
        Some(name) => Err(no_text(archive, name)),
        None => Ok(()),
    }
}

fn no_text(archive: &Archive, name: &str) -> ArchiveFault {
    let most = entries::MAX_TEXT >> 20;
    archive.fault(format!("its {name} was expected to be UTF-8 text of at most {most} MiB"))
}

/// What registration and archive ask for together, and what is to be said of settings of the archive that have no effect.
fn asked(archive: &Archive, options: &Options) -> Result<(ModelSettings, Vec<String>)> {
    let (own, told) = match archive.manifest().config_file.as_deref() {
        Some(file) => {
            let in_file = |text: String| format!("in its {file}, {text}");
            let read = yaml::parse(&settings_text(archive, file)?);
            let (own, told) = read.map_err(|fault| archive.fault(in_file(fault)))?;
            (own, told.into_iter().map(in_file).collect())
        }
        None => (ModelSettings::default(), Vec::new()),
    };
    let given = ModelSettings {
        batch_size: options.batch_size,
        max_batch_delay: options.max_batch_delay,
        min_workers: options.workers,
        ..ModelSettings::default()
    };
    Ok((given.or(own).or(options.usual.clone()), told))
}

/// What a registration may not ask for either.
fn check_asked(archive: &Archive, asked: &ModelSettings) -> Result<()> {
    let most = i32::MAX as u32;
    let limits = [
        ("batch_size", asked.batch_size, most),
        ("max_batch_delay", asked.max_batch_delay, most),
        ("the number of workers", asked.min_workers, MAX_WORKERS),
    ];
    match limits.into_iter().find(|(_, asked, most)| asked.is_some_and(|asked| asked > *most)) {
        Some((what, asked, most)) => Err(archive
            .fault(format!("{what} was expected to be at most {most}, got {}", asked.unwrap_or_default()))),
        None => Ok(()),
    }
}

/// The YAML file that the manifest names, whatever its name ends in.
fn settings_text<'a>(archive: &'a Archive, file: &str) -> Result<Cow<'a, str>> {
    if let Some(text) = archive.text(file) {
        return Ok(Cow::Borrowed(text));
    }
    let Some(size) = archive.size(file) else {
        return Err(archive.fault(format!("its manifest names the configFile '{file}', which is not in it")));
    };
    let mut text = String::new();
    let read = archive.read(file, |reader| reader.take(entries::MAX_TEXT).read_to_string(&mut text))?;
    match read {
        Ok(_) if size <= entries::MAX_TEXT => Ok(Cow::Owned(text)),
        _ => Err(no_text(archive, file)),
    }
}

/// The network's own config. It may not say what runs the model file: that would be code of the archive, or another backend
/// than the one that was looked at.
fn given_config(archive: &Archive, kind: Kind) -> Result<Option<ModelConfig>> {
    let Some(text) = archive.text(CONFIG) else { return Ok(None) };
    let parsed =
        parse(text, CONFIG).map_err(|faults| archive.fault(format!("its {CONFIG} has faults: {faults}")))?;
    let config = parsed.config;
    for (field, value, expected) in
        [("backend", &config.backend, kind.backend()), ("platform", &config.platform, kind.platform())]
    {
        if !value.is_empty() && value != expected {
            return Err(archive.fault(format!(
                "the {field} of its {CONFIG} was expected to be '{expected}', as of its serialized file, got '{value}'"
            )));
        }
    }
    if !config.runtime.is_empty() {
        return Err(archive.fault(format!(
            "its {CONFIG} names the runtime '{}': an archive does not say what runs it",
            config.runtime
        )));
    }
    let libraries = config.model_operations.iter().flat_map(|operations| &operations.op_library_filename);
    if let Some(library) = { libraries }.next() {
        return Err(archive.fault(format!(
            "its {CONFIG} names the operator library '{library}': nothing of an archive is executed but its model; put the \
             model into a folder of a repository, with its library"
        )));
    }
    if let Some(setting) = engine_place(&config) {
        return Err(archive.fault(format!(
            "its {CONFIG} has the setting '{setting}' of an engine, which may name a file: nothing but what is in an archive is used; \
             put the model into a folder of a repository"
        )));
    }
    Ok(Some(config))
}

/// Whether the name is that of a shared library, which a backend might look for beside its model.
fn is_library(entry: &str) -> bool {
    let name = entry.to_ascii_lowercase();
    name.split('.').skip(1).any(|part| ["so", "dll", "dylib"].contains(&part))
}

/// The network's inputs and outputs: from its file, from the config in the archive, or as the handler's users name them.
fn signature(
    archive: &Archive,
    handler: Handler,
    payload: &Payload,
    given: Option<&ModelConfig>,
) -> Result<Option<Signature>> {
    if let Some(signature) = &payload.signature {
        return Ok(Some(signature.clone()));
    }
    if let Some(given) = given.filter(|given| !given.input.is_empty() && !given.output.is_empty()) {
        let batch = (given.max_batch_size > 0).then_some(-1);
        let port = |name: &str, data_type: i32, dims: &[i64]| Port {
            name: name.to_owned(),
            data_type: DataType::try_from(data_type).unwrap_or_default(),
            dims: batch.into_iter().chain(dims.iter().copied()).collect(),
        };
        return Ok(Some(Signature {
            inputs: given.input.iter().map(|i| port(&i.name, i.data_type, &i.dims)).collect(),
            outputs: given.output.iter().map(|o| port(&o.name, o.data_type, &o.dims)).collect(),
        }));
    }
    let names = match payload.kind {
        // As the backend of libtorch and the converter torch2trt name them.
        Kind::TorchScript => Some(("INPUT__0", "OUTPUT__")),
        Kind::Plan => Some(("input_0", "output_")),
        Kind::GraphDef | Kind::Onnx => None,
    };
    match (names, usual(handler)) {
        (Some((input, output)), Some((side, outputs))) => {
            let port = |name: String, dims| Port { name, data_type: DataType::TypeFp32, dims };
            let output = |(index, dims): (usize, &Vec<i64>)| port(format!("{output}{index}"), dims.clone());
            Ok(Some(Signature {
                inputs: vec![port(input.to_owned(), vec![-1, 3, side, side])],
                outputs: outputs.iter().enumerate().map(output).collect(),
            }))
        }
        // The engine completes the config.
        _ if handler == Handler::Base && payload.kind != Kind::TorchScript => Ok(None),
        _ => Err(archive.fault(format!(
            "only its engine knows the inputs and outputs of '{}'; add a {CONFIG} that lists them to the archive's extra \
             files",
            payload.entry
        ))),
    }
}

/// The side of the picture and the shapes of the outputs that networks of a handler have.
fn usual(handler: Handler) -> Option<(i64, Vec<Vec<i64>>)> {
    match handler {
        Handler::ImageClassifier => Some((224, vec![vec![-1, -1]])),
        Handler::Yolov5Face => Some((320, [40, 20, 10].map(|side| vec![-1, 3, side, side, 16]).to_vec())),
        Handler::CenterFace => Some((640, [1, 2, 2, 10].map(|maps| vec![-1, maps, 160, 160]).to_vec())),
        Handler::Base | Handler::Pipelines | Handler::ObjectDetector => None,
    }
}

fn known(signature: Option<&Signature>, labels: Option<String>) -> Known {
    let fixed = |dims: &[i64], from_end: usize| {
        dims.len().checked_sub(from_end).and_then(|at| dims.get(at)).copied().filter(|&size| size > 0)
    };
    let picture =
        signature.and_then(|signature| signature.inputs.first()).map_or(&[][..], |input| &input.dims);
    let scores =
        signature.and_then(|signature| signature.outputs.first()).map_or(&[][..], |output| &output.dims);
    let classes = fixed(scores, 1).or_else(|| labels.as_ref().map(|labels| labels.lines().count() as i64));
    Known { height: fixed(picture, 2), width: fixed(picture, 1), classes, labels }
}

/// A pipeline of the archive's own; it has to list its inputs and outputs.
fn own(archive: &Archive, file: &str) -> Result<Option<Pipeline>> {
    #[derive(serde::Deserialize)]
    struct Lists {
        inputs: Vec<String>,
        outputs: Vec<String>,
    }
    let Some(text) = archive.text(file) else { return Ok(None) };
    let Lists { inputs, outputs } = toml::from_str(text).map_err(|error| {
        archive.fault(format!(
            "its {file} was expected to be a pipeline that lists its tensors, as inputs = [\"data\"] and outputs = \
             [\"image\"]: {error}"
        ))
    })?;
    Ok(Some(Pipeline { text: text.to_owned(), inputs, outputs }))
}

fn ports(signature: &Signature) -> impl Iterator<Item = &Port> {
    signature.inputs.iter().chain(&signature.outputs)
}

/// The model that executes the model file.
fn network(
    archive: &Archive,
    name: &str,
    payload: &Payload,
    given: Option<ModelConfig>,
    signature: Option<&Signature>,
    asked: &ModelSettings,
) -> Result<ServedModel> {
    let is_free = |port: &Port| port.dims.first() == Some(&-1);
    let is_free_in_all = signature.is_none_or(|signature| ports(signature).all(is_free));
    let batch_size = asked.batch_size.unwrap_or(1).max(1);
    let has_config = given.is_some();
    let mut config = given.unwrap_or_default();
    name.clone_into(&mut config.name);
    if config.platform.is_empty() && config.backend.is_empty() {
        payload.kind.platform().clone_into(&mut config.platform);
    }
    let max_batch_size = match (has_config, asked.batch_size) {
        (true, None) => config.max_batch_size.max(0) as u32,
        (true, Some(asked)) if config.max_batch_size > 0 => asked.max(1),
        (false, _) if is_free_in_all => batch_size,
        (true, Some(_)) | (false, _) => 0,
    };
    if let Some(signature) = signature.filter(|_| config.input.is_empty() && config.output.is_empty()) {
        let batched = max_batch_size > 0;
        if let Some(port) = ports(signature).find(|port| batched && port.dims.is_empty()) {
            return Err(archive.fault(format!(
                "its {CONFIG} has the max_batch_size {max_batch_size}, of a batch that is the first dimension of every tensor, but \
                 '{}' of '{}' has no dimension",
                port.name, payload.entry
            )));
        }
        let dims = |port: &Port| port.dims[usize::from(batched)..].to_vec();
        config.input = signature.inputs.iter().map(|port| configs::input(port, &dims(port))).collect();
        config.output = signature.outputs.iter().map(|port| configs::output(port, &dims(port))).collect();
    }
    execution::apply(asked, max_batch_size, &mut config);
    let file = if config.default_model_filename.is_empty() {
        payload.kind.file().to_owned()
    } else if config.default_model_filename.contains('/') {
        return Err(archive.fault(format!("the default_model_filename of its {CONFIG} is no name of a file")));
    } else {
        config.default_model_filename.clone()
    };
    let mut files: BTreeMap<String, Content> =
        [(format!("1/{file}"), Content::Entry(payload.entry.clone()))].into();
    if payload.kind == Kind::Onnx {
        // Weights that lie beside the model.
        let is_weights =
            |entry: &&str| !entry.contains('/') && !entries::is_text(entry) && !is_library(entry);
        for entry in archive.entries().filter(is_weights) {
            files.entry(format!("1/{entry}")).or_insert_with(|| Content::Entry(entry.to_owned()));
        }
        files.retain(|path, content| {
            *path == format!("1/{file}") || *content != Content::Entry(payload.entry.clone())
        });
    }
    Ok(ServedModel { config, files })
}

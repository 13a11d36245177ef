//! The inputs and outputs of a model: the names that configs and clients use, and the tensors of the graph behind them.

use std::collections::BTreeSet;

use hippocamp_backend::{Error, Result};
use hippocamp_model_config::{ModelConfig, Signature, SignatureTensor, server_inputs, state_outputs};
use tracing::warn;

use crate::element_type::{data_type, other_name};
use crate::error::Fault;
use crate::ffi::api::Output;
use crate::ffi::graph::{Graph, split_name};
use crate::messages::{GraphDef, MetaGraph, SignatureDef, TensorInfo};
use crate::reach::{PLACEHOLDER, PLACEHOLDER_WITH_DEFAULT, ends, reach};

/// The signature that is served unless a config names another.
const DEFAULT_SIGNATURE: &str = "serving_default";

/// The most tensors of a graph that are taken for its inputs or outputs where the config names none of it.
const MOST_GUESSED: usize = 100;

/// Signatures that are no model's: nodes that initialise and train.
const OTHER_SIGNATURES: [&str; 2] = ["__saved_model_init_op", "__saved_model_train_op"];

/// The tensors of a model.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    /// The operation because of which runs depend on earlier ones.
    pub(crate) keeper: Option<String>,
    /// What runs where there is one, as [`Reached`](crate::reach::Reached) has it.
    pub(crate) operations: Vec<(String, Option<String>)>,
}

/// A tensor of the graph under the name that clients use.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) tensor: Output,
    pub(crate) described: SignatureTensor,
}

impl Ports {
    pub(crate) fn signature(&self) -> Signature {
        let described = |ports: &[Port]| ports.iter().map(|port| port.described.clone()).collect();
        Signature { inputs: described(&self.inputs), outputs: described(&self.outputs) }
    }
}

/// A tensor that a config lists.
struct Listed<'a> {
    name: &'a str,
    /// The shape that the model sees; empty if the config leaves it out.
    dims: &'a [i64],
    optional: bool,
}

impl<'a> Listed<'a> {
    fn new(name: &'a str, dims: &'a [i64], reshaped: Option<&'a [i64]>, optional: bool) -> Listed<'a> {
        Listed { name, dims: reshaped.unwrap_or(dims), optional }
    }

    fn bare(name: &'a str) -> Listed<'a> {
        Listed { name, dims: &[], optional: false }
    }
}

/// The ports of a `GraphDef`. It does not say which tensors are meant: those that the config lists; else its placeholders,
/// and the tensors that nothing reads.
pub(crate) fn of_graph(
    model: &str,
    graph: &Graph,
    content: &GraphDef,
    config: &ModelConfig,
    stateful: &BTreeSet<String>,
) -> Result<Ports> {
    let added = state_outputs(config).into_iter().map(Listed::bare);
    let listed = config.output.iter().map(|each| {
        let reshaped = each.reshape.as_ref().map(|reshape| reshape.shape.as_slice());
        Listed::new(&each.name, &each.dims, reshaped, false)
    });
    let mut outputs: Vec<Listed<'_>> = listed.chain(added).collect();
    let is_missing = |listed: &Listed<'_>| graph.tensor(listed.name).is_none();
    let asked = outputs.len();
    // Of a name that is not in the graph it is told which are.
    if asked == 0 || outputs.iter().any(is_missing) {
        let ends = ends(content).into_iter().filter(|name| graph.tensor(name).is_some());
        outputs.extend(ends.take(MOST_GUESSED).map(Listed::bare));
    }
    let added = server_inputs(config).into_iter().map(Listed::bare);
    let listed = config.input.iter().map(|each| {
        let reshaped = each.reshape.as_ref().map(|reshape| reshape.shape.as_slice());
        Listed::new(&each.name, &each.dims, reshaped, each.optional)
    });
    let mut inputs: Vec<Listed<'_>> = listed.chain(added).collect();
    let fed = inputs.iter().map(|input| split_name(input.name).0).collect();
    let reached = reach(content, outputs.iter().map(|output| output.name), &fed, stateful);
    let is_any_missing = inputs.iter().any(is_missing);
    inputs.extend(reached.unfed.iter().map(|name| Listed::bare(name)));
    if is_any_missing {
        let placeholders = content.nodes.iter().filter(|node| node.operation == PLACEHOLDER);
        inputs.extend(placeholders.take(MOST_GUESSED).map(|node| Listed::bare(&node.name)));
    }

    let reader = Reader { model, graph, is_batching: config.max_batch_size > 0 };
    let mut ports = Ports { keeper: reached.keeper, operations: reached.operations, ..Ports::default() };
    let mut names = BTreeSet::new();
    for input in inputs.iter().filter(|input| names.insert(input.name)) {
        let of = |operation: &str| {
            let node = split_name(input.name).0;
            content.nodes.iter().any(|each| each.name == node && each.operation == operation)
        };
        let optional = input.optional && !of(PLACEHOLDER) && of(PLACEHOLDER_WITH_DEFAULT);
        ports.inputs.extend(reader.port("input", input, optional)?);
    }
    names.clear();
    let mut passed_over = None;
    for (place, output) in outputs.iter().enumerate().filter(|(_, output)| names.insert(output.name)) {
        match reader.port("output", output, false) {
            // Nobody asked for this one.
            Err(error) if place >= asked => passed_over = passed_over.or(Some(error)),
            port => ports.outputs.extend(port?),
        }
    }
    if ports.outputs.is_empty() && asked == 0 {
        return Err(passed_over.unwrap_or_else(|| {
            Error::invalid_arg(format!(
                "unable to load model '{model}', its graph has no tensor that nothing else in it reads: the config has to list its \
                 outputs"
            ))
        }));
    }
    Ok(ports)
}

/// The ports of a `SavedModel`, by the signature of that name.
pub(crate) fn of_saved_model(
    model: &str,
    graph: &Graph,
    content: &MetaGraph,
    wanted: Option<&str>,
    stateful: &BTreeSet<String>,
) -> Result<Ports> {
    let signature = signature(model, content, wanted)?;
    let reader = Reader { model, graph, is_batching: false };
    let mut ports = Ports::default();
    for (name, info) in &signature.inputs {
        ports.inputs.push(reader.signature_port("input", name, info)?);
    }
    for (name, info) in &signature.outputs {
        ports.outputs.push(reader.signature_port("output", name, info)?);
    }
    if let Some(graph) = &content.graph {
        let fed = signature.inputs.values().map(|info| split_name(&info.name).0).collect();
        let outputs = signature.outputs.values().map(|info| &*info.name);
        let reached = reach(graph, outputs, &fed, stateful);
        (ports.keeper, ports.operations) = (reached.keeper, reached.operations);
    }
    Ok(ports)
}

fn signature<'a>(model: &str, content: &'a MetaGraph, wanted: Option<&str>) -> Result<&'a SignatureDef> {
    let all = &content.signatures;
    if let Some(found) = all.get(wanted.unwrap_or(DEFAULT_SIGNATURE)) {
        return Ok(found);
    }
    let mut others = all.iter().filter(|(name, _)| !OTHER_SIGNATURES.contains(&name.as_str()));
    if wanted.is_none()
        && let Some((name, found)) = others.next()
    {
        warn!(model, "it has no signature '{DEFAULT_SIGNATURE}'; '{name}' is served");
        return Ok(found);
    }
    let names = all.keys().map(String::as_str).filter(|name| !OTHER_SIGNATURES.contains(name));
    let names: Vec<&str> = names.collect();
    let found = if names.is_empty() {
        "it has none: save it with tf.saved_model.save(model, FOLDER, signatures=...), or a Keras model by model.export(FOLDER)"
            .to_owned()
    } else {
        format!("its signatures are: {}", names.join(", "))
    };
    let wanted = wanted.unwrap_or(DEFAULT_SIGNATURE);
    Err(Error::invalid_arg(format!("unable to load model '{model}', expected '{wanted}' signature, {found}")))
}

struct Reader<'a> {
    model: &'a str,
    graph: &'a Graph,
    is_batching: bool,
}

impl Reader<'_> {
    /// A tensor that a config lists; `None` if the graph has none of that name, which the comparison with the config
    /// reports.
    fn port(&self, kind: &str, listed: &Listed<'_>, optional: bool) -> Result<Option<Port>> {
        let Some(tensor) = self.graph.tensor(listed.name) else { return Ok(None) };
        let data_type = self.data_type(kind, listed.name, self.graph.element_type(tensor))?;
        let dims = self.graph.shape(tensor).map_err(|fault| self.refused(fault))?;
        let dims = if self.leaves_open(dims.as_deref(), listed.dims) {
            let batch = self.is_batching.then_some(-1);
            Some(batch.into_iter().chain(listed.dims.iter().copied()).collect())
        } else {
            dims
        };
        let described = SignatureTensor { name: listed.name.to_owned(), data_type, dims, optional };
        Ok(Some(Port { tensor, described }))
    }

    /// Whether the config's shape may be right where the graph's says less or other than it: a graph does not say what its
    /// tensors are in the end, and Triton takes the config's word for it.
    fn leaves_open(&self, graph: Option<&[i64]>, config: &[i64]) -> bool {
        let Some(graph) = graph else { return !config.is_empty() };
        let batches = !self.is_batching || graph.first() == Some(&-1);
        let graph = graph.get(usize::from(self.is_batching)..).unwrap_or_default();
        let fits = |(graph, config): (&i64, &i64)| graph == config || *graph == -1 || *config == -1;
        !config.is_empty() && batches && graph.len() == config.len() && graph.iter().zip(config).all(fits)
    }

    fn signature_port(&self, kind: &str, name: &str, info: &TensorInfo) -> Result<Port> {
        let model = self.model;
        if info.name.is_empty() {
            return Err(Error::unsupported(format!(
                "unable to load model '{model}', {kind} '{name}' is no single tensor, as sparse and ragged ones are not"
            )));
        }
        let data_type = self.data_type(kind, name, info.data_type)?;
        let tensor = self.graph.tensor(&info.name).ok_or_else(|| {
            Error::invalid_arg(format!(
                "unable to load model '{model}', its signature names '{}' for {kind} '{name}', which is not in its graph",
                info.name
            ))
        })?;
        let shape = info.shape.as_ref().filter(|shape| !shape.unknown_rank);
        let dims = shape.map(|shape| shape.dims.iter().map(|dim| dim.size.max(-1)).collect());
        let described = SignatureTensor { name: name.to_owned(), data_type, dims, optional: false };
        Ok(Port { tensor, described })
    }

    fn data_type(&self, kind: &str, name: &str, number: i32) -> Result<hippocamp_tensor::DataType> {
        data_type(number).ok_or_else(|| {
            Error::unsupported(format!(
                "unable to load model '{}', {kind} '{name}' has elements of type {}, which no client can send",
                self.model,
                other_name(number)
            ))
        })
    }

    #[cold]
    fn refused(&self, fault: Fault) -> Error {
        fault.of_load(self.model, "its graph cannot be read")
    }
}

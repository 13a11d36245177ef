//! What runs when some tensors of a graph are asked for: the nodes on which they depend, with the functions that these call.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::ffi::graph::split_name;
use crate::messages::{GraphDef, NodeDef};

/// Operations that the library calls stateful, and that keep nothing of a request: they read what was there before, call
/// functions, whose own operations are looked at, draw random numbers, check, print, or keep something until the run ends.
const KEEP_NOTHING: [&str; 49] = [
    "Assert",
    "Case",
    "CheckNumerics",
    "CheckNumericsV2",
    "DisableCopyOnRead",
    "Empty",
    "GuaranteeConst",
    "HashTable",
    "HashTableV2",
    "If",
    "LookupTableFind",
    "LookupTableFindV2",
    "LookupTableSizeV2",
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "Print",
    "PrintV2",
    "RandomCrop",
    "RandomGamma",
    "RandomPoisson",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "ReadVariableOp",
    "ResourceGather",
    "ResourceGatherNd",
    "SampleDistortedBoundingBox",
    "SampleDistortedBoundingBoxV2",
    "StatefulPartitionedCall",
    "StatelessRandomGetAlg",
    "TensorArrayCloseV3",
    "TensorArrayConcatV3",
    "TensorArrayGatherV3",
    "TensorArrayReadV3",
    "TensorArrayScatterV3",
    "TensorArraySizeV3",
    "TensorArraySplitV3",
    "TensorArrayV3",
    "TensorArrayWriteV3",
    "Timestamp",
    "TruncatedNormal",
    "VarHandleOp",
    "VarIsInitializedOp",
    "VariableShape",
    "While",
    "_If",
    "_While",
];

/// The names of the operations that graphs are fed by.
pub(crate) const PLACEHOLDER: &str = "Placeholder";
pub(crate) const PLACEHOLDER_WITH_DEFAULT: &str = "PlaceholderWithDefault";

/// What runs for some tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The placeholders that have to be fed and are not, in the order of the graph.
    pub(crate) unfed: Vec<String>,
    /// The first operation that may keep something of a request for the next one.
    pub(crate) keeper: Option<String>,
    /// The operations that run, each with the first function that has it, where there is a keeper. Calls of functions are not among them.
    pub(crate) operations: Vec<(String, Option<String>)>,
}

/// Follows the graph from the tensors `outputs` back to those that are `fed`. `stateful` are the library's stateful
/// operations.
pub(crate) fn reach<'a>(
    graph: &'a GraphDef,
    outputs: impl IntoIterator<Item = &'a str>,
    fed: &BTreeSet<&str>,
    stateful: &BTreeSet<String>,
) -> Reached {
    let nodes: BTreeMap<&str, &NodeDef> = graph.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let mut walk = Walk {
        stateful,
        keeper: None,
        wanted_functions: Vec::new(),
        functions: BTreeSet::new(),
        operations: BTreeMap::new(),
    };
    let mut seen = BTreeSet::new();
    let mut ahead: Vec<&str> = outputs.into_iter().map(|name| split_name(name).0).collect();
    while let Some(name) = ahead.pop() {
        let Some(node) = nodes.get(name).filter(|_| !fed.contains(name)) else { continue };
        if seen.insert(name) {
            walk.node(node, None);
            ahead.extend(node.inputs.iter().map(|input| split_name(input.trim_start_matches('^')).0));
        }
    }
    walk.functions(graph);
    let unfed = graph.nodes.iter().filter(|node| node.operation == PLACEHOLDER);
    let unfed = unfed.filter(|node| seen.contains(node.name.as_str())).map(|node| node.name.clone());
    let mut reached = Reached { unfed: unfed.collect(), ..Reached::default() };
    if walk.keeper.is_some() {
        let operations = walk.operations.into_iter().filter(|(name, _)| !walk.functions.contains(name));
        let owned = |(name, function): (&str, Option<&str>)| (name.to_owned(), function.map(str::to_owned));
        reached.operations = operations.map(owned).collect();
    }
    Reached { keeper: walk.keeper, ..reached }
}

struct Walk<'a> {
    stateful: &'a BTreeSet<String>,
    keeper: Option<String>,
    wanted_functions: Vec<&'a str>,
    /// The names of all functions of the graph.
    functions: BTreeSet<&'a str>,
    operations: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> Walk<'a> {
    /// A node of the graph itself, or of a function.
    fn node(&mut self, node: &'a NodeDef, function: Option<&'a str>) {
        let operation = node.operation.as_str();
        self.operations.entry(operation).or_insert(function);
        if self.stateful.contains(operation) && !KEEP_NOTHING.contains(&operation) {
            self.keeper.get_or_insert_with(|| operation.to_owned());
        }
        // A function may be called by its own name, or be named by an attribute.
        self.wanted_functions.push(operation);
        for attribute in node.attributes.values() {
            let listed = attribute.list.iter().flat_map(|list| &list.functions);
            let named = attribute.function.iter().chain(listed);
            self.wanted_functions.extend(named.map(|function| function.name.as_str()));
        }
    }

    /// Looks into the functions that are called, each once. All of a function counts as running.
    fn functions(&mut self, graph: &'a GraphDef) {
        let functions = graph.library.iter().flat_map(|library| &library.functions);
        let mut functions: BTreeMap<&str, &[NodeDef]> = functions
            .filter_map(|each| Some((each.signature.as_ref()?.name.as_str(), each.nodes.as_slice())))
            .collect();
        self.functions.extend(functions.keys());
        while let Some(name) = self.wanted_functions.pop() {
            for node in functions.remove(name).unwrap_or_default() {
                self.node(node, Some(name));
            }
        }
    }
}

/// The names of the tensors that nothing in the graph reads: the first result of nodes that are not fed, have no
/// successor and are there for more than their effect.
pub(crate) fn ends(graph: &GraphDef) -> Vec<&str> {
    let inputs = graph.nodes.iter().flat_map(|node| &node.inputs);
    let read: BTreeSet<&str> = inputs.map(|input| split_name(input.trim_start_matches('^')).0).collect();
    let without_result = ["NoOp", "Const", "Assert", PLACEHOLDER, PLACEHOLDER_WITH_DEFAULT];
    let ends = graph.nodes.iter().filter(|node| !read.contains(node.name.as_str()));
    let ends = ends.filter(|node| !without_result.contains(&node.operation.as_str()));
    ends.map(|node| node.name.as_str()).collect()
}

//! Of any bytes that are a model file, the walk finds the names that a whole reading finds.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, repeated, tag = "7")]
    graph: Vec<Graph>,
    #[prost(message, repeated, tag = "8")]
    opsets: Vec<Opaque>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(message, repeated, tag = "7")]
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    inputs: Vec<Opaque>,
    #[prost(message, repeated, tag = "12")]
    outputs: Vec<Output>,
    #[prost(message, repeated, tag = "15")]
    sparse: Vec<Sparse>,
}

/// No names are in here, but the walk reads it, and stops where it is broken.
#[derive(Clone, PartialEq, Message)]
struct Output {
    #[prost(message, repeated, tag = "2")]
    types: Vec<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, repeated, tag = "1")]
    tensors: Vec<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(message, repeated, tag = "2")]
    shapes: Vec<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dimensions: Vec<Opaque>,
}

/// A message of which no field is looked at.
#[derive(Clone, PartialEq, Message)]
struct Opaque {}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, repeated, tag = "5")]
    tensor: Vec<Tensor>,
    #[prost(message, repeated, tag = "6")]
    graph: Vec<Graph>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Graph>,
    #[prost(message, repeated, tag = "22")]
    sparse: Vec<Sparse>,
    #[prost(message, repeated, tag = "23")]
    sparses: Vec<Sparse>,
}

#[derive(Clone, PartialEq, Message)]
struct Sparse {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Tensor>,
    #[prost(message, repeated, tag = "2")]
    indices: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(message, repeated, tag = "13")]
    external: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// Longer texts are not believed to be names.
const LONGEST: usize = 4096;

fuzz_target!(|file: &[u8]| {
    let found = hippocamp_backend_onnxruntime::fuzzing::external_names(file);
    assert!(found.iter().map(String::len).sum::<usize>() <= file.len());
    if file.len() <= LONGEST
        && let Ok(model) = Model::decode(file)
    {
        let mut expected = BTreeSet::new();
        model.graph.iter().for_each(|graph| in_graph(graph, &mut expected));
        model.functions.iter().for_each(|function| in_nodes(&function.nodes, &mut expected));
        assert_eq!(found, expected);
    }
});

fn in_graph(graph: &Graph, names: &mut BTreeSet<String>) {
    in_nodes(&graph.nodes, names);
    in_tensors(&graph.initializers, names);
    in_sparse(&graph.sparse, names);
}

fn in_nodes(nodes: &[Node], names: &mut BTreeSet<String>) {
    for attribute in nodes.iter().flat_map(|node| &node.attributes) {
        in_tensors(&attribute.tensor, names);
        in_tensors(&attribute.tensors, names);
        in_sparse(&attribute.sparse, names);
        in_sparse(&attribute.sparses, names);
        attribute.graph.iter().chain(&attribute.graphs).for_each(|graph| in_graph(graph, names));
    }
}

fn in_sparse(sparse: &[Sparse], names: &mut BTreeSet<String>) {
    for tensor in sparse {
        in_tensors(&tensor.values, names);
        in_tensors(&tensor.indices, names);
    }
}

fn in_tensors(tensors: &[Tensor], names: &mut BTreeSet<String>) {
    let entries = tensors.iter().flat_map(|tensor| &tensor.external);
    names.extend(entries.filter(|entry| entry.key == "location").map(|entry| entry.value.clone()));
}

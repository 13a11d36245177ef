//! Reads facts from a model file without the engine: its producer, its versions and its operators.

mod ort_format;
#[cfg(test)]
mod tests;
pub(crate) mod walk;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

pub(crate) use ort_format::is_ort_format;
use walk::{Kind, Reader, walk_file};

/// The readable part of a model file. Invalid files are left to the engine, which refuses them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelFile {
    /// Whether it is in the engine's own format, of which only operator names are read.
    pub(crate) is_ort_format: bool,
    /// 0 if there is none.
    pub(crate) ir_version: u64,
    /// Name and version of the program that wrote the file; either may be empty.
    pub(crate) producer: (String, String),
    pub(crate) nodes: Vec<Node>,
    /// The names of tensors in graphs that have initializers.
    pub(crate) initializers: Vec<String>,
    /// The names of the inputs of graphs.
    pub(crate) inputs: Vec<String>,
    /// The number of dimensions of graph outputs for which the file declares a shape.
    pub(crate) output_ranks: BTreeMap<String, usize>,
}

/// A node, also one within a function or within a graph of another node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) domain: String,
    pub(crate) operator: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    /// Whether it has subgraphs, which can read the tensors of the enclosing graph.
    pub(crate) has_graphs: bool,
    /// Whether its tensors are unknown: in a function the names are local.
    pub(crate) is_opaque: bool,
}

impl ModelFile {
    pub(crate) fn read(path: &Path) -> ModelFile {
        if let Some(operators) = ort_format::operators(path) {
            let node = |operator| Node { operator, is_opaque: true, ..Node::default() };
            let nodes = operators.into_iter().map(node).collect();
            return ModelFile { is_ort_format: true, nodes, ..ModelFile::default() };
        }
        let mut reading = Reading::default();
        // A fault that ends the walk is reported by the engine.
        drop(walk_file(path, &mut reading));
        reading.file
    }
}

/// The state of reading a model file.
#[derive(Default)]
struct Reading {
    file: ModelFile,
    /// Nodes whose end was not reached yet, the innermost last.
    open: Vec<Node>,
    /// Whether the walk is in a function.
    in_function: bool,
    output: String,
    rank: Option<usize>,
}

impl Reader for Reading {
    fn wants(&self, within: Kind, field: u64) -> bool {
        matches!(
            (within, field),
            (Kind::Model, 1..=3)
                | (Kind::Node, 1 | 2 | 4 | 7)
                | (Kind::Initializer, 8)
                | (Kind::Input | Kind::Output, 1)
        )
    }

    fn begin(&mut self, kind: Kind) {
        match kind {
            Kind::Function => self.in_function = true,
            Kind::Node => self.open.push(Node { is_opaque: self.in_function, ..Node::default() }),
            Kind::Graph => {
                if let Some(node) = self.open.last_mut() {
                    node.has_graphs = true;
                }
            }
            Kind::Output => (self.output, self.rank) = (String::new(), None),
            Kind::Shape => self.rank = Some(0),
            Kind::Dimension => self.rank = self.rank.map(|rank| rank + 1),
            _ => {}
        }
    }

    fn text(&mut self, within: Kind, field: u64, text: Vec<u8>) -> io::Result<()> {
        let text = String::from_utf8_lossy(&text).into_owned();
        match (within, field) {
            (Kind::Model, 2) => self.file.producer.0 = text,
            (Kind::Model, 3) => self.file.producer.1 = text,
            (Kind::Initializer, _) => self.file.initializers.push(text),
            (Kind::Input, _) => self.file.inputs.push(text),
            (Kind::Output, _) => self.output = text,
            (Kind::Node, _) => {
                if let Some(node) = self.open.last_mut() {
                    match field {
                        1 => node.inputs.push(text),
                        2 => node.outputs.push(text),
                        4 => node.operator = text,
                        _ => node.domain = text,
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn number(&mut self, _: Kind, field: u64, number: u64) {
        if field == 1 {
            self.file.ir_version = number;
        }
    }

    fn end(&mut self, kind: Kind) {
        match kind {
            Kind::Function => self.in_function = false,
            Kind::Node => self.file.nodes.extend(self.open.pop()),
            Kind::Output => {
                if let Some(rank) = self.rank {
                    self.file.output_ranks.insert(std::mem::take(&mut self.output), rank);
                }
            }
            _ => {}
        }
    }
}

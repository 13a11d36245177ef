//! Writes graphs: `GraphDef`s and `SavedModel`s without variables.

use std::collections::BTreeMap;

use prost::Message;

/// Numbers of element types.
pub(crate) mod element {
    pub(crate) const FLOAT: i32 = 1;
    pub(crate) const INT32: i32 = 3;
    pub(crate) const STRING: i32 = 7;
    pub(crate) const COMPLEX64: i32 = 8;
    pub(crate) const INT64: i32 = 9;
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(crate) nodes: Vec<Node>,
    #[prost(message, optional, tag = "4")]
    pub(crate) versions: Option<Versions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Versions {
    #[prost(int32, tag = "1")]
    pub(crate) producer: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) operation: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) inputs: Vec<String>,
    #[prost(string, tag = "4")]
    pub(crate) device: String,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(crate) attributes: BTreeMap<String, Attribute>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(message, optional, tag = "1")]
    pub(crate) list: Option<List>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) text: Option<Vec<u8>>,
    #[prost(int64, optional, tag = "3")]
    pub(crate) number: Option<i64>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) flag: Option<bool>,
    #[prost(int32, optional, tag = "6")]
    pub(crate) element: Option<i32>,
    #[prost(message, optional, tag = "7")]
    pub(crate) shape: Option<Dims>,
    #[prost(message, optional, tag = "8")]
    pub(crate) tensor: Option<Constant>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct List {
    #[prost(int64, repeated, tag = "3")]
    pub(crate) numbers: Vec<i64>,
    #[prost(int32, repeated, tag = "6")]
    pub(crate) elements: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dims {
    #[prost(message, repeated, tag = "2")]
    pub(crate) dims: Vec<Dim>,
    #[prost(bool, tag = "3")]
    pub(crate) unknown_rank: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Dim {
    #[prost(int64, tag = "1")]
    pub(crate) size: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Constant {
    #[prost(int32, tag = "1")]
    pub(crate) element: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) shape: Option<Dims>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) content: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SavedModel {
    #[prost(int64, tag = "1")]
    pub(crate) version: i64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) graphs: Vec<MetaGraph>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetaGraph {
    #[prost(message, optional, tag = "1")]
    pub(crate) info: Option<Info>,
    #[prost(message, optional, tag = "2")]
    pub(crate) graph: Option<Graph>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(crate) signatures: BTreeMap<String, Signature>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Info {
    #[prost(string, repeated, tag = "4")]
    pub(crate) tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Signature {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) inputs: BTreeMap<String, Tensor>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) outputs: BTreeMap<String, Tensor>,
    #[prost(string, tag = "3")]
    pub(crate) method: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tensor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) element: i32,
    #[prost(message, optional, tag = "3")]
    pub(crate) shape: Option<Dims>,
}

/// `None` stands for a rank that is not known.
pub(crate) fn dims(dims: Option<&[i64]>) -> Dims {
    let sizes = dims.unwrap_or_default().iter().map(|&size| Dim { size });
    Dims { dims: sizes.collect(), unknown_rank: dims.is_none() }
}

/// A tensor of a signature.
pub(crate) fn tensor(name: &str, element: i32, shape: Option<&[i64]>) -> Tensor {
    Tensor { name: name.into(), element, shape: Some(dims(shape)) }
}

/// A signature of such tensors, under the names that clients use.
pub(crate) fn signature(inputs: &[(&str, Tensor)], outputs: &[(&str, Tensor)]) -> Signature {
    let named = |all: &[(&str, Tensor)]| {
        all.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect()
    };
    Signature { inputs: named(inputs), outputs: named(outputs), method: "tensorflow/serving/predict".into() }
}

impl Graph {
    pub(crate) fn new() -> Graph {
        Graph { nodes: Vec::new(), versions: Some(Versions { producer: 27 }) }
    }

    /// Adds a node; `with` gives it attributes.
    pub(crate) fn node(mut self, name: &str, operation: &str, inputs: &[&str]) -> Graph {
        let inputs = inputs.iter().map(|&input| input.into()).collect();
        let (name, operation) = (name.into(), operation.into());
        self.nodes.push(Node { name, operation, inputs, ..Node::default() });
        self
    }

    /// Gives the last node an attribute.
    pub(crate) fn with(mut self, key: &str, attribute: Attribute) -> Graph {
        self.nodes.last_mut().unwrap().attributes.insert(key.into(), attribute);
        self
    }

    /// Gives the last node an element type under that key.
    pub(crate) fn of(self, key: &str, element: i32) -> Graph {
        self.with(key, Attribute { element: Some(element), ..Attribute::default() })
    }

    pub(crate) fn text(self, key: &str, text: &str) -> Graph {
        self.with(key, Attribute { text: Some(text.into()), ..Attribute::default() })
    }

    pub(crate) fn numbers(self, key: &str, numbers: &[i64]) -> Graph {
        let list = Some(List { numbers: numbers.to_vec(), ..List::default() });
        self.with(key, Attribute { list, ..Attribute::default() })
    }

    pub(crate) fn types(self, key: &str, elements: &[i32]) -> Graph {
        let list = Some(List { elements: elements.to_vec(), ..List::default() });
        self.with(key, Attribute { list, ..Attribute::default() })
    }

    pub(crate) fn shape(self, key: &str, shape: Option<&[i64]>) -> Graph {
        self.with(key, Attribute { shape: Some(dims(shape)), ..Attribute::default() })
    }

    pub(crate) fn placeholder(self, name: &str, element: i32, shape: Option<&[i64]>) -> Graph {
        self.node(name, "Placeholder", &[]).of("dtype", element).shape("shape", shape)
    }

    pub(crate) fn constant(self, name: &str, element: i32, shape: &[i64], content: &[u8]) -> Graph {
        let (shape, content) = (Some(dims(Some(shape))), content.to_vec());
        let tensor = Some(Constant { element, shape, content });
        let value = Attribute { tensor, ..Attribute::default() };
        self.node(name, "Const", &[]).of("dtype", element).with("value", value)
    }

    /// Puts the last node on a device.
    pub(crate) fn on(mut self, device: &str) -> Graph {
        self.nodes.last_mut().unwrap().device = device.into();
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// The `SavedModel` of this graph.
    pub(crate) fn saved(self, tags: &[&str], signatures: &[(&str, Signature)]) -> SavedModel {
        let tags = tags.iter().map(|&tag| tag.into()).collect();
        let signatures = signatures.iter().map(|(name, each)| ((*name).to_owned(), each.clone())).collect();
        let graph = MetaGraph { info: Some(Info { tags }), graph: Some(self), signatures };
        SavedModel { version: 1, graphs: vec![graph] }
    }
}

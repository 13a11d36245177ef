//! The parts of TensorFlow's messages that are read or written here. Fields that are not named are passed over, weights among
//! them, without a copy.

use std::collections::BTreeMap;

use prost::Message;

/// The library's operations.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpList {
    #[prost(message, repeated, tag = "1")]
    pub(crate) operations: Vec<OpDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpDef {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(bool, tag = "17")]
    pub(crate) is_stateful: bool,
}

/// The kernels of an operation.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KernelList {
    #[prost(message, repeated, tag = "1")]
    pub(crate) kernels: Vec<KernelDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KernelDef {
    #[prost(string, tag = "2")]
    pub(crate) device_type: String,
}

/// A file `saved_model.pb`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SavedModel {
    #[prost(message, repeated, tag = "2")]
    pub(crate) meta_graphs: Vec<TaggedGraph>,
}

/// Of a graph of a `SavedModel` only its tags.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TaggedGraph {
    #[prost(message, optional, tag = "1")]
    pub(crate) info: Option<MetaInfo>,
}

/// A graph of a `SavedModel`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetaGraph {
    #[prost(message, optional, tag = "2")]
    pub(crate) graph: Option<GraphDef>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(crate) signatures: BTreeMap<String, SignatureDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetaInfo {
    #[prost(string, repeated, tag = "4")]
    pub(crate) tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignatureDef {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) inputs: BTreeMap<String, TensorInfo>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) outputs: BTreeMap<String, TensorInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorInfo {
    /// Empty for what is no single tensor.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) data_type: i32,
    #[prost(message, optional, tag = "3")]
    pub(crate) shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub(crate) dims: Vec<Dimension>,
    #[prost(bool, tag = "3")]
    pub(crate) unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dimension {
    #[prost(int64, tag = "1")]
    pub(crate) size: i64,
}

/// A graph, as the file `model.graphdef` has it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    pub(crate) nodes: Vec<NodeDef>,
    #[prost(message, optional, tag = "2")]
    pub(crate) library: Option<FunctionLibrary>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionLibrary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) functions: Vec<FunctionDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionDef {
    #[prost(message, optional, tag = "1")]
    pub(crate) signature: Option<OpDef>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) nodes: Vec<NodeDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeDef {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) operation: String,
    /// `node`, `node:1`, or `^node` for one that only has to come first.
    #[prost(string, repeated, tag = "3")]
    pub(crate) inputs: Vec<String>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(crate) attributes: BTreeMap<String, Attribute>,
}

/// Of an attribute only the functions that it names.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(message, optional, tag = "1")]
    pub(crate) list: Option<AttributeList>,
    #[prost(message, optional, tag = "10")]
    pub(crate) function: Option<FunctionName>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeList {
    #[prost(message, repeated, tag = "9")]
    pub(crate) functions: Vec<FunctionName>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionName {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// The settings of a session.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConfigProto {
    #[prost(btree_map = "string, int32", tag = "1")]
    pub(crate) device_count: BTreeMap<String, i32>,
    #[prost(int32, tag = "2")]
    pub(crate) intra_op_parallelism_threads: i32,
    #[prost(int32, tag = "5")]
    pub(crate) inter_op_parallelism_threads: i32,
    #[prost(bool, tag = "7")]
    pub(crate) allow_soft_placement: bool,
    #[prost(bool, tag = "9")]
    pub(crate) use_per_session_threads: bool,
    #[prost(message, optional, tag = "10")]
    pub(crate) graph_options: Option<GraphOptions>,
    #[prost(message, optional, tag = "16")]
    pub(crate) experimental: Option<Experimental>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Experimental {
    #[prost(bool, tag = "9")]
    pub(crate) disable_thread_spinning: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GraphOptions {
    #[prost(message, optional, tag = "3")]
    pub(crate) optimizer_options: Option<OptimizerOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OptimizerOptions {
    /// -1: off; 0: the library's choice; 1 and 2: compiled by XLA.
    #[prost(int32, tag = "5")]
    pub(crate) global_jit_level: i32,
}

/// The settings of a run.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RunOptions {
    /// -1: the operations run on the calling thread.
    #[prost(int32, tag = "3")]
    pub(crate) inter_op_thread_pool: i32,
}

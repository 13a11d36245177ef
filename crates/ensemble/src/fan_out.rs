//! Fan-out: a step that runs once for each row of a tensor.
//!
//! Each row is a request of its own to the step's model, so that its batcher joins rows of several requests. The rows'
//! outputs are gathered in the order of the rows. Nothing is copied: rows are slices, and what is gathered is their segments.

mod build;
mod cut;
mod gather;
mod items;
mod pad;
mod rows;

pub(crate) use build::{cut, step};
pub(crate) use cut::Cut;
pub(crate) use items::{Items, Rowed};

/// How a step is fanned out.
#[derive(Debug)]
pub(crate) struct StepFanOut {
    /// The names of the tensors whose rows are taken, for messages.
    pub(crate) over: String,
    /// How rows are taken of each input of the model; `None` for an input that goes to each row's request as it is.
    pub(crate) cuts: Vec<Option<Cut>>,
    /// Whether each output of the model has the dimension of its rows in front, which is 1 in a row. Otherwise it gets one.
    pub(crate) joins: Vec<bool>,
    pub(crate) max_items: usize,
    pub(crate) max_inflight: usize,
    pub(crate) pads: bool,
    /// The fanned-out steps before it whose rows are its rows, directly or not.
    pub(crate) aligned: Vec<usize>,
}

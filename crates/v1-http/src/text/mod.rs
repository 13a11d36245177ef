//! Protobuf's text format: read for the header of a request, written for everything that V1 says.

mod header;
mod number;
mod parser;
mod reflect;
mod request;
mod writer;

pub(crate) use header::{response_line, response_text, status_line};
pub(crate) use reflect::{debug_text, json};
pub(crate) use request::parse_request;

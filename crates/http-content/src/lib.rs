//! Building blocks for the content of HTTP messages in any protocol: bodies that are read within limits and written without
//! a copy, content codings, and JSON.
//!
//! It depends on no path and no model. The protocols define the members of JSON objects and the use of statuses.

mod accepted_coding;
mod body;
mod compression;
pub mod json;
mod off_thread;
mod response;

pub use accepted_coding::{AcceptedCoding, ResponseCompression};
pub use body::{MAX_BODY, Oversized, Segments, Unread};
pub use compression::{Coding, text};
pub use off_thread::{LARGE_JSON, LARGE_OUTPUT, off_thread};
pub use response::{JSON, ResponseBody, empty, json as json_response, ok};

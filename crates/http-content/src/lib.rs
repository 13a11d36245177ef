//! What the content of HTTP is made of, whatever protocol speaks it: bodies that are read within limits and written without a
//! copy, their codings, and JSON.
//!
//! It knows no path and no model. What a member of an object means, and what a status is for, is the protocol's to say.

mod accepted_coding;
mod body;
mod compression;
pub mod json;
mod off_thread;
mod response;

pub use accepted_coding::{AcceptedCoding, ResponseCompression};
pub use body::{MAX_BODY, Segments, Unread, too_large};
pub use compression::{Coding, text};
pub use off_thread::{LARGE_JSON, LARGE_OUTPUT, off_thread};
pub use response::{JSON, ResponseBody, empty, json as json_response, ok};

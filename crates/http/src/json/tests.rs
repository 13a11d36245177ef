//! The parser as a whole: Triton's texts, hostile input, and round trips.

mod errors;
mod properties;
mod requests;

use hippocamp_backend::Error;

use super::{JsonRequest, parse_infer};

const MAX: usize = 64 << 20;

fn parse(json: &str) -> Result<JsonRequest<'_>, Error> {
    parse_infer(json.as_bytes(), MAX)
}

/// One input named I with these members, which begin with a comma.
fn one_input(members: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"I"{members}}}]}}"#)
}

fn typed(data_type: &str, shape: &str, data: &str) -> String {
    one_input(&format!(r#","shape":{shape},"datatype":"{data_type}","data":{data}"#))
}

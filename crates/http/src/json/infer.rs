//! The JSON of an inference request.

use std::borrow::Cow;

use hippocamp_backend::Error;
use hippocamp_core::check_tensor_count;
use hippocamp_http_content::json::{AccessFault, Cursor, Fault, Scalar, unable_to_parse, utf8};
use smallvec::SmallVec;

use super::input::{self, JsonInput};
use super::output::{self, JsonOutput};
use super::parameters::{self, RequestParameters};

/// A request as its JSON describes it. Texts are borrowed from there.
#[derive(Debug)]
pub struct JsonRequest<'a> {
    /// Empty if there is none.
    pub id: Cow<'a, str>,
    pub parameters: RequestParameters,
    pub inputs: SmallVec<[JsonInput<'a>; 4]>,
    pub outputs: SmallVec<[JsonOutput<'a>; 4]>,
}

/// Reads a request. `max_tensor_size` bounds the bytes of one tensor that was written as JSON.
///
/// Errors come in Triton's order: syntax, id, parameters, inputs, outputs.
pub fn parse_infer(json: &[u8], max_tensor_size: usize) -> Result<JsonRequest<'_>, Error> {
    let mut cursor = Cursor::new(json);
    let mut sections = Sections::default();
    cursor.begin()?;
    if cursor.is_object() {
        cursor.object(|cursor, name| sections.read(cursor, &name, max_tensor_size))?;
    } else {
        cursor.skip_value()?;
    }
    cursor.end()?;
    sections.finish()
}

/// The members of the request. Of members with the same name the first counts.
#[derive(Default)]
struct Sections<'a> {
    id: Option<Scalar<'a>>,
    parameters: Option<Result<RequestParameters, Error>>,
    inputs: Option<Result<SmallVec<[JsonInput<'a>; 4]>, Error>>,
    outputs: Option<Result<SmallVec<[JsonOutput<'a>; 4]>, Error>>,
}

impl<'a> Sections<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>, name: &[u8], max_tensor_size: usize) -> Result<(), Fault> {
        match name {
            b"id" if self.id.is_none() => self.id = Some(cursor.scalar()?),
            b"parameters" if self.parameters.is_none() => {
                self.parameters = Some(cursor.section(parameters::read)?);
            }
            b"inputs" if self.inputs.is_none() => {
                let read = |cursor: &mut Cursor<'a>| {
                    list(cursor, "inputs", |cursor| input::read(cursor, max_tensor_size))
                };
                self.inputs = Some(cursor.section(read)?);
            }
            b"outputs" if self.outputs.is_none() => {
                self.outputs = Some(cursor.section(|cursor| list(cursor, "outputs", output::read))?);
            }
            _ => cursor.skip_value()?,
        }
        Ok(())
    }

    fn finish(self) -> Result<JsonRequest<'a>, Error> {
        let id = self.id.map(|id| string("id", id)).transpose()?.unwrap_or_default();
        let parameters = self.parameters.transpose()?.unwrap_or_default();
        let inputs = self.inputs.transpose()?.ok_or_else(|| missing("inputs"))?;
        let outputs = self.outputs.transpose()?.unwrap_or_default();
        Ok(JsonRequest { id, parameters, inputs, outputs })
    }
}

/// Reads the array that the member `name` has to be.
fn list<'a, T>(
    cursor: &mut Cursor<'a>,
    name: &str,
    read: impl Fn(&mut Cursor<'a>) -> Result<T, Fault>,
) -> Result<SmallVec<[T; 4]>, Fault> {
    if !cursor.is_array() {
        return Err(unable_to_parse(name, AccessFault::Array).into());
    }
    let mut all = SmallVec::new();
    cursor.array(|cursor| {
        check_tensor_count(all.len() + 1, name)?;
        all.push(read(cursor)?);
        Ok(())
    })?;
    Ok(all)
}

#[cold]
pub(super) fn missing(name: &str) -> Error {
    unable_to_parse(name, format_args!("attempt to access non-existing object member '{name}'"))
}

pub(super) fn string<'a>(name: &str, value: Scalar<'a>) -> Result<Cow<'a, str>, Error> {
    utf8(name, value.into_bytes().map_err(|fault| unable_to_parse(name, fault))?)
}

/// The string that a member has to be that has to be there.
pub(super) fn required<'a>(name: &str, value: Option<Scalar<'a>>) -> Result<Cow<'a, str>, Error> {
    string(name, value.ok_or_else(|| missing(name))?)
}

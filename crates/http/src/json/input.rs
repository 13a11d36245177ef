//! An input in the JSON of a request.

use std::borrow::Cow;

use bytes::Bytes;
use hippocamp_backend::Error;
use hippocamp_http_content::json::{AccessFault, Cursor, Fault, Mark, Scalar, tensor, unable_to_parse};
use hippocamp_tensor::{DataType, Shape};

use super::infer::{missing, required};
use super::tensor_parameters::{Place, TensorParameters};

/// How many dimensions an input may have.
const MAX_RANK: usize = 64;

/// An input as it is described.
#[derive(Debug)]
pub struct JsonInput<'a> {
    pub name: Cow<'a, str>,
    /// `None` if there is no such type.
    pub data_type: Option<DataType>,
    pub shape: Shape,
    pub content: Content<'a>,
}

/// Where an input's bytes are.
#[derive(Debug)]
pub enum Content<'a> {
    /// They were written as JSON; here they are in the wire form.
    Json(Bytes),
    /// So many bytes follow the JSON.
    Binary(u64),
    /// They are in a region of shared memory.
    SharedMemory(Place<'a>),
}

/// An input's `data`.
enum Data {
    /// Type and shape came first.
    Read(Result<Vec<u8>, Error>),
    /// It has to be read from here, once type and shape are known.
    Later(Mark),
}

/// The members of an input.
#[derive(Default)]
struct InputMembers<'a> {
    name: Option<Scalar<'a>>,
    data_type: Option<Scalar<'a>>,
    shape: Option<Result<Shape, Error>>,
    data: Option<Data>,
    parameters: TensorParameters<'a>,
}

/// Reads one element of `inputs`.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>, max_size: usize) -> Result<JsonInput<'a>, Fault> {
    let mut members = InputMembers::default();
    if !cursor.is_object() {
        cursor.skip_value()?;
        return members.finish(cursor, max_size);
    }
    let mut has_parameters = false;
    cursor.object(|cursor, name| {
        match &*name {
            b"name" if members.name.is_none() => members.name = Some(cursor.scalar()?),
            b"datatype" if members.data_type.is_none() => members.data_type = Some(cursor.scalar()?),
            b"shape" if members.shape.is_none() => members.shape = Some(cursor.section(shape)?),
            b"data" if members.data.is_none() => members.data = Some(members.read_data(cursor, max_size)?),
            b"parameters" if !has_parameters => {
                has_parameters = true;
                members.parameters = TensorParameters::read(cursor)?;
            }
            _ => cursor.skip_value()?,
        }
        Ok(())
    })?;
    members.finish(cursor, max_size)
}

impl<'a> InputMembers<'a> {
    /// The type, if it is known by now.
    fn known_type(&self) -> Option<DataType> {
        match &self.data_type {
            Some(Scalar::String(name)) => DataType::from_protocol_name(std::str::from_utf8(name).ok()?),
            _ => None,
        }
    }

    fn read_data(&self, cursor: &mut Cursor<'a>, max_size: usize) -> Result<Data, Fault> {
        let count = self.shape.as_ref().and_then(|shape| shape.as_ref().ok()?.element_count());
        let name = match &self.name {
            Some(Scalar::String(name)) => std::str::from_utf8(name).ok(),
            _ => None,
        };
        match (name, self.known_type(), count) {
            (Some(name), Some(data_type), Some(count)) if count > 0 && tensor::is_readable(data_type) => {
                let read = |cursor: &mut Cursor<'a>| tensor::read(cursor, name, data_type, count, max_size);
                Ok(Data::Read(cursor.section(read)?))
            }
            _ => {
                let start = cursor.mark();
                cursor.skip_value()?;
                Ok(Data::Later(start))
            }
        }
    }

    /// Checks the members in Triton's order.
    fn finish(self, cursor: &mut Cursor<'a>, max_size: usize) -> Result<JsonInput<'a>, Fault> {
        let data_type = self.known_type();
        let TensorParameters { binary_data_size, shared_memory, .. } = self.parameters;
        check_content(self.data.is_some(), binary_data_size.is_some(), shared_memory.region.is_some())?;
        let name = required("name", self.name)?;
        required("datatype", self.data_type)?;
        let shape = self.shape.transpose()?.ok_or_else(|| missing("shape"))?;
        let content = if let Some(size) = binary_data_size {
            let size = size.as_u64().map_err(|fault| unable_to_parse("binary_data_size", fault))?;
            Content::Binary(size)
        } else if let Some(place) = shared_memory.read()? {
            Content::SharedMemory(place)
        } else {
            let data = match self.data {
                Some(Data::Read(data)) => data?,
                Some(Data::Later(start)) => {
                    let end = cursor.mark();
                    cursor.reset(start);
                    let data = data(cursor, &name, data_type, &shape, max_size)?;
                    cursor.reset(end);
                    data
                }
                None => Vec::new(),
            };
            Content::Json(data.into())
        };
        Ok(JsonInput { name, data_type, shape, content })
    }
}

/// Reads `data` when everything else is known.
fn data(
    cursor: &mut Cursor<'_>,
    name: &str,
    data_type: Option<DataType>,
    shape: &Shape,
    max_size: usize,
) -> Result<Vec<u8>, Fault> {
    // A shape that holds nothing has no data, whatever is written. One that no memory could hold has none either: it is
    // refused as a shape.
    let Some(count) = shape.element_count().filter(|&count| count > 0) else { return Ok(Vec::new()) };
    if !cursor.is_array() {
        return Err(unable_to_parse("data", AccessFault::Array).into());
    }
    match data_type {
        Some(data_type) if tensor::is_readable(data_type) => {
            tensor::read(cursor, name, data_type, count, max_size)
        }
        Some(data_type) => Err(unreadable(name, data_type).into()),
        None => Err(Error::invalid_arg(format!("invalid datatype for input {name}")).into()),
    }
}

/// Tensors of this type have no JSON form.
#[cold]
pub(super) fn unreadable(name: &str, data_type: DataType) -> Error {
    Error::invalid_arg(format!(
        "receiving {data_type} data via JSON is not supported. Please use the binary data format for input {name}"
    ))
}

/// Exactly one of the places where an input's bytes can be has to be given.
fn check_content(data: bool, binary: bool, shared_memory: bool) -> Result<(), Error> {
    let fields =
        [(data, "'data'"), (binary, "'binary_data_size'"), (shared_memory, "'shared_memory_region'")];
    let set: Vec<&str> = fields.iter().filter(|(set, _)| *set).map(|(_, field)| *field).collect();
    let but = match set.as_slice() {
        [_] => return Ok(()),
        [] => "no field is set".to_owned(),
        several => format!("set {}", several.join(" ")),
    };
    Err(Error::invalid_arg(format!(
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', \
         'shared_memory_region' in 'parameters'. But {but}"
    )))
}

fn shape(cursor: &mut Cursor<'_>) -> Result<Shape, Fault> {
    if !cursor.is_array() {
        return Err(unable_to_parse("shape", AccessFault::Array).into());
    }
    let mut shape = Shape::default();
    cursor.array(|cursor| {
        let dimension = cursor.scalar()?.as_u64().map_err(|fault| unable_to_parse("shape", fault))?;
        let dimension = i64::try_from(dimension).map_err(|_| {
            Error::invalid_arg(format!("Unable to parse 'shape': the dimension {dimension} is out of range"))
        })?;
        if shape.len() == MAX_RANK {
            let text = format!("Unable to parse 'shape': a tensor has at most {MAX_RANK} dimensions");
            return Err(Error::invalid_arg(text).into());
        }
        shape.push(dimension);
        Ok(())
    })?;
    Ok(shape)
}

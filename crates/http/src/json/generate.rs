//! The JSON of a generate request: one object whose members are inputs or parameters, whichever their names say.

use std::borrow::Cow;

use bytes::Bytes;
use hippocamp_backend::{Error, ParameterValue, Parameters};
use hippocamp_core::check_parameter_count;
use hippocamp_http_content::json::{Cursor, Fault, tensor, utf8};
use hippocamp_model_config::{Interface, TensorLookup, TensorSpec};
use hippocamp_tensor::Shape;
use smallvec::SmallVec;

use super::infer::string;
use super::input::unreadable;
use super::parameters::custom;

/// The member whose own members are read like those of the request.
const NESTED: &str = "parameters";

/// A request as its JSON describes it.
#[derive(Debug, Default)]
pub(crate) struct GenerateRequest {
    /// Empty if there is none.
    pub(crate) id: String,
    /// In the client's order. An input that was given twice is here twice.
    pub(crate) inputs: SmallVec<[GenerateInput; 4]>,
    pub(crate) parameters: Parameters,
}

#[derive(Debug)]
pub(crate) struct GenerateInput {
    /// Its place in the model's list.
    pub(crate) index: usize,
    pub(crate) shape: Shape,
    /// In the wire form.
    pub(crate) data: Bytes,
}

/// Reads a request to a model with these inputs. `max_tensor_size` bounds the bytes of one tensor.
///
/// A syntax error comes first wherever it is; of other errors that of the first member.
pub(crate) fn parse_generate(
    json: &[u8],
    interface: &Interface,
    max_tensor_size: usize,
) -> Result<GenerateRequest, Error> {
    let mut cursor = Cursor::new(json);
    let request = GenerateRequest::default();
    let lookup = TensorLookup::new(&interface.inputs);
    let mut reading = Reading { interface, lookup, max_tensor_size, request, parameter_count: 0 };
    let mut read = Ok(());
    cursor.begin()?;
    if cursor.is_object() {
        cursor.object(|cursor, name| {
            if read.is_err() {
                return cursor.skip_value();
            }
            read = cursor.section(|cursor| reading.top(cursor, name))?;
            Ok(())
        })?;
    } else {
        cursor.skip_value()?;
        read = Err(Error::invalid_arg("attempt to get members for non-object"));
    }
    cursor.end()?;
    read.map(|()| reading.request)
}

struct Reading<'m> {
    interface: &'m Interface,
    lookup: TensorLookup<'m>,
    max_tensor_size: usize,
    request: GenerateRequest,
    parameter_count: usize,
}

impl Reading<'_> {
    fn input_named(&mut self, name: &[u8]) -> Option<usize> {
        self.lookup.find(std::str::from_utf8(name).ok()?)
    }

    /// Reads a member of the request itself.
    fn top(&mut self, cursor: &mut Cursor<'_>, name: Cow<'_, [u8]>) -> Result<(), Fault> {
        match &*name {
            b"parameters" => self.nested(cursor),
            b"id" if self.input_named(b"id").is_none() => {
                // In Triton it is a parameter as well.
                let id = string("id", cursor.scalar()?)?.into_owned();
                self.set("id".to_owned(), ParameterValue::String(id.clone().into()))?;
                if self.request.id.is_empty() {
                    self.request.id = id;
                }
                Ok(())
            }
            _ => self.member(cursor, name),
        }
    }

    /// Reads the object that `parameters` has to be.
    fn nested(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        if self.input_named(NESTED.as_bytes()).is_some() {
            let text = format!("Keyword '{NESTED}' for nested schema also given as input tensor name");
            return Err(Error::invalid_arg(text).into());
        }
        if !cursor.is_object() {
            let text = "attempt to access JSON non-object as object";
            let text = format!("Expected JSON object for keyword: '{NESTED}': {text}");
            return Err(Error::invalid_arg(text).into());
        }
        cursor.object(|cursor, name| self.member(cursor, name)).map_err(|fault| match fault {
            Fault::Meaning(error) => {
                let text = format!("Converting keyword: '{NESTED}': {}", error.message());
                Error::new(error.code(), text).into()
            }
            syntax @ Fault::Syntax { .. } => syntax,
        })
    }

    fn member(&mut self, cursor: &mut Cursor<'_>, name: Cow<'_, [u8]>) -> Result<(), Fault> {
        let Some(index) = self.input_named(&name) else {
            let value = cursor.scalar()?;
            let name = utf8(NESTED, name)?;
            let value = custom(&name, value)?;
            return Ok(self.set(name.into_owned(), value)?);
        };
        if self.request.inputs.len() > self.interface.inputs.len() {
            // One was given twice, and the request will be refused for that.
            return cursor.skip_value();
        }
        let input = self.input(cursor, index)?;
        self.request.inputs.push(input);
        Ok(())
    }

    /// Sets a parameter. Of those with the same name the first counts.
    fn set(&mut self, name: String, value: ParameterValue) -> Result<(), Error> {
        self.parameter_count += 1;
        check_parameter_count(self.parameter_count)?;
        if self.request.parameters.get(&name).is_none() {
            self.request.parameters.set(name, value);
        }
        Ok(())
    }

    fn input(&self, cursor: &mut Cursor<'_>, index: usize) -> Result<GenerateInput, Fault> {
        let spec = &self.interface.inputs[index];
        let count = count(cursor)?;
        let shape = fit(&self.dims(spec), count).ok_or_else(|| {
            let name = &spec.name;
            Error::invalid_arg(format!(
                "The schema can not convert input '{name}' to tensor with proper shape"
            ))
        })?;
        if !tensor::is_readable(spec.data_type) {
            return Err(unreadable(&spec.name, spec.data_type).into());
        }
        let data = tensor::read_any(cursor, &spec.name, spec.data_type, count, self.max_tensor_size)?;
        Ok(GenerateInput { index, shape, data: data.into() })
    }

    /// The dimensions with that of the batch, which is as open as any other.
    fn dims(&self, spec: &TensorSpec) -> Shape {
        let is_batched = self.interface.max_batch_size > 0 && !spec.is_shape_tensor;
        if is_batched { spec.dims.with_batch(-1) } else { spec.dims.clone() }
    }
}

/// How many elements the array has that begins here; 1 for any other value. Stays where it is.
fn count(cursor: &mut Cursor<'_>) -> Result<usize, Fault> {
    if !cursor.is_array() {
        return Ok(1);
    }
    let start = cursor.mark();
    let mut count = 0;
    cursor.array(|cursor| {
        count += 1;
        cursor.skip_value()
    })?;
    cursor.reset(start);
    Ok(count)
}

/// The shape of so many elements: the innermost open dimension takes what the fixed ones leave, other open ones are 1.
/// `None` if that does not come out even.
fn fit(dims: &[i64], count: usize) -> Option<Shape> {
    let mut left = i64::try_from(count).ok()?;
    for &fixed in dims.iter().filter(|&&dim| dim != -1) {
        if left.checked_rem(fixed)? != 0 {
            return None;
        }
        left /= fixed;
    }
    let mut shape: SmallVec<[i64; 6]> = dims.into();
    for open in shape.iter_mut().rev().filter(|dim| **dim == -1) {
        *open = std::mem::replace(&mut left, 1);
    }
    (left == 1).then(|| shape.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_spread_over_the_open_dimensions() {
        type Case = (&'static [i64], usize, Option<&'static [i64]>);
        let cases: [Case; 12] = [
            (&[1], 1, Some(&[1])),
            (&[2], 1, None),
            (&[2], 4, None),
            (&[-1], 0, Some(&[0])),
            (&[-1], 5, Some(&[5])),
            (&[-1, -1], 5, Some(&[1, 5])),
            (&[-1, 2], 4, Some(&[2, 2])),
            (&[-1, 2], 3, None),
            (&[-1, 2, -1, 3], 12, Some(&[1, 2, 2, 3])),
            (&[1], 0, None),
            (&[0], 0, None),
            (&[], 1, Some(&[])),
        ];
        for (dims, count, shape) in cases {
            assert_eq!(fit(dims, count), shape.map(Shape::from), "{count} in {dims:?}");
        }
    }
}

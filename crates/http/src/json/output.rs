//! An output in the JSON of a request.

use std::borrow::Cow;

use hippocamp_backend::Error;
use hippocamp_core::class_count;
use hippocamp_http_content::json::{Cursor, Fault, Scalar, unable_to_parse};

use super::infer::required;
use super::tensor_parameters::{Place, TensorParameters};

/// An output that is asked for.
#[derive(Debug)]
pub struct JsonOutput<'a> {
    pub name: Cow<'a, str>,
    /// Whether it shall follow the JSON of the response instead of being part of it. `None` leaves it to the request.
    pub binary: Option<bool>,
    /// So many of the best classes shall be returned instead of the values; 0 if the values shall.
    pub classes: usize,
    /// It shall be written there.
    pub shared_memory: Option<Place<'a>>,
}

/// Reads one element of `outputs`.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>) -> Result<JsonOutput<'a>, Fault> {
    let mut name = None;
    let mut parameters = None;
    if cursor.is_object() {
        cursor.object(|cursor, member| {
            match &*member {
                b"name" if name.is_none() => name = Some(cursor.scalar()?),
                b"parameters" if parameters.is_none() => parameters = Some(TensorParameters::read(cursor)?),
                _ => cursor.skip_value()?,
            }
            Ok(())
        })?;
    } else {
        cursor.skip_value()?;
    }
    Ok(finish(name, parameters.unwrap_or_default())?)
}

/// Checks the members in Triton's order.
fn finish<'a>(name: Option<Scalar<'a>>, parameters: TensorParameters<'a>) -> Result<JsonOutput<'a>, Error> {
    let unable_to_set = |name: &str, fault| Error::invalid_arg(format!("Unable to set '{name}': {fault}"));
    let both = |other: &str| {
        Err(Error::invalid_arg(format!("Output can't set both 'shared_memory_region' and '{other}'")))
    };
    if parameters.shared_memory.region.is_some() {
        if parameters.classification.is_some() {
            return both("classification");
        }
        if let Some(binary) = &parameters.binary_data
            && binary.as_bool().map_err(|fault| unable_to_set("binary_data", fault))?
        {
            return both("binary_data");
        }
    }
    let name = required("name", name)?;
    let classes = match &parameters.classification {
        Some(classes) => {
            let asked = classes.as_u64().map_err(|fault| unable_to_set("classification", fault))?;
            class_count(&name, asked)?
        }
        None => 0,
    };
    let shared_memory = parameters.shared_memory.read()?;
    let binary = parameters.binary_data.map(|binary| binary.as_bool()).transpose();
    let binary = binary.map_err(|fault| unable_to_parse("binary_data", fault))?;
    Ok(JsonOutput { name, binary, classes, shared_memory })
}

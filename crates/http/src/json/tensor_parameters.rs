//! The parameters of a single input or output.

use std::borrow::Cow;

use hippocamp_backend::Error;
use hippocamp_http_content::json::{Cursor, Fault, Scalar, unable_to_parse};

use super::infer::string;

/// The parameters of an input or output that mean something. Others are ignored, and so is anything but an object.
#[derive(Debug, Default)]
pub(super) struct TensorParameters<'a> {
    pub(super) binary_data_size: Option<Scalar<'a>>,
    pub(super) binary_data: Option<Scalar<'a>>,
    pub(super) classification: Option<Scalar<'a>>,
    pub(super) shared_memory: SharedMemory<'a>,
}

/// Where a tensor lies in shared memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub region: Cow<'a, str>,
    /// From where the region begins; 0 if it was not given.
    pub offset: u64,
    /// 0 if it was not given.
    pub byte_size: u64,
}

/// The parameters that say where.
#[derive(Debug, Default)]
pub(super) struct SharedMemory<'a> {
    pub(super) region: Option<Scalar<'a>>,
    offset: Option<Scalar<'a>>,
    byte_size: Option<Scalar<'a>>,
}

impl<'a> TensorParameters<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<TensorParameters<'a>, Fault> {
        let mut parameters = TensorParameters::default();
        if !cursor.is_object() {
            cursor.skip_value()?;
            return Ok(parameters);
        }
        cursor.object(|cursor, name| {
            let place = match &*name {
                b"binary_data_size" => &mut parameters.binary_data_size,
                b"binary_data" => &mut parameters.binary_data,
                b"classification" => &mut parameters.classification,
                b"shared_memory_region" => &mut parameters.shared_memory.region,
                b"shared_memory_offset" => &mut parameters.shared_memory.offset,
                b"shared_memory_byte_size" => &mut parameters.shared_memory.byte_size,
                _ => return cursor.skip_value(),
            };
            let value = cursor.scalar()?;
            place.get_or_insert(value);
            Ok(())
        })?;
        Ok(parameters)
    }
}

impl<'a> SharedMemory<'a> {
    /// The place, if there is one.
    pub(super) fn read(self) -> Result<Option<Place<'a>>, Error> {
        let region = self.region.map(|region| string("shared_memory_region", region)).transpose()?;
        let number = |name, value: Option<Scalar<'_>>| {
            value.map_or(Ok(0), |value| value.as_u64().map_err(|fault| unable_to_parse(name, fault)))
        };
        let offset = number("shared_memory_offset", self.offset)?;
        let byte_size = number("shared_memory_byte_size", self.byte_size)?;
        Ok(region.map(|region| Place { region, offset, byte_size }))
    }
}

//! The parameters of a request.

use std::borrow::Cow;
use std::time::Duration;

use hippocamp_backend::{CorrelationId, Error, ParameterValue, Parameters, Sequence};
use hippocamp_core::check_parameter_count;
use hippocamp_http_content::json::{AccessFault, Cursor, Fault, Scalar, unable_to_parse, utf8};

/// The parameters that mean something to the server, and those that are handed on to the model.
#[derive(Debug, Default)]
pub struct RequestParameters {
    /// 0 means the model's default level.
    pub priority: u64,
    pub timeout: Option<Duration>,
    pub sequence: Option<Sequence>,
    /// How outputs are returned that do not say it themselves.
    pub binary_data_output: bool,
    pub custom: Parameters,
}

/// Reads the object that `parameters` has to be.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<RequestParameters, Fault> {
    if !cursor.is_object() {
        return Err(Error::invalid_arg(
            "failed to get request params.: attempt to get members for non-object",
        )
        .into());
    }
    let mut read = Reading::default();
    let mut count = 0;
    cursor.object(|cursor, name| {
        let value = cursor.scalar()?;
        count += 1;
        check_parameter_count(count)?;
        Ok(read.set(name, value)?)
    })?;
    Ok(read.finish())
}

#[derive(Default)]
struct Reading {
    parameters: RequestParameters,
    correlation_id: Option<CorrelationId>,
    start: bool,
    end: bool,
}

impl Reading {
    fn set(&mut self, name: Cow<'_, [u8]>, value: Scalar<'_>) -> Result<(), Error> {
        let parameters = &mut self.parameters;
        match &*name {
            b"sequence_id" => self.correlation_id = correlation_id(value)?,
            b"sequence_start" => self.start = flag("sequence_start", &value)?,
            b"sequence_end" => self.end = flag("sequence_end", &value)?,
            b"priority" => parameters.priority = unsigned("priority", &value)?,
            b"timeout" => {
                let microseconds = unsigned("timeout", &value)?;
                parameters.timeout = (microseconds > 0).then(|| Duration::from_micros(microseconds));
            }
            b"binary_data_output" => parameters.binary_data_output = flag("binary_data_output", &value)?,
            reserved if reserved.starts_with(b"triton_") => {
                return Err(Error::invalid_arg(
                    "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
                ));
            }
            _ => {
                let name = utf8("parameters", name)?;
                let value = custom(&name, value)?;
                parameters.custom.set(name.into_owned(), value);
            }
        }
        Ok(())
    }

    fn finish(self) -> RequestParameters {
        let (start, end) = (self.start, self.end);
        let sequence = self.correlation_id.map(|correlation_id| Sequence { correlation_id, start, end });
        RequestParameters { sequence, ..self.parameters }
    }
}

/// 0 and "" stand for none.
fn correlation_id(value: Scalar<'_>) -> Result<Option<CorrelationId>, Error> {
    if let Ok(number) = value.as_u64() {
        return Ok((number != 0).then_some(CorrelationId::Number(number)));
    }
    let text = value.into_bytes().map_err(|fault| unable_to_parse("sequence_id", fault))?;
    let text = utf8("sequence_id", text)?;
    Ok((!text.is_empty()).then(|| CorrelationId::Text(text.into())))
}

fn flag(name: &str, value: &Scalar<'_>) -> Result<bool, Error> {
    value.as_bool().map_err(|fault| unable_to_parse(name, fault))
}

fn unsigned(name: &str, value: &Scalar<'_>) -> Result<u64, Error> {
    value.as_u64().map_err(|fault: AccessFault| unable_to_parse(name, fault))
}

pub(super) fn custom(name: &str, value: Scalar<'_>) -> Result<ParameterValue, Error> {
    match value {
        Scalar::Bool(value) => Ok(ParameterValue::Bool(value)),
        Scalar::String(value) => Ok(ParameterValue::String(utf8(name, value)?.into_owned().into())),
        Scalar::Number(number) => Ok(number
            .as_i64()
            .map(ParameterValue::Int64)
            .or_else(|| number.as_u64().map(ParameterValue::Uint64))
            .unwrap_or_else(|| ParameterValue::Double(number.as_f64()))),
        Scalar::Null | Scalar::Composite => Err(Error::invalid_arg(format!(
            "parameter '{name}' has invalid type. It should be either 'int', 'bool', or 'string'."
        ))),
    }
}

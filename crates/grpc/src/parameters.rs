//! The parameters of a request: those that mean something to the server, and the rest, which go to the backend.

use std::collections::BTreeMap;
use std::time::Duration;

use hippocamp_backend::{CorrelationId, Error, ParameterValue, Parameters, Result, Sequence};
use hippocamp_core::check_parameter_count;
use hippocamp_proto::inference::InferParameter;
use hippocamp_proto::inference::infer_parameter::ParameterChoice;

/// What a request's parameters say.
#[derive(Debug, Default)]
pub(crate) struct RequestParameters {
    pub(crate) sequence: Option<Sequence>,
    pub(crate) priority: u64,
    pub(crate) timeout: Option<Duration>,
    /// Whether the end of a decoupled model's responses is wanted as a message of its own.
    pub(crate) empty_final_response: bool,
    pub(crate) custom: Parameters,
}

const EMPTY_FINAL_RESPONSE: &str = "triton_enable_empty_final_response";

/// Sorts the parameters of a request. Which types each may have differs from HTTP; clients rely on both.
pub(crate) fn request_parameters(given: BTreeMap<String, InferParameter>) -> Result<RequestParameters> {
    check_parameter_count(given.len())?;
    let mut parameters = RequestParameters::default();
    let mut sequence = Sequence { correlation_id: CorrelationId::Number(0), start: false, end: false };
    for (name, value) in given {
        let value = value.parameter_choice;
        match (name.as_str(), value) {
            ("sequence_id", Some(ParameterChoice::Int64Param(id))) => {
                // A negative id stands for the unsigned number with the same bits.
                sequence.correlation_id = CorrelationId::Number(id.cast_unsigned());
            }
            ("sequence_id", Some(ParameterChoice::StringParam(id))) => {
                sequence.correlation_id = CorrelationId::Text(id.into());
            }
            ("sequence_start", Some(ParameterChoice::BoolParam(start))) => sequence.start = start,
            ("sequence_end", Some(ParameterChoice::BoolParam(end))) => sequence.end = end,
            ("priority", Some(ParameterChoice::Int64Param(priority))) => {
                parameters.priority = u64::try_from(priority)
                    .map_err(|_| Error::invalid_arg("invalid value for 'priority', expected value >= 0."))?;
            }
            ("priority", Some(ParameterChoice::Uint64Param(priority))) => parameters.priority = priority,
            ("timeout", Some(ParameterChoice::Int64Param(us))) => {
                let us = u64::try_from(us)
                    .map_err(|_| Error::invalid_arg("invalid value for 'timeout', expected value >= 0."))?;
                parameters.timeout = (us > 0).then(|| Duration::from_micros(us));
            }
            (EMPTY_FINAL_RESPONSE, Some(ParameterChoice::BoolParam(wanted))) => {
                parameters.empty_final_response = wanted;
            }
            (_, value) => {
                let value = custom(&name, value)?;
                parameters.custom.set(name, value);
            }
        }
    }
    let none = match &sequence.correlation_id {
        CorrelationId::Number(id) => *id == 0,
        CorrelationId::Text(id) => id.is_empty(),
    };
    parameters.sequence = (!none).then_some(sequence);
    Ok(parameters)
}

/// The value of a parameter that only the backend knows, or the error of one that the server knows otherwise.
fn custom(name: &str, value: Option<ParameterChoice>) -> Result<ParameterValue> {
    let expected = match name {
        "sequence_id" => Some("int64_param or string_param"),
        "sequence_start" | "sequence_end" | EMPTY_FINAL_RESPONSE => Some("bool_param"),
        "priority" => Some("int64_param or uint64_param"),
        "timeout" => Some("int64_param"),
        _ => None,
    };
    if let Some(expected) = expected {
        return Err(wrong_type(name, expected));
    }
    if name.starts_with("triton_") {
        return Err(Error::invalid_arg(format!(
            "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting \
             with 'triton_' are allowed: {EMPTY_FINAL_RESPONSE}"
        )));
    }
    match value {
        Some(ParameterChoice::BoolParam(value)) => Ok(ParameterValue::Bool(value)),
        Some(ParameterChoice::Int64Param(value)) => Ok(ParameterValue::Int64(value)),
        Some(ParameterChoice::StringParam(value)) => Ok(ParameterValue::String(value.into())),
        Some(ParameterChoice::DoubleParam(value)) => Ok(ParameterValue::Double(value)),
        Some(ParameterChoice::Uint64Param(_)) | None => {
            Err(wrong_type(name, "int64_param, bool_param, or string_param"))
        }
    }
}

#[cold]
pub(crate) fn wrong_type(name: &str, expected: &str) -> Error {
    Error::invalid_arg(format!("invalid value type for '{name}' parameter, expected {expected}."))
}

/// A response's parameters as the message has them.
pub(crate) fn response_parameters(parameters: &Parameters) -> BTreeMap<String, InferParameter> {
    parameters.iter().map(|(name, value)| (name.to_owned(), parameter(value))).collect()
}

fn parameter(value: &ParameterValue) -> InferParameter {
    let choice = match value {
        ParameterValue::Bool(value) => ParameterChoice::BoolParam(*value),
        ParameterValue::Int64(value) => ParameterChoice::Int64Param(*value),
        ParameterValue::Uint64(value) => ParameterChoice::Uint64Param(*value),
        ParameterValue::Double(value) => ParameterChoice::DoubleParam(*value),
        ParameterValue::String(value) => ParameterChoice::StringParam(value.to_string()),
    };
    InferParameter { parameter_choice: Some(choice) }
}

/// A parameter that is a plain truth value.
pub(crate) fn flag(value: bool) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, choice: Option<ParameterChoice>) -> Result<RequestParameters> {
        request_parameters(BTreeMap::from([(name.to_owned(), InferParameter { parameter_choice: choice })]))
    }

    fn text(name: &str, choice: Option<ParameterChoice>) -> String {
        one(name, choice).unwrap_err().message().to_owned()
    }

    #[test]
    fn known_parameters_are_understood() {
        assert_eq!(one("priority", Some(ParameterChoice::Uint64Param(3))).unwrap().priority, 3);
        assert_eq!(one("priority", Some(ParameterChoice::Int64Param(3))).unwrap().priority, 3);
        let timeout = one("timeout", Some(ParameterChoice::Int64Param(50))).unwrap().timeout;
        assert_eq!(timeout, Some(Duration::from_micros(50)));
        let id = one("sequence_id", Some(ParameterChoice::Int64Param(-1))).unwrap().sequence.unwrap();
        assert_eq!(id.correlation_id, CorrelationId::Number(u64::MAX));
        assert_eq!(one("sequence_id", Some(ParameterChoice::Int64Param(0))).unwrap().sequence, None);
        assert!(
            one(EMPTY_FINAL_RESPONSE, Some(ParameterChoice::BoolParam(true))).unwrap().empty_final_response
        );
        let custom = one("a", Some(ParameterChoice::DoubleParam(1.5))).unwrap().custom;
        assert_eq!(custom.get("a"), Some(&ParameterValue::Double(1.5)));
    }

    #[test]
    fn more_parameters_than_a_request_may_have_are_refused() {
        let parameters = |count: i64| {
            let value = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(count)) };
            request_parameters((0..count).map(|index| (format!("p{index}"), value.clone())).collect())
        };
        assert_eq!(parameters(1024).unwrap().custom.iter().count(), 1024);
        for count in [1025, 200_000] {
            let error = parameters(count).unwrap_err();
            assert_eq!(error.message(), "a request has at most 1024 parameters");
        }
    }

    #[test]
    fn wrong_types_are_told_with_tritons_texts() {
        let string = || Some(ParameterChoice::StringParam("a".into()));
        assert_eq!(
            text("priority", string()),
            "invalid value type for 'priority' parameter, expected int64_param or uint64_param."
        );
        assert_eq!(
            text("priority", Some(ParameterChoice::Int64Param(-1))),
            "invalid value for 'priority', expected value >= 0."
        );
        assert_eq!(
            text("sequence_id", Some(ParameterChoice::BoolParam(true))),
            "invalid value type for 'sequence_id' parameter, expected int64_param or string_param."
        );
        for choice in [None, Some(ParameterChoice::Uint64Param(1))] {
            assert_eq!(
                text("a", choice),
                "invalid value type for 'a' parameter, expected int64_param, bool_param, or string_param."
            );
        }
        assert!(
            text("triton_x", string()).starts_with("parameter keys starting with 'triton_' are reserved")
        );
    }
}

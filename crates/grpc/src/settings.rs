//! The trace and logging extensions: settings read and changed.

use std::collections::BTreeMap;

use hippocamp_backend::{Error, Result};
use hippocamp_core::{InferenceServer, LogChange, LogControl, LogSettings, TraceProtocol, trace_change};
use hippocamp_proto::inference::log_settings_request::SettingValue as Given;
use hippocamp_proto::inference::log_settings_request::setting_value::ParameterChoice as GivenChoice;
use hippocamp_proto::inference::log_settings_response::SettingValue;
use hippocamp_proto::inference::log_settings_response::setting_value::ParameterChoice;
use hippocamp_proto::inference::{
    LogSettingsRequest, LogSettingsResponse, TraceSettingRequest, TraceSettingResponse,
    trace_setting_response,
};

/// The trace settings of a model or, without a name, of the server, after the change that the request asks for.
pub(crate) async fn trace(
    server: &InferenceServer,
    request: &TraceSettingRequest,
) -> Result<TraceSettingResponse> {
    let given = &request.settings;
    let values = |name: &str| Some(given.get(name)?.value.iter().map(String::as_str).collect());
    let change =
        || if given.is_empty() { Ok(None) } else { trace_change(TraceProtocol::Grpc, values).map(Some) };
    let settings = server.trace_settings(&request.model_name, change).await?;
    let settings =
        settings.into_iter().map(|(name, value)| (name, trace_setting_response::SettingValue { value }));
    Ok(TraceSettingResponse { settings: settings.collect() })
}

/// The settings of the log, after the changes that the request asks for, in Triton's order. What came before a fault stays.
pub(crate) fn log(server: &InferenceServer, request: &LogSettingsRequest) -> Result<LogSettingsResponse> {
    let log = server.log()?;
    change(log, &request.settings)?;
    let LogSettings { file, info, warning, error, verbose_level, format } = log.settings();
    let settings = [
        ("log_file", ParameterChoice::StringParam(file)),
        ("log_info", ParameterChoice::BoolParam(info)),
        ("log_warning", ParameterChoice::BoolParam(warning)),
        ("log_error", ParameterChoice::BoolParam(error)),
        ("log_verbose_level", ParameterChoice::Uint32Param(verbose_level)),
        ("log_format", ParameterChoice::StringParam(format)),
    ];
    let settings = settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), SettingValue { parameter_choice: Some(value) }));
    Ok(LogSettingsResponse { settings: settings.collect() })
}

fn change(log: &dyn LogControl, given: &BTreeMap<String, Given>) -> Result<()> {
    let find = |name: &str| given.get(name).map(|value| &value.parameter_choice);
    if find("log_file").is_some() {
        return Err(Error::unsupported("log file location can not be updated through network protocol"));
    }
    let switches = [
        ("log_info", LogChange::Info as fn(bool) -> LogChange),
        ("log_warning", LogChange::Warning),
        ("log_error", LogChange::Error),
    ];
    for (name, change) in switches {
        match find(name) {
            None => {}
            Some(Some(GivenChoice::BoolParam(value))) => drop(log.change(&change(*value))),
            Some(_) => return Err(expected("boolean", name)),
        }
    }
    match find("log_verbose_level") {
        None => {}
        Some(Some(GivenChoice::Uint32Param(level))) => drop(log.change(&LogChange::VerboseLevel(*level))),
        Some(_) => return Err(expected("int32", "log_verbose_level")),
    }
    match find("log_format") {
        None => Ok(()),
        Some(Some(GivenChoice::StringParam(format))) => {
            if log.change(&LogChange::Format(format.clone())) {
                return Ok(());
            }
            Err(Error::invalid_arg(format!("invalid argument for log_format, got: {format}")))
        }
        Some(_) => Err(expected("string", "log_format")),
    }
}

#[cold]
fn expected(what: &str, name: &str) -> Error {
    Error::invalid_arg(format!("expect {what} for '{name}'"))
}

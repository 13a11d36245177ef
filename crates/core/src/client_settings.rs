//! The settings that clients read and change: of traces, for the server and for models, and of the log.

use hippocamp_backend::{Error, Result};
use hippocamp_trace::{Change, ChangeFault, Protocol, SettingValues, parse_change};

use crate::{InferenceServer, LogControl};

impl InferenceServer {
    /// Reads the settings of a model, or of the server for an empty name, after a change of them if one is given. `change` is
    /// called when it is known that the model is there.
    ///
    /// # Errors
    /// `InvalidArg` if the model is not there, or a setting does not take its value.
    pub async fn trace_settings(
        &self,
        model: &str,
        change: impl FnOnce() -> Result<Option<Change>>,
    ) -> Result<SettingValues> {
        if !model.is_empty() && !self.is_model_ready(model, None).await {
            return Err(Error::invalid_arg(format!("Request for unknown model : {model}")));
        }
        let model = Some(model).filter(|model| !model.is_empty());
        let tracing = &self.settings().tracing;
        if let Some(change) = change()? {
            tracing.change(model, &change).map_err(|fault| Error::invalid_arg(fault.to_string()))?;
        }
        Ok(tracing.settings(model))
    }

    /// The settings of the log, for clients.
    pub fn log(&self) -> Result<&dyn LogControl> {
        let unsupported = || Error::unsupported("the logging extension is not supported by this server");
        self.settings().log.as_deref().ok_or_else(unsupported)
    }
}

/// Reads a change. `values` returns the values that the client gave a setting: `None` if it does not name the setting, an
/// empty list to clear it.
pub fn trace_change<'v>(protocol: Protocol, values: impl Fn(&str) -> Option<Vec<&'v str>>) -> Result<Change> {
    parse_change(protocol, values).map_err(|fault| match fault {
        ChangeFault::File => Error::unsupported(fault.to_string()),
        ChangeFault::Value(text) => Error::invalid_arg(text),
    })
}

//! The logging extension: settings of the log, read and changed.

use hippocamp_backend::{Error, Result};
use hippocamp_core::{LogChange, LogControl, LogSettings};
use hippocamp_http_content::{
    Unread,
    json::{JsonWriter, Scalar},
};
use hippocamp_net::Source;
use hyper::{Method, Response};

use crate::front::HttpFront;
use crate::repository::{members, read};
use crate::response::{self, ResponseBody};

/// The settings of the log. The body of a POST changes them first.
pub(crate) async fn respond<B>(front: &HttpFront, method: &Method, body: Unread<B>) -> Response<ResponseBody>
where
    B: Source,
{
    let done = async {
        let json = read(front, body).await?;
        let log = front.server.log()?;
        if *method == Method::POST {
            change(log, &json)?;
        }
        Ok(log.settings())
    };
    match done.await {
        Ok(settings) => response::json(written(&settings)),
        Err(error) => response::error(&error),
    }
}

/// Makes the changes of a body, in Triton's order. What came before a fault stays.
fn change(log: &dyn LogControl, json: &[u8]) -> Result<()> {
    let mut given: Vec<(&str, Scalar<'_>)> = Vec::new();
    members(json, |cursor, name| {
        const NAMES: [&str; 6] =
            ["log_file", "log_info", "log_warning", "log_error", "log_verbose_level", "log_format"];
        let Some(name) = NAMES.into_iter().find(|known| known.as_bytes() == name) else {
            return cursor.skip_value();
        };
        let value = cursor.scalar()?;
        if !matches!(value, Scalar::Null) && given.iter().all(|(known, _)| *known != name) {
            given.push((name, value));
        }
        Ok(())
    })?;
    let mut take = |name: &str| {
        let at = given.iter().position(|(known, _)| *known == name)?;
        Some(given.swap_remove(at).1)
    };
    if take("log_file").is_some() {
        return Err(Error::unsupported("log file location can not be updated through network protocol"));
    }
    let switches = [
        ("log_info", LogChange::Info as fn(bool) -> LogChange),
        ("log_warning", LogChange::Warning),
        ("log_error", LogChange::Error),
    ];
    for (name, change) in switches {
        if let Some(value) = take(name) {
            log.change(&change(value.as_bool().map_err(|_| expected("boolean", name))?));
        }
    }
    if let Some(value) = take("log_verbose_level") {
        let level = value.as_u64().ok().and_then(|level| u32::try_from(level).ok());
        log.change(&LogChange::VerboseLevel(level.ok_or_else(|| expected("int32", "log_verbose_level"))?));
    }
    if let Some(value) = take("log_format") {
        let format = value.into_bytes().map_err(|_| expected("string", "log_format"))?;
        let format = String::from_utf8_lossy(&format).into_owned();
        if !log.change(&LogChange::Format(format.clone())) {
            return Err(Error::unavailable(format!("invalid argument for --log_format, got: {format}")));
        }
    }
    Ok(())
}

#[cold]
fn expected(what: &str, name: &str) -> Error {
    Error::invalid_arg(format!("expect {what} for '{name}'"))
}

fn written(settings: &LogSettings) -> Vec<u8> {
    let LogSettings { file, info, warning, error, verbose_level, format } = settings;
    let mut writer = JsonWriter::default();
    writer.open_object();
    writer.name("log_file");
    writer.string(file.as_bytes());
    for (name, value) in [("log_info", info), ("log_warning", warning), ("log_error", error)] {
        writer.name(name);
        writer.boolean(*value);
    }
    writer.name("log_verbose_level");
    writer.integer(*verbose_level);
    writer.name("log_format");
    writer.string(format.as_bytes());
    writer.close_object();
    writer.into_bytes()
}

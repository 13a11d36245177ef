//! The trace extension: settings of the server or of a model, read and changed.

use std::collections::BTreeMap;

use hippocamp_backend::Result;
use hippocamp_core::{SettingValues, TraceChange, TraceProtocol, trace_change};
use hippocamp_http_content::{
    Unread,
    json::{Cursor, Fault, JsonWriter, Scalar},
};
use hippocamp_net::Source;
use hyper::{Method, Response};

use crate::front::HttpFront;
use crate::repository::{members, read};
use crate::response::{self, ResponseBody};

/// The setting whose values clients see as an array.
const LEVEL: &str = "trace_level";

/// The settings of a model, or of the server for an empty name. The body of a POST changes them first.
pub(crate) async fn respond<B>(
    front: &HttpFront,
    model: &str,
    method: &Method,
    body: Unread<B>,
) -> Response<ResponseBody>
where
    B: Source,
{
    let done = async {
        let json = read(front, body).await?;
        let changes = *method == Method::POST && !json.is_empty();
        let change = || if changes { parse(&json).map(Some) } else { Ok(None) };
        front.server.trace_settings(model, change).await
    };
    match done.await {
        Ok(settings) => response::json(written(&settings)),
        Err(error) => response::error(&error),
    }
}

/// Reads the change that a body asks for. A setting that is `null` is cleared.
pub fn parse(json: &[u8]) -> Result<TraceChange> {
    let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
    members(json, |cursor, name| {
        let Ok(name) = std::str::from_utf8(name) else { return cursor.skip_value() };
        if !matches!(name, LEVEL | "trace_rate" | "trace_count" | "log_frequency" | "trace_file") {
            return cursor.skip_value();
        }
        let values = values(cursor)?;
        given.entry(name.to_owned()).or_insert(values);
        Ok(())
    })?;
    trace_change(TraceProtocol::Http, |name| Some(given.get(name)?.iter().map(String::as_str).collect()))
}

/// The strings of an array, one string, or nothing.
fn values(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Fault> {
    let mut values = Vec::new();
    if cursor.is_array() {
        cursor.array(|cursor| {
            values.push(text(cursor.scalar()?)?);
            Ok(())
        })?;
        return Ok(values);
    }
    match cursor.scalar()? {
        Scalar::Null => {}
        value => values.push(text(value)?),
    }
    Ok(values)
}

fn text(value: Scalar<'_>) -> Result<String, Fault> {
    let bytes = value.into_bytes().map_err(hippocamp_backend::Error::from)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn written(settings: &SettingValues) -> Vec<u8> {
    let mut writer = JsonWriter::default();
    writer.open_object();
    for (name, values) in settings {
        writer.name(name);
        if name == LEVEL {
            writer.open_array();
            for value in values {
                writer.string(value.as_bytes());
            }
            writer.close_array();
        } else {
            writer.string(values.join(",").as_bytes());
        }
    }
    writer.close_object();
    writer.into_bytes()
}

//! The repository extension: index, load, unload.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use hippocamp_access::Grant;
use hippocamp_backend::{Error, Result};
use hippocamp_core::{IndexEntry, LoadOverrides, State};
use hippocamp_http_content::{
    LARGE_JSON, Oversized, Unread,
    json::{Cursor, Fault, JsonWriter, Scalar, unable_to_parse},
    off_thread,
};
use hippocamp_net::Source;
use hyper::{Response, StatusCode};

use crate::front::HttpFront;
use crate::response::{self, ResponseBody};
use crate::router::ControlAction;

/// Padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes base64, also in lines, as many tools write it.
pub(crate) fn from_base64(text: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    if !text.iter().any(u8::is_ascii_whitespace) {
        return BASE64.decode(text);
    }
    let one_line: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(one_line)
}

/// Every model that there is and that the client may read. A repository's name in the path makes no difference.
pub(crate) async fn index<B>(front: &HttpFront, body: Unread<B>, grant: Grant) -> Response<ResponseBody>
where
    B: Source,
{
    match indexed(front, body, grant).await {
        Ok(content) => response::json(content),
        Err(error) => response::error(&error),
    }
}

async fn indexed<B>(front: &HttpFront, body: Unread<B>, grant: Grant) -> Result<Vec<u8>>
where
    B: Source,
{
    let json = read(front, body).await?;
    let mut ready = None;
    members(&json, |cursor, name| {
        if name == b"ready" && ready.is_none() {
            ready = Some(cursor.scalar()?);
            return Ok(());
        }
        cursor.skip_value()
    })?;
    let ready = ready.map_or(Ok(false), |ready| ready.as_bool())?;
    let server = std::sync::Arc::clone(&front.server);
    // It looks at the disk.
    let index = move || {
        let mut entries = server.index(ready);
        entries.retain(|entry| grant.covers(&entry.name));
        Ok(written(&entries))
    };
    off_thread(true, index).await
}

fn written(entries: &[IndexEntry]) -> Vec<u8> {
    let mut writer = JsonWriter::default();
    writer.open_array();
    for entry in entries {
        writer.open_object();
        writer.name("name");
        writer.string(entry.name.as_bytes());
        if let Some((version, state)) = &entry.version {
            writer.name("version");
            writer.string(version.to_string().as_bytes());
            writer.name("state");
            writer.string(state.state.name().as_bytes());
            if !state.reason.is_empty() {
                writer.name("reason");
                writer.string(state.reason.as_bytes());
            }
        } else if let Some(reason) = entry.unavailable {
            writer.name("state");
            writer.string(State::Unavailable.name().as_bytes());
            writer.name("reason");
            writer.string(reason.as_bytes());
        }
        writer.close_object();
    }
    writer.close_array();
    writer.into_bytes()
}

/// Loads or unloads a model. Answers when that is done.
pub(crate) async fn control<B>(
    front: &HttpFront,
    in_repository: bool,
    model: &str,
    action: ControlAction,
    body: Unread<B>,
) -> Response<ResponseBody>
where
    B: Source,
{
    let done = async {
        let json = read(front, body).await?;
        if in_repository {
            return Err(Error::unsupported("'repository_name' specification is not supported"));
        }
        match action {
            ControlAction::Load => load(front, model, json).await,
            ControlAction::Unload => unload(front, model, &json).await,
        }
    };
    match done.await {
        Ok(()) => response::empty(StatusCode::OK),
        Err(error) => response::error(&error),
    }
}

async fn load(front: &HttpFront, model: &str, json: Bytes) -> Result<()> {
    let name = model.to_owned();
    let overrides = off_thread(json.len() > LARGE_JSON, move || overrides(&name, &json)).await?;
    front.server.load(model, overrides).await
}

async fn unload(front: &HttpFront, model: &str, json: &[u8]) -> Result<()> {
    let mut dependents = None;
    parameters(json, |name, value| {
        if &*name == b"unload_dependents" {
            dependents.get_or_insert(value);
        }
        Ok(())
    })?;
    let dependents = dependents
        .map_or(Ok(false), |value| value.as_bool())
        .map_err(|fault| unable_to_parse("unload_dependents", fault))?;
    front.server.unload(model, dependents).await
}

/// What a load request brings along.
fn overrides(model: &str, json: &[u8]) -> Result<LoadOverrides> {
    let mut overrides = LoadOverrides::default();
    parameters(json, |name, value| {
        let value = value.into_bytes()?;
        if &*name == b"config" {
            let config = String::from_utf8(value.into_owned());
            let wrong =
                |_| Error::invalid_arg(format!("the config override of model '{model}' is not valid UTF-8"));
            overrides.config = Some(config.map_err(wrong)?);
        } else if let Some(path) = name.strip_prefix(b"file:") {
            let path = String::from_utf8_lossy(path).into_owned();
            let content = from_base64(&value).map_err(|e| {
                Error::invalid_arg(format!(
                    "override file '{path}' of model '{model}' is not valid base64: {e}"
                ))
            })?;
            overrides.files.push((path, content.into()));
        } else {
            return Err(Error::invalid_arg("unexpected error on creating Triton parameter"));
        }
        Ok(())
    })?;
    Ok(overrides)
}

pub(crate) async fn read<B>(front: &HttpFront, body: Unread<B>) -> Result<Bytes>
where
    B: Source,
{
    let limit = front.settings.max_input_size;
    let mut body = body.collect(limit, |size| Oversized::Json.error(size, limit)).await?;
    Ok(body.take(limit).to_host()?)
}

/// Reads the members of the object that a body has to be. One that is empty, or `null`, has none.
pub(crate) fn members<'a>(
    json: &'a [u8],
    mut member: impl FnMut(&mut Cursor<'a>, &[u8]) -> Result<(), Fault>,
) -> Result<()> {
    if json.is_empty() {
        return Ok(());
    }
    let mut cursor = Cursor::new(json);
    cursor.begin()?;
    if cursor.is_object() {
        cursor.object(|cursor, name| member(cursor, &name))?;
        return Ok(cursor.end()?);
    }
    let value = cursor.scalar()?;
    cursor.end()?;
    if matches!(value, Scalar::Null) {
        return Ok(());
    }
    Err(Error::invalid_arg("the body of the request is expected to be a JSON object"))
}

/// Reads the members of `parameters`, if they are there.
fn parameters<'a>(
    json: &'a [u8],
    mut parameter: impl FnMut(Cow<'a, [u8]>, Scalar<'a>) -> Result<()>,
) -> Result<()> {
    let mut read = None;
    members(json, |cursor, name| {
        if name != b"parameters" || read.is_some() {
            return cursor.skip_value();
        }
        read = Some(cursor.section(|cursor| {
            if !cursor.is_object() {
                return Err(Error::invalid_arg("attempt to get members for non-object").into());
            }
            cursor.object(|cursor, name| {
                let value = cursor.scalar()?;
                Ok(parameter(name, value)?)
            })
        })?);
        Ok(())
    })?;
    read.unwrap_or(Ok(()))
}

//! Finds what a path of a request stands for. Paths match as a whole: a slash too many makes a path unknown.

use std::borrow::Cow;

use hippocamp_backend::{Error, Result};
use hyper::Method;
use percent_encoding::percent_decode_str;

/// A model, and the version of it that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ModelPath<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) version: Option<u64>,
}

/// What can be asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelAction {
    Metadata,
    Ready,
    Config,
    Statistics,
    TraceSetting,
    Infer,
    Generate,
    GenerateStream,
}

/// What can be done to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlAction {
    Load,
    Unload,
}

/// Whose memory a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryKind {
    System,
    Cuda,
}

impl MemoryKind {
    /// What it is called in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            MemoryKind::System => "system",
            MemoryKind::Cuda => "cuda",
        }
    }
}

/// What can be done with regions of shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryAction {
    Status,
    Register,
    Unregister,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    ServerMetadata,
    OpenApi,
    Live,
    Ready,
    AllStatistics,
    /// The trace settings of the server.
    TraceSetting,
    Logging,
    Model(ModelPath<'a>, ModelAction),
    Index,
    Control {
        in_repository: bool,
        model: Cow<'a, str>,
        action: ControlAction,
    },
    SharedMemory {
        kind: MemoryKind,
        action: MemoryAction,
        /// Empty if none is named.
        region: Cow<'a, str>,
    },
}

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const BOTH: &[Method] = &[Method::GET, Method::POST];

impl Route<'_> {
    /// The methods that this path knows.
    pub(crate) fn methods(&self) -> &'static [Method] {
        match self {
            Route::Model(_, ModelAction::Infer | ModelAction::Generate | ModelAction::GenerateStream)
            | Route::Index
            | Route::Control { .. }
            | Route::SharedMemory { action: MemoryAction::Register | MemoryAction::Unregister, .. } => POST,
            Route::TraceSetting | Route::Logging | Route::Model(_, ModelAction::TraceSetting) => BOTH,
            Route::ServerMetadata
            | Route::OpenApi
            | Route::Live
            | Route::Ready
            | Route::AllStatistics
            | Route::Model(..)
            | Route::SharedMemory { action: MemoryAction::Status, .. } => GET,
        }
    }
}

/// Finds the route of a path as it stands in the request, without its query.
pub(crate) fn find(path: &str) -> Result<Route<'_>> {
    let unknown = || Error::not_found("Not Found");
    let rest = path.strip_prefix("/v2").ok_or_else(unknown)?;
    if rest.is_empty() {
        return Ok(Route::ServerMetadata);
    }
    let parts: Vec<&str> = rest.strip_prefix('/').ok_or_else(unknown)?.split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(unknown());
    }
    let route = match parts.as_slice() {
        ["openapi.json"] => Some(Route::OpenApi),
        ["health", "live"] => Some(Route::Live),
        ["health", "ready"] => Some(Route::Ready),
        ["models", "stats"] => Some(Route::AllStatistics),
        ["models", name, "versions", version, rest @ ..] => model(name, Some(version), rest)?,
        ["models", name, rest @ ..] => model(name, None, rest)?,
        ["repository", rest @ ..] => repository(rest),
        ["logging"] => Some(Route::Logging),
        ["trace", "setting"] => Some(Route::TraceSetting),
        ["systemsharedmemory", rest @ ..] => shared_memory(MemoryKind::System, rest),
        ["cudasharedmemory", rest @ ..] => shared_memory(MemoryKind::Cuda, rest),
        _ => None,
    };
    route.ok_or_else(unknown)
}

fn model<'a>(name: &'a str, version: Option<&str>, rest: &[&str]) -> Result<Option<Route<'a>>> {
    let action = match rest {
        [] => ModelAction::Metadata,
        ["ready"] => ModelAction::Ready,
        ["config"] => ModelAction::Config,
        ["stats"] => ModelAction::Statistics,
        ["infer"] => ModelAction::Infer,
        ["generate"] => ModelAction::Generate,
        ["generate_stream"] => ModelAction::GenerateStream,
        ["trace", "setting"] if version.is_none() => ModelAction::TraceSetting,
        _ => return Ok(None),
    };
    let version = match version {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(number(digits)?),
        Some(_) => return Ok(None),
    };
    Ok(Some(Route::Model(ModelPath { name: decode(name), version }, action)))
}

/// The text is Triton's, down to the name of the function that failed there.
fn number(digits: &str) -> Result<u64> {
    digits.parse::<i64>().map(i64::unsigned_abs).map_err(|_| {
        Error::invalid_arg(format!(
            "failed to get model version from specified version string '{digits}' (details: stol), version should be an \
             integral value > 0"
        ))
    })
}

fn repository<'a>(rest: &[&'a str]) -> Option<Route<'a>> {
    let control = |in_repository, model, action| {
        let action = match action {
            "load" => ControlAction::Load,
            "unload" => ControlAction::Unload,
            _ => return None,
        };
        Some(Route::Control { in_repository, model: decode(model), action })
    };
    match *rest {
        ["index"] | [_, "index"] => Some(Route::Index),
        ["models", model, action] => control(false, model, action),
        [_, "models", model, action] => control(true, model, action),
        _ => None,
    }
}

fn shared_memory<'a>(kind: MemoryKind, rest: &[&'a str]) -> Option<Route<'a>> {
    let (region, action) = match *rest {
        [action] => ("", action),
        ["region", region, action] => (region, action),
        _ => return None,
    };
    let action = match action {
        "status" => MemoryAction::Status,
        "register" => MemoryAction::Register,
        "unregister" => MemoryAction::Unregister,
        _ => return None,
    };
    Some(Route::SharedMemory { kind, action, region: decode(region) })
}

/// Replaces `%xx` by the byte that it stands for. Anything else behind a percent sign is left as it is.
fn decode(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, version: Option<u64>, action: ModelAction) -> Route<'_> {
        Route::Model(ModelPath { name: name.into(), version }, action)
    }

    #[test]
    fn known_paths() {
        let unload = |in_repository| Route::Control {
            in_repository,
            model: "m".into(),
            action: ControlAction::Unload,
        };
        let memory =
            |kind, action, region: &'static str| Route::SharedMemory { kind, action, region: region.into() };
        let cases = [
            ("/v2", Route::ServerMetadata),
            ("/v2/openapi.json", Route::OpenApi),
            ("/v2/health/live", Route::Live),
            ("/v2/models/stats", Route::AllStatistics),
            ("/v2/models/m", of("m", None, ModelAction::Metadata)),
            ("/v2/models/m/versions/7", of("m", Some(7), ModelAction::Metadata)),
            ("/v2/models/m/versions/7/infer", of("m", Some(7), ModelAction::Infer)),
            ("/v2/models/stats/stats", of("stats", None, ModelAction::Statistics)),
            ("/v2/models/sim%70le%2f%zz%4/ready", of("simple/%zz%4", None, ModelAction::Ready)),
            ("/v2/models/a%FFb%e2%82%ac/ready", of("a\u{fffd}b€", None, ModelAction::Ready)),
            ("/v2/models/versions", of("versions", None, ModelAction::Metadata)),
            ("/v2/models/m/generate", of("m", None, ModelAction::Generate)),
            ("/v2/models/m/versions/7/generate_stream", of("m", Some(7), ModelAction::GenerateStream)),
            ("/v2/models/m/trace/setting", of("m", None, ModelAction::TraceSetting)),
            ("/v2/trace/setting", Route::TraceSetting),
            ("/v2/logging", Route::Logging),
            ("/v2/repository/index", Route::Index),
            ("/v2/repository/r/index", Route::Index),
            ("/v2/repository/models/m/unload", unload(false)),
            ("/v2/repository/r/models/m/unload", unload(true)),
            (
                "/v2/systemsharedmemory/region/r/register",
                memory(MemoryKind::System, MemoryAction::Register, "r"),
            ),
            ("/v2/cudasharedmemory/status", memory(MemoryKind::Cuda, MemoryAction::Status, "")),
        ];
        for (path, route) in cases {
            assert_eq!(find(path).unwrap(), route, "{path}");
        }
    }

    #[test]
    fn unknown_paths() {
        let paths = [
            "/",
            "",
            "*",
            "/v2/",
            "/v1/models",
            "/v2x",
            "/v2/health",
            "/v2/health/other",
            "/v2/models",
            "/v2/models/",
            "/v2/models/m/",
            "/v2/models//infer",
            "/v2/models/m/foo",
            "/v2/models/m/versions",
            "/v2/models/m/versions/-1",
            "/v2/models/m/versions/abc",
            "/v2/models/m/versions/1/trace/setting",
            "/v2/models/m/infer/x",
            "/v2/repository",
            "/v2/repository/models/m/reload",
            "/v2/repository/a/b/index",
            "/v2/systemsharedmemory",
            "/v2/systemsharedmemory/region/r",
            "/metrics",
        ];
        for path in paths {
            assert_eq!(find(path).unwrap_err().message(), "Not Found", "{path}");
        }
    }

    #[test]
    fn a_version_beyond_all_numbers_is_refused() {
        let error = find("/v2/models/m/versions/99999999999999999999").unwrap_err();
        assert!(error.message().starts_with("failed to get model version"), "{error}");
    }
}

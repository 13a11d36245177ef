//! What a path stands for. Paths match as a whole.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

/// The calls of V1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `live` or `ready`.
    Health(&'a str),
    /// Of one model; of all if the name is empty.
    Status(Cow<'a, str>),
    Index,
    Load(Cow<'a, str>),
    Unload(Cow<'a, str>),
    Register {
        region: Cow<'a, str>,
        key: Cow<'a, str>,
        offset: u64,
        byte_size: u64,
    },
    RegisterCuda {
        region: Cow<'a, str>,
        device_id: u64,
        byte_size: u64,
    },
    Unregister(Cow<'a, str>),
    UnregisterAll,
    Regions,
    Infer {
        model: Cow<'a, str>,
        version: i64,
    },
}

/// A path that is no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// There is no such path.
    Unknown,
    /// The call has another method.
    Method,
}

/// The version of a request that names none: the highest.
const LATEST: i64 = -1;

/// Finds the call. The method is judged by the part behind `/api`, before the rest of the path.
pub(crate) fn find<'a>(method: &Method, path: &'a str) -> Result<Route<'a>, NoRoute> {
    let rest = path.strip_prefix("/api/").ok_or(NoRoute::Unknown)?;
    let (kind, rest) = rest.split_once('/').map_or((rest, None), |(kind, rest)| (kind, Some(rest)));
    let expected = match (kind, rest) {
        ("health" | "status" | "repository", _) | ("sharedmemorycontrol", Some("status")) => Method::GET,
        ("infer" | "modelcontrol" | "sharedmemorycontrol", _) => Method::POST,
        _ => return Err(NoRoute::Unknown),
    };
    if *method != expected {
        return Err(NoRoute::Method);
    }
    let rest = rest.unwrap_or_default();
    let route = match kind {
        "health" if matches!(rest, "live" | "ready") => Some(Route::Health(rest)),
        "status" if !rest.contains('/') => Some(Route::Status(decode(rest))),
        "repository" if rest == "index" => Some(Route::Index),
        "modelcontrol" => control(rest),
        "sharedmemorycontrol" => shared_memory(rest),
        "infer" => infer(rest),
        _ => None,
    };
    route.ok_or(NoRoute::Unknown)
}

fn control(rest: &str) -> Option<Route<'_>> {
    let (action, model) = rest.split_once('/')?;
    let model = name(model)?;
    match action {
        "load" => Some(Route::Load(model)),
        "unload" => Some(Route::Unload(model)),
        _ => None,
    }
}

fn shared_memory(rest: &str) -> Option<Route<'_>> {
    match rest {
        "status" => return Some(Route::Regions),
        "unregisterall" => return Some(Route::UnregisterAll),
        _ => {}
    }
    let (action, rest) = rest.split_once('/')?;
    match action {
        "register" => {
            let (region, rest) = rest.split_once('/')?;
            // The key begins with a slash of its own.
            let (key, rest) = rest.strip_prefix('/').and_then(|key| key.split_once('/'))?;
            let (offset, byte_size) = rest.split_once('/')?;
            let key = decode(&format!("/{}", name(key)?)).into_owned();
            let (offset, byte_size) = (number(offset)?, number(byte_size)?);
            Some(Route::Register { region: name(region)?, key: key.into(), offset, byte_size })
        }
        "cudaregister" => {
            let (region, rest) = rest.split_once('/')?;
            let (byte_size, device) = rest.split_once('/')?;
            let (byte_size, device_id) = (number(byte_size)?, number(device)?);
            Some(Route::RegisterCuda { region: name(region)?, device_id, byte_size })
        }
        "unregister" => Some(Route::Unregister(name(rest)?)),
        _ => None,
    }
}

fn infer(rest: &str) -> Option<Route<'_>> {
    let (model, version) = match rest.split_once('/') {
        None => (rest, LATEST),
        // A version beyond all numbers is one that no model has.
        Some((model, digits)) => (model, i64::try_from(number(digits)?).unwrap_or(i64::MAX)),
    };
    Some(Route::Infer { model: name(model)?, version })
}

/// Digits as a number; `u64::MAX` for a number that is too large.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// A name that is one part of a path.
fn name(part: &str) -> Option<Cow<'_, str>> {
    (!part.is_empty() && !part.contains('/')).then(|| decode(part))
}

fn decode(part: &str) -> Cow<'_, str> {
    percent_decode_str(part).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Result<Route<'_>, NoRoute> {
        find(&Method::GET, path)
    }

    fn post(path: &str) -> Result<Route<'_>, NoRoute> {
        find(&Method::POST, path)
    }

    #[test]
    fn known_paths() {
        let infer = |model: &'static str, version| Route::Infer { model: model.into(), version };
        assert_eq!(get("/api/health/live"), Ok(Route::Health("live")));
        assert_eq!(get("/api/status"), Ok(Route::Status("".into())));
        assert_eq!(get("/api/status/"), Ok(Route::Status("".into())));
        assert_eq!(get("/api/status/sim%70le"), Ok(Route::Status("simple".into())));
        assert_eq!(get("/api/repository/index"), Ok(Route::Index));
        assert_eq!(post("/api/modelcontrol/load/m"), Ok(Route::Load("m".into())));
        assert_eq!(post("/api/modelcontrol/unload/m"), Ok(Route::Unload("m".into())));
        assert_eq!(post("/api/infer/m"), Ok(infer("m", -1)));
        assert_eq!(post("/api/infer/m/7"), Ok(infer("m", 7)));
        assert_eq!(post("/api/infer/m/99999999999999999999"), Ok(infer("m", i64::MAX)));
        assert_eq!(get("/api/sharedmemorycontrol/status"), Ok(Route::Regions));
        assert_eq!(post("/api/sharedmemorycontrol/unregisterall"), Ok(Route::UnregisterAll));
        assert_eq!(post("/api/sharedmemorycontrol/unregister/all"), Ok(Route::Unregister("all".into())));
        let cuda = Route::RegisterCuda { region: "r".into(), device_id: 1, byte_size: 8 };
        assert_eq!(post("/api/sharedmemorycontrol/cudaregister/r/8/1"), Ok(cuda));
    }

    #[test]
    fn the_key_of_a_region_begins_with_a_slash() {
        let register =
            |offset, byte_size| Route::Register { region: "in".into(), key: "/k".into(), offset, byte_size };
        assert_eq!(post("/api/sharedmemorycontrol/register/in//k/0/128"), Ok(register(0, 128)));
        for unknown in ["in/k/0/128", "in//k/0", "in//k/0/128/1", "in///k/0/1", "//k/0/1", "in//k/-1/1"] {
            let path = format!("/api/sharedmemorycontrol/register/{unknown}");
            assert_eq!(post(&path), Err(NoRoute::Unknown), "{unknown}");
        }
    }

    #[test]
    fn unknown_paths_and_methods() {
        for path in [
            "/api/",
            "/api/profile",
            "/api/health",
            "/api/health/live/",
            "/api/health/other",
            "/api/status/m/1",
            "/api/repository",
            "/api/repository/index/",
        ] {
            assert_eq!(get(path), Err(NoRoute::Unknown), "{path}");
        }
        for path in [
            "/api/infer",
            "/api/infer/",
            "/api/infer/m/",
            "/api/infer/m/latest",
            "/api/infer/m/1/2",
            "/api/modelcontrol/load/",
            "/api/modelcontrol/reload/m",
            "/api/sharedmemorycontrol/unregister/",
        ] {
            assert_eq!(post(path), Err(NoRoute::Unknown), "{path}");
        }
        assert_eq!(post("/api/health/live"), Err(NoRoute::Method));
        assert_eq!(post("/api/status/m/1"), Err(NoRoute::Method));
        assert_eq!(get("/api/infer/m"), Err(NoRoute::Method));
        assert_eq!(find(&Method::HEAD, "/api/status"), Err(NoRoute::Method));
        assert_eq!(post("/api/sharedmemorycontrol/status"), Err(NoRoute::Method));
    }
}

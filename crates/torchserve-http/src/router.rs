//! What a path stands for.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

/// The calls of inference.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inference<'a> {
    Ping,
    Predict {
        model: Cow<'a, str>,
        version: Option<Cow<'a, str>>,
    },
    Explain {
        model: Cow<'a, str>,
        version: Option<Cow<'a, str>>,
    },
    /// In the first version of KServe's protocol.
    Instances {
        model: Cow<'a, str>,
    },
    /// By an alias of `SageMaker`, whose model may stand in the query.
    Invocations,
}

/// The calls of management.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Management<'a> {
    List,
    Register,
    Describe {
        model: Cow<'a, str>,
        version: Option<Cow<'a, str>>,
    },
    Scale {
        model: Cow<'a, str>,
        version: Option<Cow<'a, str>>,
    },
    SetDefault {
        model: Cow<'a, str>,
        version: Cow<'a, str>,
    },
    Unregister {
        model: Cow<'a, str>,
        version: Option<Cow<'a, str>>,
    },
    /// Whether a model is ready, as KServe asks.
    Ready {
        model: Cow<'a, str>,
    },
    Token,
    /// The path is there, the method is not.
    Method,
}

fn decode(part: &str) -> Cow<'_, str> {
    percent_decode_str(part).decode_utf8_lossy()
}

/// The parts of a path, without empty ones at its end.
fn parts(path: &str) -> Vec<&str> {
    path.trim_start_matches('/').trim_end_matches('/').split('/').collect()
}

/// Finds a call of inference. Its method does not matter.
pub(crate) fn inference(path: &str) -> Option<Inference<'_>> {
    let parts = parts(path);
    let predict = |model: &'_ str, version: Option<&'_ str>| -> (String, Option<String>) {
        (decode(model).into_owned(), version.map(|version| decode(version).into_owned()))
    };
    let found = match parts.as_slice() {
        ["ping"] => return Some(Inference::Ping),
        ["invocations"] => return Some(Inference::Invocations),
        // What follows is the handler's own, of which there is none.
        ["predictions", model] | ["models", model, "invoke"] => predict(model, None),
        ["explanations", model] => return Some(Inference::Explain { model: decode(model), version: None }),
        ["explanations", model, version, ..] => {
            return Some(Inference::Explain { model: decode(model), version: Some(decode(version)) });
        }
        ["v1", "models", call] => {
            let (model, what) = call.rsplit_once(':')?;
            return match what {
                "predict" => Some(Inference::Instances { model: decode(model) }),
                "explain" => Some(Inference::Explain { model: decode(model), version: None }),
                _ => None,
            };
        }
        [model, "predict"] if *model != "models" => predict(model, None),
        ["predictions", model, version, ..] | [model, version, "predict"] => predict(model, Some(version)),
        _ => return None,
    };
    let (model, version) = found;
    if model.is_empty() {
        return None;
    }
    Some(Inference::Predict {
        model: model.into(),
        version: version.filter(|v| !v.is_empty()).map(Cow::Owned),
    })
}

/// Finds a call of management.
pub(crate) fn management<'a>(method: &Method, path: &'a str) -> Option<Management<'a>> {
    let parts = parts(path);
    let (get, put, post, delete) =
        (*method == Method::GET, *method == Method::PUT, *method == Method::POST, *method == Method::DELETE);
    Some(match parts.as_slice() {
        ["token"] => Management::Token,
        ["models"] if get => Management::List,
        ["models"] if post => Management::Register,
        ["models", model, version, "set-default"] if put => {
            Management::SetDefault { model: decode(model), version: decode(version) }
        }
        // For the description at the root there is OPTIONS alone.
        ["" | "models"] | ["models", _, _, "set-default"] => Management::Method,
        ["models", model, rest @ ..] if rest.len() < 2 => {
            let (model, version) = (decode(model), rest.first().map(|version| decode(version)));
            match () {
                () if get => Management::Describe { model, version },
                () if put => Management::Scale { model, version },
                () if delete => Management::Unregister { model, version },
                () => Management::Method,
            }
        }
        ["v1", "models", model] if get => Management::Ready { model: decode(model) },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predict(model: &str, version: Option<&str>) -> Inference<'static> {
        Inference::Predict { model: model.to_owned().into(), version: version.map(|v| v.to_owned().into()) }
    }

    #[test]
    fn calls_of_inference() {
        assert_eq!(inference("/ping"), Some(Inference::Ping));
        assert_eq!(inference("/predictions/fd1"), Some(predict("fd1", None)));
        assert_eq!(inference("/predictions/fd1/"), Some(predict("fd1", None)));
        assert_eq!(inference("/predictions/f%64/1.0"), Some(predict("fd", Some("1.0"))));
        assert_eq!(inference("/predictions/fd/1.0/more/of/it"), Some(predict("fd", Some("1.0"))));
        assert_eq!(inference("/models/fd/invoke"), Some(predict("fd", None)));
        assert_eq!(inference("/fd/predict"), Some(predict("fd", None)));
        assert_eq!(inference("/fd/2.0/predict"), Some(predict("fd", Some("2.0"))));
        assert_eq!(inference("/v1/models/a:b:predict"), Some(Inference::Instances { model: "a:b".into() }));
        let explain = |version: Option<&'static str>| Inference::Explain {
            model: "a".into(),
            version: version.map(Into::into),
        };
        assert_eq!(inference("/v1/models/a:explain"), Some(explain(None)));
        assert_eq!(inference("/explanations/a"), Some(explain(None)));
        assert_eq!(inference("/explanations/a/1"), Some(explain(Some("1"))));
        for path in ["/", "/predictions", "/predictions/", "/models", "/v1/models/a", "/v2", "//", "/nope"] {
            assert_eq!(inference(path), None, "{path}");
        }
    }

    #[test]
    fn calls_of_management() {
        let (model, version) = (|| Cow::from("m"), || Some(Cow::from("1.0")));
        let find = |method: &Method, path: &'static str| management(method, path);
        assert_eq!(find(&Method::GET, "/models"), Some(Management::List));
        assert_eq!(find(&Method::POST, "/models"), Some(Management::Register));
        assert_eq!(
            find(&Method::GET, "/models/m/1.0"),
            Some(Management::Describe { model: model(), version: version() })
        );
        assert_eq!(
            find(&Method::PUT, "/models/m"),
            Some(Management::Scale { model: model(), version: None })
        );
        assert_eq!(
            find(&Method::DELETE, "/models/m"),
            Some(Management::Unregister { model: model(), version: None })
        );
        let default = Management::SetDefault { model: model(), version: "1.0".into() };
        assert_eq!(find(&Method::PUT, "/models/m/1.0/set-default"), Some(default));
        for (method, path) in [
            (&Method::PATCH, "/models/m"),
            (&Method::POST, "/models/m"),
            (&Method::PUT, "/models"),
            (&Method::GET, "/models/m/1/set-default"),
        ] {
            assert_eq!(find(method, path), Some(Management::Method), "{method} {path}");
        }
        assert_eq!(find(&Method::GET, "/v1/models/m"), Some(Management::Ready { model: model() }));
        assert_eq!(find(&Method::GET, "/"), Some(Management::Method));
        for path in ["/nope", "/models/m/1/2", "/ping"] {
            assert_eq!(find(&Method::GET, path), None, "{path}");
        }
    }
}

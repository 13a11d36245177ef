//! Management.

use std::sync::Arc;

use hippocamp_backend::Error;
use hippocamp_http_content::{ResponseBody, Segments, Unread};
use hippocamp_net::RequestBody;
use hippocamp_torchserve::{Failure, RegisterRequest, Scale, TorchServe};
use hyper::Response;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};

use crate::answer;
use crate::front::authorization;
use crate::query::Query;
use crate::router::Management;

/// The most bytes of a registration in JSON.
const MAX_BODY: usize = 64 << 10;

pub(crate) async fn answer(
    torchserve: &Arc<TorchServe>,
    head: &Parts,
    call: Management<'_>,
    body: Unread<RequestBody>,
) -> Result<Response<ResponseBody>, Failure> {
    let body = body.collect(MAX_BODY, |_| Error::invalid_arg("the body is too large for this call")).await;
    let mut body = body.map_err(|error| Failure::bad_request(error.message()))?;
    let query = Query::of(head.uri.query());
    // TorchServe lets clients scale and set defaults even where they may not register.
    let guarded = matches!(call, Management::Register | Management::Unregister { .. });
    if guarded && !torchserve.has_model_api() {
        return Err(Failure::method_not_allowed());
    }
    match call {
        Management::List => {
            let offset = query.number::<usize>("next_page_token").unwrap_or(0);
            Ok(answer::json(200, torchserve.list(query.number("limit"), offset).await))
        }
        Management::Register => {
            let is_json = head
                .headers
                .get(CONTENT_TYPE)
                .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
            let request = if is_json { of_json(&mut body)? } else { of_query(&query) };
            let done = torchserve.register(request).await?;
            Ok(answer::status(done.status, &done.message))
        }
        Management::Describe { model, version } => {
            Ok(answer::json(200, torchserve.describe(&model, version.as_deref()).await?))
        }
        Management::Scale { model, version } => {
            let done = torchserve.scale(scale(&model, version.as_deref(), &query)?).await?;
            Ok(answer::status(done.status, &done.message))
        }
        Management::SetDefault { model, version } => {
            Ok(answer::status(200, &torchserve.set_default(&model, &version).await?))
        }
        Management::Unregister { model, version } => {
            Ok(answer::status(200, &torchserve.unregister(&model, version.as_deref()).await?))
        }
        Management::Ready { model } => {
            torchserve.describe(&model, None).await?;
            let text =
                serde_json::to_string_pretty(&json!({"name": model, "ready": true})).unwrap_or_default();
            Ok(answer::json(200, text + "\n"))
        }
        Management::Token => {
            let kind = query.get("type").unwrap_or_default();
            Ok(answer::status(200, &torchserve.renew_token(&kind, authorization(&head.headers))?))
        }
        Management::Method => Err(Failure::method_not_allowed()),
    }
}

fn scale(model: &str, version: Option<&str>, query: &Query<'_>) -> Result<Scale, Failure> {
    for name in ["min_worker", "max_worker"] {
        if let Some(number) = query.number::<i64>(name).filter(|number| *number < 0) {
            return Err(Failure::bad_request(format!("{name} was expected to be at least 0, got {number}")));
        }
    }
    Ok(Scale {
        name: model.to_owned(),
        version: version.map(str::to_owned).or_else(|| query.get("model_version")),
        min_worker: query.number("min_worker").unwrap_or(1),
        max_worker: query.number("max_worker"),
        synchronous: query.truth("synchronous").unwrap_or(false),
    })
}

fn of_query(query: &Query<'_>) -> RegisterRequest {
    RegisterRequest {
        url: query.get("url").unwrap_or_default(),
        model_name: query.get("model_name"),
        handler: query.get("handler"),
        batch_size: query.number("batch_size"),
        max_batch_delay: query.number("max_batch_delay"),
        initial_workers: query.number("initial_workers"),
        runtime: query.get("runtime"),
        synchronous: query.truth("synchronous").unwrap_or(true),
    }
}

fn of_json(body: &mut Segments) -> Result<RegisterRequest, Failure> {
    let text = body.take(usize::MAX).to_host().map_err(|error| Failure::unavailable(error.to_string()))?;
    let members: Map<String, Value> = serde_json::from_slice(&text)
        .map_err(|error| Failure::bad_request(format!("the body was expected to be JSON: {error}")))?;
    let text = |name: &str| {
        members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    // Clients write numbers as numbers and as texts.
    let number = |name: &str| {
        let value = members.get(name)?;
        value.as_u64().and_then(|number| u32::try_from(number).ok()).or_else(|| value.as_str()?.parse().ok())
    };
    let truth = |name: &str| {
        let value = members.get(name)?;
        value.as_bool().or_else(|| Some(value.as_str()?.eq_ignore_ascii_case("true")))
    };
    Ok(RegisterRequest {
        url: text("url").unwrap_or_default(),
        model_name: text("model_name"),
        handler: text("handler"),
        batch_size: number("batch_size"),
        max_batch_delay: number("max_batch_delay"),
        initial_workers: number("initial_workers"),
        runtime: text("runtime"),
        synchronous: truth("synchronous").unwrap_or(true),
    })
}

//! Runs `hippocamp infer`.

use std::path::Path;
use std::time::Duration;

use crate::answer::{Answer, Metadata, Request, describe};
use crate::args::InferArgs;
use crate::failure::{Failure, Result, fail};
use crate::found::found;
use crate::input::{inputs, parameter, undeclared};
use crate::server::{Server, Target, place};
use crate::{json, picture, table};

/// Sends the request, draws the image if asked to, and returns the text to print.
pub async fn infer(args: &InferArgs) -> Result<String> {
    let target =
        Target { model: args.model.clone(), version: args.model_version.clone().unwrap_or_default() };
    let parameters = args.parameters.iter().map(|text| parameter(text)).collect::<Result<_>>()?;
    let (protocol, address) = place(args.url.as_deref(), args.protocol);
    let headers = args.access.headers()?;
    let timeout = Duration::from_secs(args.timeout);
    let mut server = Server::connect(protocol, &address, timeout, &headers).await?;
    let metadata = server.metadata(&target).await?;
    check_outputs(&metadata, &args.outputs)?;
    let metadata = undeclared::completed(metadata, &args.inputs, &args.shapes)?;
    let inputs = inputs(&metadata, &args.inputs, &args.shapes)?;
    let request = Request { inputs: inputs.tensors, outputs: args.outputs.clone(), parameters };
    let answer = server.infer(&target, &request).await;
    // Only the server knows whether an input is optional.
    let answer = answer.map_err(|failure| match inputs.missing.as_slice() {
        [] => failure,
        missing => Failure::new(format!("{failure}\nnot given: {}", missing.join(", "))),
    })?;
    if let Some(target) = &args.draw {
        draw(&answer, inputs.file.as_deref(), args.threshold, target)?;
    }
    if args.json {
        return Ok(json::render(&answer));
    }
    Ok(table::render(&answer, found(&answer).as_deref(), args.threshold))
}

/// Fails if the model does not have all these outputs. The server of a model without any does not name them.
pub fn check_outputs(metadata: &Metadata, names: &[String]) -> Result<()> {
    if metadata.outputs.is_empty() {
        return Ok(());
    }
    for name in names {
        if !metadata.outputs.iter().any(|info| info.name == *name) {
            let all: Vec<String> = metadata.outputs.iter().map(describe).collect();
            fail!("the model has no output '{name}'; it has:\n  {}", all.join("\n  "));
        }
    }
    Ok(())
}

/// Draws the detections of an answer with a score above `threshold` on the image `file`, which was sent, and writes it to
/// `target`.
pub fn draw(answer: &Answer, file: Option<&[u8]>, threshold: f32, target: &Path) -> Result<()> {
    let Some(pictures) = found(answer) else {
        fail!(
            "--draw: the answer has no detections to draw; they are outputs 'score' and 'bbox', or JSON text of \
             objects with a box"
        );
    };
    let Some(file) = file else {
        fail!("--draw needs an input that is a picture: --input NAME=@picture.jpg");
    };
    picture::write(file, pictures.first().map_or(&[], Vec::as_slice), threshold, target)
}

//! Runs `hippocamp infer`.

use crate::answer::{Request, describe};
use crate::args::InferArgs;
use crate::failure::{Failure, Result, fail};
use crate::found::found;
use crate::input::{inputs, parameter};
use crate::server::{Server, Target};
use crate::{json, picture, table};

/// Sends the request, draws the image if asked to, and returns the text to print.
pub async fn infer(args: &InferArgs) -> Result<String> {
    let target =
        Target { model: args.model.clone(), version: args.model_version.clone().unwrap_or_default() };
    let parameters = args.parameters.iter().map(|text| parameter(text)).collect::<Result<_>>()?;
    let mut server = Server::connect(args).await?;
    let metadata = server.metadata(&target).await?;
    for name in &args.outputs {
        if !metadata.outputs.iter().any(|info| info.name == *name) {
            let all: Vec<String> = metadata.outputs.iter().map(describe).collect();
            fail!("the model has no output '{name}'; it has:\n  {}", all.join("\n  "));
        }
    }
    let inputs = inputs(&metadata, &args.inputs, &args.shapes)?;
    let request = Request { inputs: inputs.tensors, outputs: args.outputs.clone(), parameters };
    let answer = server.infer(&target, &request).await;
    // Only the server knows whether an input is optional.
    let answer = answer.map_err(|failure| match inputs.missing.as_slice() {
        [] => failure,
        missing => Failure::new(format!("{failure}\nnot given: {}", missing.join(", "))),
    })?;
    let pictures = found(&answer);
    if let Some(target) = &args.draw {
        let Some(pictures) = &pictures else {
            fail!(
                "--draw: the answer has no detections to draw; they are outputs 'score' and 'bbox', or JSON text of \
                 objects with a box"
            );
        };
        let Some(file) = &inputs.file else {
            fail!("--draw needs an input that is a picture: --input NAME=@picture.jpg");
        };
        picture::write(file, pictures.first().map_or(&[], Vec::as_slice), args.threshold, target)?;
    }
    if args.json {
        return Ok(json::render(&answer));
    }
    Ok(table::render(&answer, pictures.as_deref(), args.threshold))
}

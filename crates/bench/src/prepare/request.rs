//! The request that is sent again and again.

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use hippocamp_client::{
    Metadata, Request, Result, Tensor, check_outputs, given_inputs, given_shapes, parameter,
};

use crate::args::BenchArgs;
use crate::failure;
use crate::random;

/// Made-up inputs are the same in every run.
pub(crate) const SEED: u64 = 42;

/// A request, and the content of the first file among its inputs, which may be a picture.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) file: Option<Bytes>,
}

/// Makes the request of the command line; inputs without a value are random, and the same for the same seed.
pub(crate) fn prepare_request(args: &BenchArgs, metadata: &Metadata, seed: u64) -> Result<Prepared> {
    check_outputs(metadata, &args.outputs)?;
    if metadata.inputs.is_empty() {
        return failure("the server does not name the model's inputs: give each by --input NAME=VALUE");
    }
    let shapes = given_shapes(metadata, &args.shapes)?;
    let given = given_inputs(metadata, &args.inputs, &shapes)?;
    let mut generator = Rng::with_seed(seed);
    let mut inputs = Vec::new();
    for info in &metadata.inputs {
        let value = given.tensors.iter().find(|tensor| tensor.name == info.name);
        let shape = shapes.iter().find(|(name, _)| *name == info.name).map(|(_, shape)| shape.as_slice());
        inputs.push(match value {
            Some(tensor) => repeat(tensor, args.batch)?,
            None => random::tensor(&mut generator, info, shape, args.batch)?,
        });
    }
    let parameters = args.parameters.iter().map(|text| parameter(text)).collect::<Result<_>>()?;
    let request = Request { inputs, outputs: args.outputs.clone(), parameters };
    Ok(Prepared { request, file: given.file })
}

/// The tensor as a batch of that size: one item is repeated, a batch that has the size is left alone.
fn repeat(tensor: &Tensor, batch: i64) -> Result<Tensor> {
    let mut tensor = tensor.clone();
    match tensor.shape.first_mut() {
        _ if batch == 1 => {}
        Some(size) if *size == batch => {}
        Some(size) if *size == 1 => {
            *size = batch;
            let mut data = BytesMut::new();
            (0..batch).for_each(|_| data.extend_from_slice(&tensor.data));
            tensor.data = data.freeze();
        }
        _ => {
            return failure(format!(
                "--batch {batch}: the value of input '{}' is neither one item nor {batch}",
                tensor.name
            ));
        }
    }
    Ok(tensor)
}

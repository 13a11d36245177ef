//! The first run of a session, with zeros: a graph that was imported without a fault may still have an operation that the
//! CPU has no kernel for, or a variable that nothing gives a value.

use hippocamp_backend::Result;
use hippocamp_batching::{InputView, model_shape};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{DataType, PlacedSlice, RefillBuffer, Shape};
use smallvec::SmallVec;
use tracing::debug;

use crate::error::{Fault, code};
use crate::instance::Instance;

/// More bytes are not made up for an input: its model is not tried.
const LARGEST: usize = 64 << 20;

/// Texts of faults that every run of the graph would have.
const EVERY_RUN: [&str; 4] =
    ["No OpKernel was registered", "No registered '", "Op type not registered", "Cannot assign a device"];

/// Runs the instance's session once, unless that would change what later runs give. Fails if no run can succeed; a fault
/// that zeros alone may have, such as that they are no picture, is no reason.
pub(crate) fn try_run(instance: &Instance, model: &str, interface: &Interface) -> Result<()> {
    if !instance.opened().keeps_nothing() {
        return Ok(());
    }
    let mut zeros = RefillBuffer::default();
    let shapes: Vec<Shape> = interface.all_inputs().map(|spec| shape(spec, interface)).collect();
    let sizes = interface.all_inputs().zip(&shapes).map(|(spec, shape)| size(spec.data_type, shape));
    let Some(largest) = sizes.clone().try_fold(0, |most, size| Some(size?.max(most))) else { return Ok(()) };
    if largest > LARGEST || zeros.restart(largest, None).is_err() || zeros.push_zeros(largest).is_err() {
        return Ok(());
    }
    let Ok(PlacedSlice::Host(zeros)) = zeros.finish() else { return Ok(()) };
    let inputs = interface.all_inputs().zip(&shapes).zip(sizes);
    let inputs: SmallVec<[Option<InputView<'_>>; 4]> = inputs
        .map(|((spec, shape), size)| {
            let data = PlacedSlice::Host(&zeros[..size.unwrap_or(0)]);
            Some(InputView { data_type: spec.data_type, shape: shape.clone(), data })
        })
        .collect();
    let booleans = vec![None; inputs.len()];
    let Ok(lent) = instance.lend(&inputs, &booleans) else { return Ok(()) };
    match instance.run_with(&lent) {
        Ok(_) => Ok(()),
        Err(fault) if is_of_every_run(&fault) => Err(fault.of_load(model, "its graph cannot be run")),
        Err(fault) => {
            debug!(model, "a run with zeros fails, which other inputs may not: {}", fault.message);
            Ok(())
        }
    }
}

/// The shape of an input of one row, with one for each size that is free.
fn shape(spec: &TensorSpec, interface: &Interface) -> Shape {
    let dims: Shape = spec.dims.iter().map(|dim| (*dim).max(1)).collect();
    let batched = interface.max_batch_size > 0;
    let given = if batched && !spec.is_shape_tensor { dims.with_batch(1) } else { dims };
    model_shape(spec, given, batched)
}

/// The bytes of an input: an empty string takes its length.
fn size(data_type: DataType, shape: &Shape) -> Option<usize> {
    match data_type {
        DataType::Bytes => shape.element_count()?.checked_mul(hippocamp_tensor::LENGTH_PREFIX),
        _ => shape.byte_size(data_type),
    }
}

fn is_of_every_run(fault: &Fault) -> bool {
    let codes = [code::UNIMPLEMENTED, code::NOT_FOUND, code::FAILED_PRECONDITION];
    codes.contains(&fault.code) || EVERY_RUN.iter().any(|text| fault.message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_the_data_are_told_from_those_of_the_graph() {
        let fault = |code, text: &str| is_of_every_run(&Fault::new(code, text));
        assert!(!fault(code::INVALID_ARGUMENT, "Unknown image file format."));
        assert!(fault(code::INVALID_ARGUMENT, "No OpKernel was registered to support Op 'X'"));
        assert!(fault(code::UNIMPLEMENTED, "The Conv2D op currently only supports the NHWC format"));
    }
}

//! The first run of a session, with zeros, and with ones where these fail: a graph that was imported without a fault may still have an operation that the
//! CPU has no kernel for, or a variable that nothing gives a value.

use hippocamp_backend::Result;
use hippocamp_batching::{InputView, model_shape};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{DataType, RefillBuffer, Shape};
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
    let zeros = run_filled(instance, interface, zero);
    let Some(fault) = zeros else { return Ok(()) };
    let takes_texts = interface.all_inputs().any(|spec| spec.data_type == DataType::Bytes);
    let is_of_every_run = |fault: &Fault| is_of_every_run(fault, takes_texts);
    // What zeros are not served with, such as a loop that runs no time, other values may be.
    if is_of_every_run(&fault) && run_filled(instance, interface, one).as_ref().is_some_and(is_of_every_run) {
        return Err(fault.of_load(model, "its graph cannot be run"));
    }
    debug!(model, "a run with zeros fails, which other inputs may not: {}", fault.message);
    Ok(())
}

/// The fault of a run whose inputs have one value everywhere; `None` if it has none, or cannot be tried.
fn run_filled(
    instance: &Instance,
    interface: &Interface,
    value: fn(DataType) -> &'static [u8],
) -> Option<Fault> {
    let mut buffers = SmallVec::<[RefillBuffer; 4]>::new();
    for spec in interface.all_inputs() {
        let (count, element) = (shape(spec, interface).element_count()?, value(spec.data_type));
        let size = count.checked_mul(element.len()).filter(|size| *size <= LARGEST)?;
        let mut buffer = RefillBuffer::default();
        buffer.restart(size, None).ok()?;
        buffer.push_repeated(element, count).ok()?;
        buffers.push(buffer);
    }
    let inputs = interface.all_inputs().zip(&mut buffers).map(|(spec, buffer)| {
        let data = buffer.finish().ok()?;
        Some(Some(InputView { data_type: spec.data_type, shape: shape(spec, interface), data }))
    });
    let inputs = inputs.collect::<Option<SmallVec<[_; 4]>>>()?;
    let booleans = vec![None; inputs.len()];
    let lent = instance.lend(&inputs, &booleans).ok()?;
    instance.run_with(&lent).err()
}

/// The shape of an input of one row, with one for each size that is free.
fn shape(spec: &TensorSpec, interface: &Interface) -> Shape {
    let dims: Shape = spec.dims.iter().map(|dim| (*dim).max(1)).collect();
    let batched = interface.max_batch_size > 0;
    let given = if batched && !spec.is_shape_tensor { dims.with_batch(1) } else { dims };
    model_shape(spec, given, batched)
}

/// An element of zeros; of texts, an empty one.
fn zero(data_type: DataType) -> &'static [u8] {
    &[0; 8][..data_type.byte_size().unwrap_or(hippocamp_tensor::LENGTH_PREFIX)]
}

/// The number 1 of a type, or its digit.
fn one(data_type: DataType) -> &'static [u8] {
    match data_type {
        DataType::Bytes => &[1, 0, 0, 0, b'1'],
        DataType::Fp16 => &[0x00, 0x3c],
        DataType::Bf16 => &[0x80, 0x3f],
        DataType::Fp32 => &[0, 0, 0x80, 0x3f],
        DataType::Fp64 => &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
        _ => &[1, 0, 0, 0, 0, 0, 0, 0][..data_type.byte_size().unwrap_or(1)],
    }
}

/// Whether each run would have this fault. `takes_texts` says that an input may be the name of a file.
fn is_of_every_run(fault: &Fault, takes_texts: bool) -> bool {
    if takes_texts && fault.message.contains("No such file or directory") {
        return false;
    }
    let codes = [code::UNIMPLEMENTED, code::NOT_FOUND, code::FAILED_PRECONDITION];
    codes.contains(&fault.code) || EVERY_RUN.iter().any(|text| fault.message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_the_data_are_told_from_those_of_the_graph() {
        let fault = |code, text: &str| is_of_every_run(&Fault::new(code, text), true);
        assert!(!fault(code::INVALID_ARGUMENT, "Unknown image file format."));
        assert!(fault(code::INVALID_ARGUMENT, "No OpKernel was registered to support Op 'X'"));
        assert!(!fault(code::NOT_FOUND, "; No such file or directory"));
        assert!(is_of_every_run(&Fault::new(code::NOT_FOUND, "; No such file or directory"), false));
        assert!(fault(code::UNIMPLEMENTED, "The Conv2D op currently only supports the NHWC format"));
    }
}

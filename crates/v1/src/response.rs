//! From a response of the model to the header and raw tensors of an answer.

use hippocamp_backend::{Error, Response, Result};
use hippocamp_core::{Delivered, LoadedModel, OutputPlan, best_classes};
use hippocamp_proto::v1::InferResponseHeader;
use hippocamp_proto::v1::infer_response_header::Output;
use hippocamp_proto::v1::infer_response_header::output::{Class, Classes, Raw};
use hippocamp_tensor::{HostSegments, Shape, TensorData};
use smallvec::SmallVec;

use crate::Encoding;
use crate::outputs::{Form, Wanted};

/// An answer whose tensors are still where the model left them.
#[derive(Debug)]
pub struct Answer {
    /// The header.
    pub header: InferResponseHeader,
    /// One entry for each output of the header, empty for those that are classified or in shared memory.
    pub raw: SmallVec<[HostSegments; 4]>,
}

/// Makes the answer. Outputs for shared memory are written there. Copies no other tensor.
pub(crate) fn answer<E: Encoding>(
    model: &LoadedModel,
    wanted: &Wanted,
    plan: &mut OutputPlan,
    response: Response,
) -> Result<Answer> {
    let sizes = sizes::<E>(model, wanted, &response)?;
    let mut made: SmallVec<[Option<(Output, HostSegments)>; 4]> =
        SmallVec::from_elem(None, wanted.outputs.len());
    plan.deliver(model, response.outputs, |delivered| {
        let place = wanted.outputs.iter().position(|output| output.index == delivered.index);
        if let Some(place) = place {
            made[place] = Some(output(model, wanted.outputs[place].form, delivered, sizes[place])?);
        }
        Ok(())
    })?;
    let mut header = InferResponseHeader {
        id: wanted.id,
        model_name: model.name.to_string(),
        model_version: model.version as i64,
        batch_size: wanted.batch_size,
        output: Vec::with_capacity(made.len()),
    };
    let mut raw = SmallVec::with_capacity(made.len());
    for (output, data) in made.into_iter().flatten() {
        header.output.push(output);
        raw.push(data);
    }
    Ok(Answer { header, raw })
}

/// The sizes in bytes of the wanted outputs, in the request's order. Returns an error if one does not fit into its part of
/// shared memory.
fn sizes<E: Encoding>(
    model: &LoadedModel,
    wanted: &Wanted,
    response: &Response,
) -> Result<SmallVec<[u64; 4]>> {
    let mut sizes = SmallVec::with_capacity(wanted.outputs.len());
    for wanted in &wanted.outputs {
        let found = response.outputs.iter().find(|output| output.index == wanted.index);
        let size = found.map_or(0, |output| output.data.len() as u64);
        if let Form::Shared(room) = wanted.form
            && size > room
        {
            let name = &model.output(wanted.index)?.name;
            return Err(Error::internal(E::too_small(name, size, room)));
        }
        sizes.push(size);
    }
    Ok(sizes)
}

fn output(
    model: &LoadedModel,
    form: Form,
    delivered: Delivered<'_>,
    size: u64,
) -> Result<(Output, HostSegments)> {
    let Delivered { index, spec, data_type, shape, data } = delivered;
    if data_type != spec.data_type {
        // The protocol has no place for it: clients read what the config says.
        return Err(Error::invalid_arg(format!(
            "output '{}' of model '{}' has type {} in its config, its backend gives one of type {}",
            spec.name,
            model.name,
            spec.data_type.protocol_name(),
            data_type.protocol_name()
        )));
    }
    let name = spec.name.to_string();
    if let Form::Classes(count) = form {
        let batch_classes = classes(model, index, &shape, &data.unwrap_or_default(), count)?;
        return Ok((Output { name, raw: None, batch_classes }, HostSegments::default()));
    }
    let has_batch = model.interface.max_batch_size > 0 && !spec.is_shape_tensor;
    let dims = if has_batch { shape.get(1..).unwrap_or_default() } else { &shape };
    // Clients count elements by the sizes, and a tensor without any would have none.
    let dims = if dims.is_empty() { vec![1] } else { dims.to_vec() };
    let raw = Some(Raw { dims, batch_byte_size: size });
    let data = data.map(TensorData::into_host).transpose()?.unwrap_or_default();
    Ok((Output { name, raw, batch_classes: Vec::new() }, data))
}

fn classes(
    model: &LoadedModel,
    index: usize,
    shape: &Shape,
    data: &TensorData,
    count: usize,
) -> Result<Vec<Classes>> {
    let mut entries: Vec<Classes> = Vec::new();
    best_classes(model, index, shape, &data.to_host()?, count, |entry, class| {
        entries.resize(entries.len().max(entry + 1), Classes::default());
        let label = class.label.unwrap_or_default().to_owned();
        entries[entry].cls.push(Class { idx: class.index as i32, value: class.value() as f32, label });
    })?;
    Ok(entries)
}

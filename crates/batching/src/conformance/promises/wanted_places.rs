//! The place of outputs: a client reads them in host memory, a step of an ensemble on the device of its instances.

use hippocamp_tensor::{DataType, Place};

use super::Due;
use crate::conformance::Subject;
use crate::conformance::trial::{Outcome, Trial, answer};
use hippocamp_backend::{Batch, Device, Event, WantedOutputs};

/// Requests alone and in a batch, which want their outputs at different places.
pub(super) fn check(subject: &Subject<'_>) -> Outcome {
    let device = match subject.device {
        Device::Gpu(id) => Place::Device(id),
        // No output is there, and nobody may mind.
        Device::Cpu => Place::Device(0),
    };
    let places = [Place::Host, device, Place::Pinned];
    for (turn, place) in places.into_iter().enumerate() {
        ask(subject, turn, &[(1, place)]).map_err(|why| format!("alone, wanted in {place}: {why}"))?;
    }
    if !subject.has_batches() {
        return Ok(());
    }
    let rows = subject.mixed_rows();
    for turn in 0..places.len() {
        let mixed = rows.iter().enumerate().map(|(n, rows)| (*rows, places[(n + turn) % places.len()]));
        ask(subject, turn, &mixed.collect::<Vec<_>>()).map_err(|why| format!("in a batch: {why}"))?;
        let same: Vec<_> = rows.iter().map(|rows| (*rows, places[turn])).collect();
        ask(subject, turn, &same).map_err(|why| format!("a batch, all at {}: {why}", places[turn]))?;
    }
    Ok(())
}

/// Executes a batch of requests with so many rows each, which want their outputs there.
fn ask(subject: &Subject<'_>, turn: usize, requests: &[(usize, Place)]) -> Outcome {
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let count = subject.interface.outputs.len();
    let (mut batch, mut due) = (Batch::new(), Due::new());
    for (n, (rows, place)) in requests.iter().enumerate() {
        let example = (subject.example)(turn * 100 + n, *rows);
        let (request, receiver) = trial.request(&example.inputs, *rows, WantedOutputs::all_at(*place, count));
        batch.push(request);
        due.push((example, WantedOutputs::ALL, receiver));
    }
    batch.execute_on(&mut *instance);
    drop(batch);
    for ((example, wanted, receiver), (_, place)) in due.into_iter().zip(requests) {
        let events = answer(receiver)?;
        subject.expect(&example, &wanted, &events)?;
        expect_place(subject, *place, &events)?;
    }
    Ok(())
}

fn expect_place(subject: &Subject<'_>, wanted: Place, events: &[Event]) -> Outcome {
    let responses = events.iter().filter_map(|event| match event {
        Event::Response { response, .. } => Some(response),
        _ => None,
    });
    for output in responses.flat_map(|response| &response.outputs) {
        let Some(spec) = subject.interface.outputs.get(output.index) else { continue };
        // The elements of BYTES are walked, which is done in host memory.
        let stays = wanted == subject_place(subject) && spec.data_type != DataType::Bytes;
        let place = output.data.place();
        let is_right = if stays { place == wanted } else { !matches!(place, Place::Device(_)) };
        if !is_right {
            let wanted = if stays { wanted } else { Place::Host };
            return Err(format!("output '{}' was wanted in {wanted}, it is in {place}", spec.name));
        }
    }
    Ok(())
}

/// Where the instances of the model are, if that is a device.
fn subject_place(subject: &Subject<'_>) -> Place {
    match subject.device {
        Device::Gpu(id) => Place::Device(id),
        Device::Cpu => Place::Device(-1),
    }
}

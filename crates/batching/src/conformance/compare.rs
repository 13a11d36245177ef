//! Answers against what was expected.

use bytes::Bytes;
use hippocamp_interface::Interface;
use hippocamp_tensor::Shape;

use crate::conformance::trial::Outcome;
use crate::conformance::{Example, Subject};
use hippocamp_backend::{Delivery, Event, Response, WantedOutputs};

impl Subject<'_> {
    /// Whether these events are the answer to that example, of which the `wanted` outputs were asked for.
    pub(super) fn expect(&self, example: &Example, wanted: &WantedOutputs, events: &[Event]) -> Outcome {
        let delivery = if self.interface.decoupled { Delivery::Many } else { Delivery::Once };
        let responses = responses(delivery, events)?;
        if responses.len() != example.responses.len() {
            let (want, got) = (example.responses.len(), responses.len());
            return Err(format!("{want} responses were expected, {got} came"));
        }
        for (n, (want, got)) in example.responses.iter().zip(responses).enumerate() {
            compare(&self.interface, want, wanted, got).map_err(|why| format!("response {n}: {why}"))?;
        }
        Ok(())
    }

    pub(super) fn expect_all(&self, example: &Example, events: &[Event]) -> Outcome {
        self.expect(example, &WantedOutputs::ALL, events)
    }
}

/// The responses among the events of an answer.
fn responses(delivery: Delivery, events: &[Event]) -> Outcome<Vec<&Response>> {
    let mut responses = Vec::new();
    for event in events {
        match event {
            Event::Response { response, .. } => responses.push(response),
            Event::Failed(error) | Event::ResponseFailed(error) => {
                return Err(format!("the request failed: {error:?}"));
            }
            Event::End => {}
        }
    }
    match (delivery, events) {
        (Delivery::Once, [Event::Response { last: true, .. }])
        | (Delivery::Many, [.., Event::End | Event::Response { last: true, .. }]) => Ok(responses),
        _ => Err(format!("the answer was expected to end properly, but it was {events:?}")),
    }
}

fn compare(
    interface: &Interface,
    expected: &[Option<(Shape, Bytes)>],
    wanted: &WantedOutputs,
    got: &Response,
) -> Outcome {
    let due = expected.iter().enumerate().filter_map(|(i, tensor)| tensor.as_ref().map(|t| (i, t)));
    let due: Vec<_> = due.filter(|(i, _)| wanted.contains(*i)).collect();
    let indices = |of: &[usize]| format!("{of:?}");
    let want: Vec<usize> = due.iter().map(|(i, _)| *i).collect();
    let came: Vec<usize> = got.outputs.iter().map(|o| o.index).collect();
    if want != came {
        return Err(format!("outputs {} were expected, {} came", indices(&want), indices(&came)));
    }
    for ((index, (shape, data)), output) in due.iter().zip(&got.outputs) {
        let name = interface.outputs.get(*index).map_or("?", |spec| &*spec.name);
        if *shape != output.shape {
            return Err(format!(
                "output '{name}' was expected to have shape {shape}, it has {}",
                output.shape
            ));
        }
        if data.len() != output.data.len() {
            let (want, got) = (data.len(), output.data.len());
            return Err(format!("output '{name}' was expected to have {want} bytes, it has {got}"));
        }
        let came = output.data.to_host().map_err(|e| format!("output '{name}' could not be read: {e}"))?;
        if let Some(at) = data.iter().zip(came.iter()).position(|(a, b)| a != b) {
            let (want, got) = (data[at], came[at]);
            return Err(format!(
                "byte {at} of output '{name}' was expected to be {want:#04x}, it is {got:#04x}"
            ));
        }
    }
    Ok(())
}

//! Shows the tensors of a request to its observer, if that wants to see them: a trace of the level TENSORS.

use std::sync::Arc;

use hippocamp_backend::{Event, ObservedTensor, Outlet, Request, RequestObserver, ResponseSink, TensorPlace};
use hippocamp_model_config::{Interface, TensorSpec};
use hippocamp_tensor::{DataType, Shape, TensorData};

use crate::LoadedModel;
use crate::model::Executor;

/// Shows the inputs now, and the outputs when they are sent.
#[inline]
pub(crate) fn show(model: &LoadedModel, request: &mut Request) {
    if let Some(observer) = &request.context().observer
        && observer.wants_tensors()
    {
        let observer = Arc::clone(observer);
        show_to(&observer, model, request);
    }
}

#[cold]
fn show_to(observer: &Arc<dyn RequestObserver>, model: &LoadedModel, request: &mut Request) {
    // As in Triton, the inputs of a sequence are not shown.
    let is_of_sequence = matches!(model.executor, Executor::Scheduler(_)) && !model.sequences.is_empty();
    if !is_of_sequence {
        for (spec, input) in model.interface.inputs.iter().zip(&request.inputs) {
            if let Some(input) = input {
                show_one(&**observer, TensorPlace::QueuedInput, (spec, None), &input.shape, &input.data);
            }
        }
    }
    let (observer, interface) = (Arc::clone(observer), Arc::clone(&model.interface));
    request.response.redirect(|outlet| {
        let delivery = outlet.delivery();
        Outlet::to_sink(delivery, Box::new(Showing { outlet, observer, interface }))
    });
}

fn show_one(
    observer: &dyn RequestObserver,
    place: TensorPlace,
    (spec, data_type): (&TensorSpec, Option<DataType>),
    shape: &Shape,
    data: &TensorData,
) {
    // What cannot be read, such as memory that its client took away, is not shown; the model will say so.
    if let Ok(data) = data.to_host() {
        let data_type = data_type.unwrap_or(spec.data_type).protocol_name();
        observer.on_tensor(&ObservedTensor { place, name: &spec.name, data_type, shape, data: &data });
    }
}

/// Shows the outputs of each response before it goes on.
#[derive(Debug)]
struct Showing {
    outlet: Outlet,
    observer: Arc<dyn RequestObserver>,
    interface: Arc<Interface>,
}

impl ResponseSink for Showing {
    fn deliver(&mut self, event: Event) {
        if let Event::Response { response, .. } = &event {
            for output in &response.outputs {
                if let Some(spec) = self.interface.outputs.get(output.index) {
                    show_one(
                        &*self.observer,
                        TensorPlace::Output,
                        (spec, output.data_type),
                        &output.shape,
                        &output.data,
                    );
                }
            }
        }
        self.outlet.send(event);
    }

    fn is_cancelled(&self) -> bool {
        self.outlet.is_cancelled()
    }
}

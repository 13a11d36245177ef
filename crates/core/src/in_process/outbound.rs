//! What comes back for a backend's request, with the names of the model's tensors.

use std::sync::Arc;

use hippocamp_backend::{
    Error, Event, InProcessEvent, InProcessResponse, InProcessSink, InProcessTensor, Response, ResponseSink,
    Result, Use,
};
use hippocamp_model_config::Interface;

use super::UnusedSink;
use crate::LoadedModel;

/// Hands the events of a request on to the backend that made it.
#[derive(Debug)]
pub(super) struct Outbound {
    model: Arc<str>,
    version: u64,
    interface: Arc<Interface>,
    /// `None` once the last event was delivered.
    sink: Option<Box<dyn InProcessSink>>,
    /// Where the sink is put if it gets no event.
    unused: Option<UnusedSink>,
    /// The use of the model version, until it has answered.
    _counted: Option<Use>,
}

impl Outbound {
    pub(super) fn new(
        model: &LoadedModel,
        counted: Option<Use>,
        sink: Box<dyn InProcessSink>,
        unused: Option<UnusedSink>,
    ) -> Outbound {
        let (interface, sink) = (Arc::clone(&model.interface), Some(sink));
        let (version, model) = (model.version, Arc::clone(&model.name));
        Outbound { model, version, interface, sink, unused, _counted: counted }
    }

    /// The response with the names and types of its outputs, in the model's order.
    fn named(&self, response: Response) -> Result<InProcessResponse> {
        let Response { mut outputs, parameters } = response;
        outputs.sort_by_key(|output| output.index);
        let named = outputs.into_iter().map(|output| {
            let spec = self.interface.outputs.get(output.index).ok_or_else(|| {
                let model = &self.model;
                Error::internal(format!("model '{model}' answered with an output that it does not have"))
            })?;
            let data_type = output.data_type.unwrap_or(spec.data_type);
            let name = Arc::clone(&spec.name);
            Ok(InProcessTensor { name, data_type, shape: output.shape, data: output.data })
        });
        let outputs = named.collect::<Result<_>>()?;
        Ok(InProcessResponse { model: Arc::clone(&self.model), version: self.version, outputs, parameters })
    }
}

impl ResponseSink for Outbound {
    fn deliver(&mut self, event: Event) {
        let event = match event {
            Event::Response { response, last } => match self.named(response) {
                Ok(response) => InProcessEvent::Response { response, last },
                Err(error) => InProcessEvent::Failed { error, last },
            },
            Event::ResponseFailed(error) => InProcessEvent::Failed { error, last: false },
            Event::Failed(error) => InProcessEvent::Failed { error, last: true },
            Event::End => InProcessEvent::End,
        };
        self.unused = None;
        let is_last = event.is_last();
        if let Some(sink) = &mut self.sink {
            sink.deliver(event);
        }
        if is_last {
            self.sink = None;
        }
    }

    fn is_cancelled(&self) -> bool {
        self.sink.as_ref().is_none_or(|sink| sink.is_cancelled())
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        if let (Some(unused), Some(sink)) = (&self.unused, self.sink.take()) {
            unused.put(sink);
        }
    }
}

//! What a backend's request says.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::{CorrelationId, InProcessRequest, InProcessTensor, Parameters, Result, Sequence};
use hippocamp_tensor::{DataType, Shape};

use super::super::answer::{ReleaseTo, ResponseTo};
use super::super::gpus::Gpus;
use super::super::lending::{Lending, Segment, tensor};
use super::super::waits::Called;
use crate::border::Flag;

/// What a request says. It stays when the request is executed, so that the backend can execute it again.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    model: Box<str>,
    version: Option<u64>,
    /// What this stood for when the request was made.
    pub(crate) called: Called,
    pub(crate) id: Box<str>,
    pub(crate) flags: u32,
    pub(crate) correlation_id: Option<CorrelationId>,
    /// 0 for none.
    pub(crate) timeout_us: u64,
    pub(crate) priority: u64,
    pub(crate) parameters: Parameters,
    pub(crate) inputs: Vec<GivenInput>,
    pub(crate) outputs: Vec<Box<str>>,
    pub(crate) release: Option<ReleaseTo>,
    pub(crate) response: Option<ResponseTo>,
    /// Those that inputs may be on.
    pub(crate) gpus: Arc<Gpus>,
}

/// An input, whose bytes are the backend's.
#[derive(Clone, Debug)]
pub(crate) struct GivenInput {
    pub(crate) name: Arc<str>,
    pub(crate) data_type: DataType,
    pub(crate) shape: Shape,
    pub(crate) segments: Vec<Segment>,
}

impl Content {
    pub(crate) fn new(model: &str, version: Option<u64>, called: Called, gpus: &Arc<Gpus>) -> Content {
        Content {
            model: model.into(),
            version,
            called,
            id: Box::default(),
            flags: 0,
            correlation_id: None,
            timeout_us: 0,
            priority: 0,
            parameters: Parameters::default(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            release: None,
            response: None,
            gpus: Arc::clone(gpus),
        }
    }

    pub(crate) fn input(&mut self, name: &str) -> Option<&mut GivenInput> {
        self.inputs.iter_mut().find(|input| *input.name == *name)
    }

    /// The request for the server. It holds what it lends.
    ///
    /// # Errors
    /// If a GPU with an input reports an error.
    pub(crate) fn request(&self, lending: &Arc<Lending>) -> Result<InProcessRequest> {
        let input = |input: &GivenInput| {
            let data = tensor(&input.segments, lending, &self.gpus);
            let data = data.map_err(|error| {
                let text = format!("input '{}': {}", input.name, error.message());
                error.with_message(text)
            })?;
            let (name, shape) = (Arc::clone(&input.name), input.shape.clone());
            Ok(InProcessTensor { name, data_type: input.data_type, shape, data })
        };
        let inputs = self.inputs.iter().map(input).collect::<Result<_>>()?;
        let sequence = self.correlation_id.clone().map(|correlation_id| Sequence {
            correlation_id,
            start: self.flags & Flag::SEQUENCE_START != 0,
            end: self.flags & Flag::SEQUENCE_END != 0,
        });
        Ok(InProcessRequest {
            version: self.version,
            id: self.id.clone(),
            inputs,
            outputs: self.outputs.clone(),
            parameters: self.parameters.clone(),
            priority: self.priority,
            timeout: (self.timeout_us > 0).then(|| Duration::from_micros(self.timeout_us)),
            sequence,
            ..InProcessRequest::new(self.model.clone())
        })
    }
}

//! From a header and raw tensors to a request of the server's one call.

use std::time::{Duration, Instant};

use hippocamp_backend::{CorrelationId, Parameters, Result, Sequence};
use hippocamp_core::{IncomingRequest, InferRequest, LoadedModel, Origin, OutputPlan};
use hippocamp_proto::v1::InferRequestHeader;
use hippocamp_proto::v1::infer_request_header::Flag;
use hippocamp_shm::SharedMemory;

use crate::Encoding;
use crate::inputs::{self, check_batch_size};
use crate::outputs::Wanted;

/// A request in one of the encodings.
#[derive(Debug)]
pub(crate) struct Incoming<E> {
    header: InferRequestHeader,
    raw: E,
    /// The id as text; empty if the client gave none.
    id: String,
    sequence: Option<Sequence>,
    arrived: Instant,
    /// How the outputs are returned, once the request is decoded.
    pub(crate) wanted: Wanted,
}

impl<E> Incoming<E> {
    pub(crate) fn new(header: InferRequestHeader, raw: E, arrived: Instant) -> Incoming<E> {
        let id = if header.id == 0 { String::new() } else { header.id.to_string() };
        let has = |flag: Flag| header.flags & flag as u32 != 0;
        let sequence = (header.correlation_id != 0).then(|| Sequence {
            correlation_id: CorrelationId::Number(header.correlation_id),
            start: has(Flag::SequenceStart),
            end: has(Flag::SequenceEnd),
        });
        Incoming { header, raw, id, sequence, arrived, wanted: Wanted::default() }
    }
}

impl<E: Encoding> IncomingRequest for Incoming<E> {
    fn sequence(&self) -> Option<&Sequence> {
        self.sequence.as_ref()
    }

    fn decode<'a>(
        &'a mut self,
        model: &'a LoadedModel,
        memory: &SharedMemory,
        plan: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        let Incoming { header, raw, id, sequence, arrived, wanted } = self;
        check_batch_size(model, header.batch_size)?;
        let inputs = inputs::decode(header, raw, model, memory, plan)?;
        *wanted = Wanted::of(header, model, memory, plan)?;
        Ok(InferRequest {
            id,
            inputs,
            outputs: header.output.iter().map(|output| output.name.as_str()).collect(),
            output_place: hippocamp_tensor::Place::Host,
            placed_outputs: smallvec::SmallVec::new(),
            parameters: Parameters::default(),
            priority: u64::from(header.priority),
            timeout: Some(header.timeout_microseconds).filter(|us| *us > 0).map(Duration::from_micros),
            sequence: sequence.take(),
            arrived: *arrived,
            origin: Origin::default(),
        })
    }
}

//! The arrival of a request: finds or begins its sequence and queues the request there.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{CorrelationId, Error, Request};

use super::slots::{Active, Place, Queued, Sequence, Sequences};

impl Sequences {
    /// Queues a request. A request that its sequence cannot accept is returned with the error.
    pub(super) fn push(&mut self, mut request: Request, now: Instant) -> Result<(), Box<(Request, Error)>> {
        let (id, start, end) = match self.admit(&mut request, now) {
            Ok(sequence) => sequence,
            Err(error) => return Err(Box::new((request, error))),
        };
        // In an iterative model each request is a whole sequence, whatever its flags, and no further requests follow.
        let closes = end && !self.policy.iterative;
        let active = self.active.get(&id).copied();
        if start && active.is_some() {
            let model = &*self.policy.model;
            tracing::warn!(model, "sequence {} starts again before it ended; it begins anew", text_of(&id));
        }
        self.waiting += 1;
        let queued = Queued { request, rescheduled: false };
        let Some(Active { serial, place }) = active else {
            self.begin(id, closes, queued, now);
            return Ok(());
        };
        if closes {
            let after = match place {
                Place::Slot(at) => self.slot(at).sequence.as_ref().and_then(|sequence| sequence.after),
                Place::Backlog => self.backlog.after(serial),
            };
            self.active.remove(&id);
            self.unfinished.add(id, serial, after);
        }
        match place {
            Place::Slot(at) => {
                let slot = self.slot_mut(at);
                if let Some(sequence) = slot.sequence.as_mut().filter(|_| closes) {
                    sequence.open = None;
                }
                slot.queue.push_back(queued);
                slot.last_used = now;
                self.ready(at, now);
            }
            Place::Backlog => {
                self.backlog.add(serial, queued, now);
                if closes {
                    self.backlog.close(serial);
                }
                self.wake_collecting();
            }
        }
        Ok(())
    }

    /// Begins a sequence, in a free slot or else in the backlog. With `closes`, its first request is also its last.
    fn begin(&mut self, id: CorrelationId, closes: bool, first: Queued, now: Instant) {
        let serial = self.next_serial;
        self.next_serial += 1;
        let after = self.unfinished.before(&id);
        if closes {
            self.unfinished.add(id.clone(), serial, after);
        }
        let sequence = Sequence { serial, open: (!closes).then(|| id.clone()), after, begun: false };
        if let Some(at) = self.free_slot(now) {
            return self.occupy(at, sequence, [first].into(), now);
        }
        if !closes {
            self.active.insert(id, Active { serial, place: Place::Backlog });
        }
        self.backlog.open(sequence, first, now);
        self.wake_collecting();
    }

    /// Returns the id of a request's sequence and its START and END flags, or an error if the request is invalid.
    fn admit(&mut self, request: &mut Request, now: Instant) -> Result<(CorrelationId, bool, bool), Error> {
        let model = Arc::clone(&self.policy.model);
        if request.batch_size > 1 {
            return Err(Error::invalid_arg(format!(
                "inference request to model '{model}' must specify batch-size 1 due to requirements of sequence batcher"
            )));
        }
        if request.sequence.is_none() && self.policy.iterative {
            let mut id = self.next_serial;
            // The number may be in use as a client's own id.
            while self.active.contains_key(&CorrelationId::Number(id)) {
                id += 1;
            }
            let correlation_id = CorrelationId::Number(id);
            request.sequence = Some(hippocamp_backend::Sequence { correlation_id, start: true, end: false });
        }
        let Some(sequence) = &request.sequence else {
            return Err(Error::invalid_arg(format!(
                "inference request to model '{model}' must specify a non-zero or non-empty correlation ID"
            )));
        };
        let id = &sequence.correlation_id;
        if let Some(data_type) = self.policy.controls.refuses(id) {
            return Err(Error::invalid_arg(format!(
                "inference request for sequence {} to model '{model}' must have a number as correlation ID, because the \
                 model's CORRID control is of {}",
                text_of(id),
                data_type.config_name()
            )));
        }
        let (id, start, end) = (id.clone(), sequence.start, sequence.end);
        self.end_if_idle(&id, now);
        if !start && !self.active.contains_key(&id) {
            return Err(Error::invalid_arg(format!(
                "inference request for sequence {} to model '{model}' must specify the START flag on the first request \
                 of the sequence",
                text_of(&id)
            )));
        }
        Ok((id, start, end))
    }
}

/// An id as it is shown in error messages.
pub(super) fn text_of(id: &CorrelationId) -> String {
    match id {
        CorrelationId::Number(number) => number.to_string(),
        CorrelationId::Text(text) => text.to_string(),
    }
}

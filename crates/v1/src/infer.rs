//! Inference: from the header and raw tensors of a request to the model, and back.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Error, Result};
use hippocamp_core::{Accepted, Activity, Observed, Responses, Running, Then};
use hippocamp_net::off_thread;
use hippocamp_proto::v1::InferRequestHeader;

use crate::outputs::Wanted;
use crate::request::Incoming;
use crate::{Answer, Encoding, V1, errors, response};

const ONE: Responses = Responses::One {
    refusal: "models with decoupled transaction policy are served by v2 of the protocol only",
};

/// The version that stands for the highest.
const LATEST: i64 = -1;

/// A request that its model has.
#[derive(Debug)]
pub struct Submitted {
    running: Running,
    wanted: Wanted,
}

impl V1 {
    /// Finds the model that a request names.
    pub async fn accept(&self, model: &str, version: i64) -> Result<Accepted> {
        let version = match version {
            LATEST => None,
            // No version has the number 0, and none a negative one.
            other => Some(u64::try_from(other).unwrap_or(0)),
        };
        self.server.accept(model, version, ONE).await.map_err(|error| errors::not_found(model, error))
    }

    /// Executes a request, which `observed` observes. `large` is the size in bytes above which tensors are copied or digested on
    /// another thread. Dropping the future cancels the request.
    pub async fn infer<E: Encoding + Send + 'static>(
        self: &Arc<Self>,
        accepted: Accepted,
        header: InferRequestHeader,
        raw: E,
        large: usize,
        observed: &Observed,
    ) -> Result<Answer> {
        let arrived = Instant::now();
        let is_large = large != usize::MAX && accepted.is_digested() && raw.left() > large;
        let submitted = if is_large {
            let v1 = Arc::clone(self);
            elsewhere(move || v1.submit(accepted, header, raw, arrived, Then::Wait)).await?
        } else {
            self.submit(accepted, header, raw, arrived, Then::Wait)?
        };
        submitted.answer::<E>(large, observed).await
    }

    /// Hands a request to its model.
    pub fn submit<E: Encoding>(
        &self,
        accepted: Accepted,
        header: InferRequestHeader,
        raw: E,
        arrived: Instant,
        then: Then,
    ) -> Result<Submitted> {
        let mut incoming = Incoming::new(header, raw, arrived);
        let running = accepted.submit(&*self.server, &mut incoming, then)?;
        Ok(Submitted { running, wanted: incoming.wanted })
    }
}

impl Submitted {
    /// Waits for the response, and makes the answer. `large` is the size in bytes above which tensors are copied on another
    /// thread.
    pub async fn answer<E: Encoding>(self, large: usize, observed: &Observed) -> Result<Answer> {
        let Submitted { running: Running { model, responses, mut outputs }, wanted } = self;
        let response = responses.only().await;
        observed.mark(Activity::InferResponseComplete);
        let response = response?;
        let copied = |response| outputs.copied_bytes(&model, response) + wanted.classified_bytes(response);
        if large != usize::MAX && copied(&response) > large {
            return elsewhere(move || response::answer::<E>(&model, &wanted, &mut outputs, response)).await;
        }
        response::answer::<E>(&model, &wanted, &mut outputs, response)
    }
}

/// Does large work on another thread. The future is boxed, or that of every call would be larger by its size.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = Box::pin(off_thread(true, work)).await;
    done.map_err(|e| Error::internal("the request could not be processed").with_source(e))?
}

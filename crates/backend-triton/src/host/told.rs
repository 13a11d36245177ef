//! What a backend was told of, and is told the end of.

use std::ops::Deref;

use hippocamp_backend::Result;
use tracing::error;

use super::loaded::LoadedBackend;
use super::watchdog::{self, Awaited};

/// A model or an instance that a backend was told of. Dropped, it is finalized, and then its parts are dropped.
#[derive(Debug)]
pub(super) struct Told<P: Parts>(Option<P>);

/// What has to stay until the backend has finalized it.
pub(super) trait Parts: Send + Sized + 'static {
    /// For the log: what the call finalizes.
    const WHAT: &'static str;

    fn name(&self) -> String;

    fn backend(&self) -> &LoadedBackend;

    /// Calls the backend.
    fn finalize(&self) -> Result<()>;

    /// What that may wait for.
    fn awaited(&self) -> Awaited;
}

impl<P: Parts> Told<P> {
    /// The backend is to be told of it, or just was.
    pub(super) fn new(parts: P) -> Told<P> {
        Told(Some(parts))
    }
}

impl<P: Parts> Deref for Told<P> {
    type Target = P;

    fn deref(&self) -> &P {
        self.0.as_ref().expect("it is only taken when this is dropped")
    }
}

impl<P: Parts> Drop for Told<P> {
    fn drop(&mut self) {
        let Some(parts) = self.0.take() else { return };
        let (name, awaited) = (parts.name(), parts.awaited());
        let Some(python) = parts.backend().python.clone() else {
            report::<P>(&name, parts.finalize());
            return;
        };
        match watchdog::call((P::WHAT, &name), &awaited, parts, P::finalize) {
            Ok((_parts, result)) => report::<P>(&name, result),
            Err(abandoned) => python.swept_up(&abandoned),
        }
    }
}

fn report<P: Parts>(name: &str, finalized: Result<()>) {
    if let Err(error) = finalized {
        error!(name, "{} failed: {}", P::WHAT, error.message());
    }
}

//! The requests that a backend has not given back or not answered yet.

use std::sync::{Arc, Weak};
use std::time::Duration;

use hippocamp_backend::Error;
use parking_lot::{Condvar, Mutex};
use tracing::warn;

use super::ResponseChannel;

/// The requests of an instance that are not over.
#[derive(Debug, Default)]
pub(crate) struct Outstanding {
    requests: Mutex<Requests>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Requests {
    /// In no order: there are a few.
    channels: Vec<(u64, Weak<ResponseChannel>)>,
    next: u64,
}

/// A request that is not over until this is dropped.
#[derive(Debug)]
pub(crate) struct OutstandingRequest {
    all: Arc<Outstanding>,
    number: u64,
}

impl Outstanding {
    /// Notes a request, by the channel of its responses.
    pub(crate) fn begin(self: &Arc<Self>, channel: Weak<ResponseChannel>) -> OutstandingRequest {
        let mut requests = self.requests.lock();
        let number = requests.next;
        requests.next += 1;
        requests.channels.push((number, channel));
        OutstandingRequest { all: Arc::clone(self), number }
    }

    /// Answers all requests with an error: whoever had them is gone.
    pub(crate) fn abandon(&self, error: &Error) {
        // The answers end the requests, which takes the lock.
        let channels: Vec<_> =
            self.requests.lock().channels.iter().filter_map(|(_, channel)| channel.upgrade()).collect();
        for channel in channels {
            channel.refuse(error.clone());
        }
    }

    /// Waits until all requests are over. If whoever has them is gone, which `lost` says, they are answered with its error.
    pub(crate) fn wait(&self, instance: &str, lost: impl Fn() -> Option<Error>) {
        /// How often that is asked.
        const LOOK: Duration = Duration::from_secs(1);
        /// How often the log tells that it is still waited for.
        const TOLD: u32 = 10;
        let mut looks = 0;
        loop {
            if let Some(error) = lost() {
                self.abandon(&error);
            }
            let mut requests = self.requests.lock();
            while !requests.channels.is_empty() && !self.changed.wait_for(&mut requests, LOOK).timed_out() {}
            if requests.channels.is_empty() {
                return;
            }
            looks += 1;
            if looks % TOLD == 0 {
                let requests = requests.channels.len();
                warn!(instance, requests, "waiting for requests that the backend still has");
            }
        }
    }
}

impl Drop for OutstandingRequest {
    fn drop(&mut self) {
        let mut requests = self.all.requests.lock();
        if let Some(place) = requests.channels.iter().position(|(number, _)| *number == self.number) {
            requests.channels.swap_remove(place);
        }
        self.all.changed.notify_all();
    }
}

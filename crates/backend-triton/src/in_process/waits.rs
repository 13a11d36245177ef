//! Calls that would be waited for for ever. A Python model executes one batch at a time in each instance, and a call that it makes
//! meanwhile is waited for. So an instance can wait for an instance that waits for it: by way of others, of ensembles, or of
//! responses that keep the order of requests. The call that closes such a circle is answered with an error.
//!
//! An execution without calls costs two atomic operations here, and a call of a model that waits for nobody a look-up.

mod graph;
mod path;
mod requests;

use std::ffi::CString;
use std::sync::{Arc, OnceLock};

use hippocamp_backend::{Error, InProcessEvent, InProcessServer, RequestObserver};
use hippocamp_in_process::{Cancel, Mailbox};
use hippocamp_model_config::ModelConfig;
use parking_lot::Mutex;

use super::answer::Item;
use graph::{Graph, Instance, Reason, Stuck};
pub(super) use path::Called;
use requests::Follower;
pub(crate) use requests::StartedRequests;

static GRAPH: Mutex<Graph<Arc<Way>>> = Mutex::new(Graph::new());

/// A version of a model that makes calls, as it was loaded.
#[derive(Debug)]
pub(crate) struct Caller {
    name: Arc<str>,
    version: u64,
    /// Tells it from another one of that name and version, which takes its place or had it.
    number: u64,
    /// Whether it takes batches, once its config is finished.
    batches: OnceLock<bool>,
}

/// An instance whose executions wait for what they call.
#[derive(Debug)]
pub(crate) struct WaitingInstance(Arc<Instance>);

/// An execution of an instance, until this is dropped.
#[derive(Debug)]
pub(crate) struct Executing<'a>(&'a Instance);

/// A call for which an instance waits, until the last event or until this is dropped.
#[derive(Debug)]
pub(super) struct Wait(Arc<Way>);

/// The way back of a call.
#[derive(Debug)]
pub(super) struct Way {
    /// The number of the call, once it has one.
    call: OnceLock<u64>,
    caller: Arc<str>,
    called: Arc<str>,
    answer: Mailbox<Item>,
    cancel: Cancel,
    /// Nothing comes behind the last event.
    is_over: Mutex<bool>,
}

impl Caller {
    pub(crate) fn new(name: &str, version: u64) -> Caller {
        let name = name.into();
        let number = GRAPH.lock().add_version(&name);
        Caller { name, version, number, batches: OnceLock::new() }
    }

    /// It is to serve with that config, which does not move while it does.
    pub(crate) fn serves_with(&self, config: &ModelConfig) {
        GRAPH.lock().is_found_at(path::place(config, self.version), self.number);
    }

    /// Its config is finished, and says whether it takes batches.
    pub(crate) fn set_batches(&self, batches: bool) {
        // All instances say the same.
        let _ = self.batches.set(batches);
    }

    /// Whether it takes batches, if that is the version. Clients may not find it yet, or not any more.
    pub(super) fn batches(&self, model: &str, version: Option<u64>) -> Option<bool> {
        let is_own = *self.name == *model && version == Some(self.version);
        self.batches.get().copied().filter(|_| is_own)
    }

    /// One more instance that waits for what it calls while it executes.
    pub(crate) fn instance(&self) -> WaitingInstance {
        WaitingInstance(GRAPH.lock().add_instance(self.number))
    }

    /// A call that is about to be queued. `None` if none of its models can wait for the caller, or nobody waits for it.
    pub(super) fn call(
        &self,
        server: &dyn InProcessServer,
        called: &Called,
        answer: &Mailbox<Item>,
        cancel: &Cancel,
    ) -> Option<Wait> {
        let steps = called.steps(server);
        let mut graph = GRAPH.lock();
        if !graph.knows_any(&steps) {
            return None;
        }
        let instance = graph.caller(self.number, path::instance_of_this_thread)?;
        let way = Arc::new(Way {
            call: OnceLock::new(),
            caller: Arc::clone(&self.name),
            called: Arc::clone(called.name()),
            answer: answer.clone(),
            cancel: cancel.clone(),
            is_over: Mutex::new(false),
        });
        let _ = way.call.set(graph.add_call(&instance, &steps, Arc::clone(&way))?);
        Some(Wait(way))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        GRAPH.lock().remove_version(self.number);
    }
}

impl WaitingInstance {
    /// Gives the calling thread a name that those which it starts will have as well: by that it is known whose calls they make.
    pub(crate) fn name_thread(&self, instance: &str) {
        if let Ok(name) = CString::new(path::thread_name(self.0.number(), instance)) {
            // Without it, calls of models with several instances are not known to be waited for.
            let _ = rustix::thread::set_name(&name);
        }
    }

    /// It executes these requests, among others.
    pub(crate) fn execution(&self, StartedRequests(requests): &StartedRequests) -> Executing<'_> {
        self.0.begin();
        if !requests.is_empty() {
            GRAPH.lock().are_executed(requests, &self.0);
        }
        Executing(&self.0)
    }

    /// It executes nothing more that is waited for. If it `is_lost`, another one will take its place.
    pub(crate) fn end(&self, is_lost: bool) {
        // Calls may have waited for it that are left to those which wait for them.
        let refused = GRAPH.lock().remove_instance(&self.0, is_lost);
        for (way, stuck) in refused {
            way.refuse(&stuck);
        }
    }

    /// It was initialized.
    pub(crate) fn is_ready(&self) {
        GRAPH.lock().is_ready(&self.0);
    }

    /// It goes on after all.
    pub(crate) fn is_back(&self) {
        GRAPH.lock().return_instance(&self.0);
    }
}

impl Drop for WaitingInstance {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl Drop for Executing<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Wait {
    /// Where an event of the call goes.
    pub(super) fn way(&self) -> &Arc<Way> {
        &self.0
    }

    /// What has to be told of the call's requests.
    pub(super) fn observer(&self) -> Option<Arc<dyn RequestObserver>> {
        self.0.call.get().map(|call| Follower::of(*call))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.is_answered();
    }
}

impl Way {
    /// The call was queued: it is refused if it could never be answered.
    pub(super) fn check(&self) {
        let stuck = self.call.get().and_then(|call| GRAPH.lock().closes_a_circle(*call));
        if let Some(stuck) = stuck {
            self.refuse(&stuck);
        }
    }

    pub(super) fn deliver(&self, event: InProcessEvent) {
        let is_last = event.is_last();
        if is_last {
            // Before anybody can know of the answer, and call again.
            self.is_answered();
        }
        let mut is_over = self.is_over.lock();
        if !*is_over {
            *is_over = is_last;
            self.answer.put(Item::Event(event));
        }
    }

    /// Nothing is delivered from now on. False if the call was refused before.
    pub(super) fn closes(&self) -> bool {
        !std::mem::replace(&mut *self.is_over.lock(), true)
    }

    fn is_answered(&self) {
        if let Some(call) = self.call.get() {
            GRAPH.lock().remove_call(*call);
        }
    }

    fn refuse(&self, Stuck { model, reason }: &Stuck) {
        let Way { caller, called, .. } = self;
        let by = if model == called { String::new() } else { format!(", a step of which is '{model}'") };
        let begin = format!("model '{caller}' calls '{called}'{by}");
        let more = format!("give '{model}' one instance more than its calls are nested");
        let error = match reason {
            Reason::Ordered => format!(
                "{begin}, which keeps the order of responses (preserve_ordering): this one would wait for one that waits for it"
            ),
            Reason::Executed => {
                format!(
                    "{begin}, and the instance that executes it waits for '{caller}': both would wait for ever; {more}"
                )
            }
            Reason::Instances(1) => {
                format!("{begin}, whose only instance waits for '{caller}': both would wait for ever; {more}")
            }
            Reason::Instances(count) => format!(
                "{begin}, whose {count} instances all wait for their calls: they would wait for ever; {more}, for each request that is \
                 executed at once"
            ),
        };
        self.deliver(InProcessEvent::Failed { error: Error::unavailable(error), last: true });
        // Whoever finds it in a queue drops it.
        self.cancel.cancel();
    }
}

#[cfg(test)]
mod tests;

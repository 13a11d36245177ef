//! Observers of events.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::request_observer::tell;
use crate::{ModelEvent, RequestContext, RequestEvent};

/// Receives the events of requests and model versions: statistics, a trace, an access log.
///
/// Called on the thread that causes the event, often an instance's own, while the request waits: it must not block and
/// should do little work. A panic of an observer is caught and affects no request.
pub trait Observer: Send + Sync + Debug {
    /// An event of a request to that model version.
    fn on_request(&self, model: &ModelId, context: &RequestContext, event: &RequestEvent<'_>);

    /// An event of that model version that belongs to no single request. Does nothing by default.
    fn on_model(&self, model: &ModelId, event: &ModelEvent<'_>) {
        let (_, _) = (model, event);
    }

    /// An execution, and the ends of the requests of its batch. Calls the other two by default; statistics may take all at
    /// once.
    fn on_batch(&self, model: &ModelId, executed: &ModelEvent<'_>, ended: &mut EndedRequests<'_, '_>) {
        self.on_model(model, executed);
        for (context, event) in ended {
            self.on_request(model, context, &event);
        }
    }
}

/// Requests with the events of their ends.
pub type EndedRequests<'i, 'a> = dyn Iterator<Item = (&'a RequestContext, RequestEvent<'a>)> + 'i;

/// The name and version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelId {
    /// The model's name, as clients use it.
    pub name: Arc<str>,
    /// The number of the version.
    pub version: u64,
}

/// The observers of one model version. Made when it is loaded, and shared by all its requests.
///
/// The first observer is the version's statistics, which receive counted events only: the end of a request and each
/// response of a decoupled model. Without other observers, any other event costs a request one check.
#[derive(Clone, Debug)]
pub struct Observers {
    model: ModelId,
    statistics: Option<Arc<dyn Observer>>,
    others: Box<[Arc<dyn Observer>]>,
}

impl Observers {
    /// The observers of that version: its statistics, and `others`, which receive every event.
    pub fn new(
        model: ModelId,
        statistics: Arc<dyn Observer>,
        others: impl IntoIterator<Item = Arc<dyn Observer>>,
    ) -> Observers {
        Observers { model, statistics: Some(statistics), others: others.into_iter().collect() }
    }

    /// Statistics only, for a version without a name.
    pub fn counting(statistics: &Arc<impl Observer + 'static>) -> Arc<Observers> {
        let statistics = Arc::clone(statistics) as Arc<dyn Observer>;
        Arc::new(Observers { statistics: Some(statistics), ..Observers::default() })
    }

    /// The model version that is observed.
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// Whether there are observers of the version besides the statistics.
    #[inline]
    pub fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether anybody but the statistics is told of the events of that request. Check this before work that is needed for
    /// an event only.
    #[inline]
    pub fn watch(&self, context: &RequestContext) -> bool {
        self.has_others() || context.observer.is_some()
    }

    /// Reports an event that is not counted.
    pub fn on_uncounted(&self, context: &RequestContext, event: &RequestEvent<'_>) {
        self.tell_others(|observer| observer.on_request(&self.model, context, event));
        if let Some(observer) = &context.observer {
            tell(&**observer, &self.model, context, event);
        }
    }

    /// Reports an event that is counted: the end of a request, or one of several responses.
    #[inline]
    pub fn on_counted(&self, context: &RequestContext, event: &RequestEvent<'_>) {
        if let Some(statistics) = &self.statistics {
            statistics.on_request(&self.model, context, event);
        }
        if self.watch(context) {
            self.on_uncounted(context, event);
        }
    }

    /// Reports an event that belongs to no single request.
    pub fn on_model(&self, event: &ModelEvent<'_>) {
        if let Some(statistics) = &self.statistics {
            statistics.on_model(&self.model, event);
        }
        self.tell_others(|observer| observer.on_model(&self.model, event));
    }

    /// Whether both have the same statistics, and no others.
    pub fn only_count_as(&self, other: &Observers) -> bool {
        let same = match (&self.statistics, &other.statistics) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same && !self.has_others() && !other.has_others()
    }

    /// Reports an execution and the ends of the requests of its batch to the statistics alone.
    #[inline]
    pub fn count_batch(&self, executed: &ModelEvent<'_>, ended: &mut EndedRequests<'_, '_>) {
        if let Some(statistics) = &self.statistics {
            statistics.on_batch(&self.model, executed, ended);
        }
    }

    fn tell_others(&self, tell: impl Fn(&dyn Observer)) {
        for observer in &self.others {
            // What it leaves half done is its own. The panic itself was reported by the hook of the process.
            drop(catch_unwind(AssertUnwindSafe(|| tell(&**observer))));
        }
    }
}

impl Default for Observers {
    /// No observers: nothing is counted.
    fn default() -> Observers {
        Observers { model: ModelId { name: "".into(), version: 0 }, statistics: None, others: Box::default() }
    }
}

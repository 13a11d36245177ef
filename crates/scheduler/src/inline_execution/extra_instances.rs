//! Instances beyond those of the config, one for each thread that executes inline at the same time as others.
//!
//! Where several threads accept requests of one model, its instances are what they meet at. A model whose instances keep
//! nothing and are small says so by giving more of them ([`Model::extra_instance`]). They are made when threads have
//! met there often, so a model that one thread can serve has none.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hippocamp_backend::{InstanceSpec, Model, MovableInstance};
use hippocamp_per_thread::{move_to, parts, place};
use tracing::debug;

use super::{InlineInstance, LatencyEstimates, Taken};
use crate::queue::Queue;
use crate::thread_cache;

/// How often threads have to meet before there are extra instances. Where one thread accepts all requests, it meets the
/// instances' own threads a few times, until these are not needed any more.
const OFTEN: usize = 64;

/// The extra instances of a model.
pub(super) struct ExtraInstances(Arc<Shared>);

/// Shared with the thread that makes the instances.
struct Shared {
    /// A place for each core, once their instances are made.
    places: OnceLock<Box<[InlineInstance]>>,
    /// How often threads have met so far, as long as there are no places.
    met: AtomicUsize,
    /// Whether somebody makes instances, or the model has none.
    is_asked: AtomicBool,
    latencies: Arc<LatencyEstimates>,
    spec: InstanceSpec,
    /// Declared behind the instances, which are dropped first.
    model: Arc<dyn Model>,
}

impl ExtraInstances {
    /// None yet. They are made as that of `spec`.
    pub(super) fn new(
        model: &Arc<dyn Model>,
        spec: &InstanceSpec,
        latencies: &Arc<LatencyEstimates>,
    ) -> ExtraInstances {
        ExtraInstances(Arc::new(Shared {
            places: OnceLock::new(),
            met: AtomicUsize::new(0),
            is_asked: AtomicBool::new(false),
            latencies: Arc::clone(latencies),
            spec: spec.clone(),
            model: Arc::clone(model),
        }))
    }

    /// The places, if there are any yet.
    #[inline]
    pub(super) fn places(&self) -> &[InlineInstance] {
        self.0.places.get().map_or(&[], |places| places)
    }

    /// Notes that a thread found every instance taken.
    pub(super) fn meet(&self, queue: &Queue) {
        if self.0.is_asked.load(Ordering::Relaxed) || !self.places().is_empty() {
            return;
        }
        if self.0.met.fetch_add(1, Ordering::Relaxed) >= OFTEN {
            self.ask(queue);
        }
    }

    /// Has another thread make the instances, or those that are missing, unless that was done.
    fn ask(&self, queue: &Queue) {
        if self.0.is_asked.load(Ordering::Relaxed) || self.0.is_asked.swap(true, Ordering::Relaxed) {
            return;
        }
        // Who waits for the end of the model waits for that thread, too.
        let Some(alive) = queue.alive() else { return };
        let shared = Arc::clone(&self.0);
        thread_cache::run_or_wait(self.0.spec.name.as_str().into(), move || {
            shared.make();
            drop(shared);
            drop(alive);
        });
    }

    /// Takes the one that the calling thread has for itself. A thread that meets another one goes on to the next place,
    /// and stays there.
    #[inline]
    pub(super) fn try_take(&self, queue: &Queue) -> Option<(&InlineInstance, Taken<'_>)> {
        let places = self.places();
        let from = place();
        (from..from + places.len()).find_map(|at| {
            let instance = &places[at % places.len()];
            let taken = instance.try_lock()?;
            if taken.is_none() {
                // It has panicked.
                self.ask(queue);
                return None;
            }
            if at != from {
                move_to(at);
            }
            Some((instance, taken))
        })
    }
}

impl Shared {
    /// Makes all instances, or those that are missing since a panic.
    fn make(&self) {
        let mut has_all = true;
        if let Some(places) = self.places.get() {
            for place in places {
                if place.lock().is_none() {
                    let new = self.instance();
                    has_all &= new.is_some();
                    *place.lock() = new;
                }
            }
        } else {
            let new: Option<Box<[_]>> = (0..parts()).map(|_| self.place()).collect();
            let Some(places) = new else { return };
            let first = self.places.set(places).is_ok();
            debug_assert!(first, "one thread makes them");
            debug!(model = self.spec.config.name, "threads that meet have instances of their own");
        }
        // A model that cannot make them is not asked again.
        self.is_asked.store(!has_all, Ordering::Relaxed);
    }

    fn place(&self) -> Option<InlineInstance> {
        let place = InlineInstance::new(self.spec.clone(), Arc::clone(&self.latencies));
        *place.lock() = Some(self.instance()?);
        Some(place)
    }

    fn instance(&self) -> Option<MovableInstance> {
        self.model.extra_instance(&self.spec)
    }
}

impl fmt::Debug for ExtraInstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtraInstances").field("places", &self.places().len()).finish_non_exhaustive()
    }
}

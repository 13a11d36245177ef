//! The memory of GPUs that models took when they were loaded last. Files tell little of it: plans, workspaces and kernels are made by
//! the load.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_device::Devices;
use hippocamp_tensor::Place;

use crate::footprint::Part;
use crate::lazy_loading::LazyLoading;

/// What loads took, and whether what is measured now is of one load alone.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// The bytes of each model that is on GPUs only.
    bytes: BTreeMap<String, u64>,
    /// The loads that run now.
    running: usize,
    /// Changes whenever memory is taken or given back by another model.
    changes: u64,
}

/// The begin of a load that is measured.
#[derive(Debug)]
pub(crate) struct Begin {
    model: String,
    gpus: BTreeSet<i32>,
    used: u64,
    changes: u64,
}

impl Measured {
    /// The bytes that the last load of a model took; `None` if they are not known.
    pub(crate) fn of(&self, model: &str) -> Option<u64> {
        self.bytes.get(model).copied()
    }

    /// A load begins, or a model ends.
    pub(crate) fn changed(&mut self, running: isize) {
        self.running = self.running.saturating_add_signed(running);
        self.changes += 1;
    }

    /// Keeps what a load has taken, if nothing else has taken memory or given it back meanwhile.
    fn keep(&mut self, begin: &Begin, used: u64) -> Option<u64> {
        let taken = used.checked_sub(begin.used).filter(|taken| *taken > 0)?;
        if begin.changes != self.changes {
            return None;
        }
        self.bytes.insert(begin.model.clone(), taken);
        Some(taken)
    }
}

impl LazyLoading {
    /// Begins a load of these parts, which has to be ended by [`LazyLoading::measure_end`]. There is nothing to measure unless
    /// exactly one of them is on GPUs, and nothing else is loaded or released.
    pub(crate) fn measure_begin(&self, loaded: &[&Part]) -> Option<Begin> {
        let devices = &self.lifecycle.loader().context.devices;
        let mut on_gpus = loaded.iter().filter(|part| !part.gpus.is_empty());
        let only = on_gpus.next().filter(|_| on_gpus.next().is_none());
        let only = only.map(|part| (part.name.clone(), part.gpus.clone()));
        let used = only.as_ref().and_then(|(_, gpus)| {
            // The context of a GPU, which its first use makes, is not the model's.
            for gpu in gpus {
                drop(devices.memory(Place::Device(*gpu)));
            }
            used(devices, gpus)
        });
        let mut state = self.state.lock();
        state.measured.changed(1);
        let is_alone = state.measured.running == 1 && state.budget.releasing() == 0;
        let (model, gpus) = only.filter(|_| is_alone)?;
        Some(Begin { model, gpus, used: used?, changes: state.measured.changes })
    }

    /// Ends a load. What it took counts from now on.
    pub(crate) fn measure_end(&self, begin: Option<Begin>) {
        let used = begin.as_ref().and_then(|begin| {
            // A load that failed has taken nothing that stays.
            let serves = self.lifecycle.serves(&begin.model);
            serves.then(|| used(&self.lifecycle.loader().context.devices, &begin.gpus)).flatten()
        });
        let mut state = self.state.lock();
        if let (Some(begin), Some(used)) = (begin, used)
            && let Some(bytes) = state.measured.keep(&begin, used)
            && state.budget.of(&begin.model).is_some()
        {
            state.budget.hold(&begin.model, bytes);
            tracing::debug!(model = begin.model, bytes, "memory of GPUs that its load took");
        }
        state.measured.changed(-1);
    }

    /// Something else has taken memory, or given it back.
    pub(crate) fn measure_other(&self) {
        self.state.lock().measured.changed(0);
    }
}

/// The used bytes of these GPUs together, by whomever; `None` if one does not tell.
fn used(devices: &Devices, gpus: &BTreeSet<i32>) -> Option<u64> {
    gpus.iter().map(|gpu| devices.used_memory(*gpu).ok().map(|(used, _)| used)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_load_took_alone_is_kept() {
        let mut measured = Measured::default();
        let begin = |measured: &Measured| Begin {
            model: "m".to_owned(),
            gpus: [0].into(),
            used: 100,
            changes: measured.changes,
        };
        measured.changed(1);
        let first = begin(&measured);
        assert_eq!((measured.keep(&first, 350), measured.of("m")), (Some(250), Some(250)));
        let second = begin(&measured);
        measured.changed(1);
        assert_eq!(measured.keep(&second, 900), None, "another load has begun");
        let third = begin(&measured);
        measured.changed(0);
        assert_eq!(measured.keep(&third, 900), None, "another model has ended");
        let fourth = begin(&measured);
        assert_eq!(measured.keep(&fourth, 90), None, "another process has given memory back");
        assert_eq!(measured.of("m"), Some(250));
    }
}

//! The plan of an instance, made before its thread starts.

use std::fmt;
use std::sync::Arc;

use hippocamp_backend::{Device, Error, InstanceSpec, Result};

use crate::RateLimited;

/// An instance to start, and the cores and resources that it uses.
#[derive(Debug)]
pub struct InstancePlan {
    pub spec: InstanceSpec,
    pub cores: Cores,
    /// Its registration with the rate limiter, if it needs resources to execute.
    pub limited: Option<RateLimited>,
    /// Tells when it leaves requests to the other instances; `None` if it never does.
    pub stands_aside: Option<StandsAside>,
}

/// Tells whether an instance leaves requests to the others, as its device is lost and another one's is not.
#[derive(Clone)]
pub struct StandsAside(Arc<dyn Fn() -> bool + Send + Sync>);

impl StandsAside {
    /// Asked before each batch, so it has to be quick.
    pub fn when(asked: impl Fn() -> bool + Send + Sync + 'static) -> StandsAside {
        StandsAside(Arc::new(asked))
    }

    pub(crate) fn now(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for StandsAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StandsAside").field(&self.now()).finish()
    }
}

/// An instance can take over the work of another if their places are equal.
pub(crate) type Place = (Device, Cores);

impl InstancePlan {
    pub(crate) fn place(&self) -> Place {
        (self.spec.device, self.cores.clone())
    }
}

/// The processor cores that an instance's thread may run on, and every thread that its backend starts from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// Cores by their number. An empty list means all cores.
    pub fn new(cores: Vec<usize>) -> Cores {
        Cores(cores)
    }

    pub(crate) fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Binds the calling thread to the cores. Fails with `INVALID_ARG` if a core does not exist.
    pub(crate) fn bind_thread(&self, instance: &str) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        bind(&self.0).map_err(|why| {
            Error::invalid_arg(format!("instance '{instance}' can not run on the cores {:?}: {why}", self.0))
        })
    }
}

#[cfg(target_os = "linux")]
fn bind(cores: &[usize]) -> Result<(), String> {
    use rustix::thread::{CpuSet, sched_setaffinity};

    let mut set = CpuSet::new();
    for &core in cores {
        if core >= CpuSet::MAX_CPU {
            return Err(format!("there is no core {core}"));
        }
        set.set(core);
    }
    sched_setaffinity(None, &set).map_err(|e| e.to_string())
}

#[cfg(not(target_os = "linux"))]
fn bind(_: &[usize]) -> Result<(), String> {
    Err("threads can be bound to cores on Linux only".to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::thread::sched_getaffinity;

    use super::*;

    #[test]
    fn a_thread_is_bound_to_its_cores_and_no_other_is() {
        let before = sched_getaffinity(None).unwrap();
        let core = (0..1024).find(|&core| before.is_set(core)).unwrap();
        let bound = std::thread::spawn(move || {
            Cores::new(vec![core]).bind_thread("i").unwrap();
            let set = sched_getaffinity(None).unwrap();
            (set.count(), set.is_set(core))
        });
        assert_eq!(bound.join().unwrap(), (1, true));
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }

    #[test]
    fn a_core_that_is_not_there_is_told() {
        for core in [1023, 5000] {
            let error = Cores::new(vec![core]).bind_thread("m_0_0").unwrap_err();
            assert!(error.message().starts_with("instance 'm_0_0' can not run on the cores"), "{error}");
        }
    }

    #[test]
    fn no_cores_are_all_cores() {
        let before = sched_getaffinity(None).unwrap();
        Cores::default().bind_thread("i").unwrap();
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}

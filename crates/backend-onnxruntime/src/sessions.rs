//! The sessions of a model, shared by its instances if possible.
//!
//! A session holds the weights in the layout of its kernels, and the memory of runs. If it runs on several threads at
//! once, the weights are needed only once, whether they are in the model file or beside it.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_backend::{Device, Result};
use parking_lot::Mutex;

use crate::arena::OpenSession;
use crate::options::Options;
use crate::pools::{Pool, PoolSize};
use crate::session::Placement;

/// The sessions of a model that further instances can use.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<Vec<Open>>,
}

struct Open {
    placement: Placement,
    session: Arc<OpenSession>,
    /// The number of instances that use it.
    users: Arc<AtomicUsize>,
}

/// A session in use by one instance.
pub(crate) struct UsedSession {
    session: Arc<OpenSession>,
    users: Arc<AtomicUsize>,
}

impl Open {
    fn new(placement: Placement, session: Arc<OpenSession>) -> Open {
        Open { placement, session, users: Arc::default() }
    }

    fn used(&self) -> UsedSession {
        self.users.fetch_add(1, Ordering::Relaxed);
        UsedSession { session: Arc::clone(&self.session), users: Arc::clone(&self.users) }
    }
}

impl UsedSession {
    /// One that no other instance can use.
    pub(crate) fn alone(session: Arc<OpenSession>) -> UsedSession {
        UsedSession { session, users: Arc::default() }
    }
}

impl Deref for UsedSession {
    type Target = OpenSession;

    fn deref(&self) -> &OpenSession {
        &self.session
    }
}

impl Drop for UsedSession {
    fn drop(&mut self) {
        // Of one that stands alone nobody reads the count.
        self.users.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Sessions {
    /// Starts with the session from which the model's signature was read.
    pub(crate) fn with_first(placement: Placement, session: Arc<OpenSession>) -> Sessions {
        Sessions { open: Mutex::new(vec![Open::new(placement, session)]) }
    }

    /// A session for one more instance: one that is shared in this placement, an unused one, or a new one of `create`.
    pub(crate) fn get(
        &self,
        wanted: Placement,
        options: &Options,
        create: impl FnOnce() -> Result<Arc<OpenSession>>,
    ) -> Result<UsedSession> {
        let mut open = self.open.lock();
        let found = open.iter().position(|open| open.placement == wanted);
        if !can_be_shared(options, wanted) {
            let first = found.map(|index| open.swap_remove(index));
            // Unlocked, so that several sessions may be created at the same time.
            drop(open);
            let own = first.map_or_else(|| create().map(|session| Open::new(wanted, session)), Ok);
            return own.map(|own| own.used());
        }
        if let Some(index) = found {
            return Ok(open[index].used());
        }
        // Unused sessions would only hold memory.
        open.retain(|open| open.users.load(Ordering::Relaxed) > 0);
        let created = Open::new(wanted, create()?);
        let used = created.used();
        open.push(created);
        Ok(used)
    }
}

/// Whether instances can run one session at the same time without losing what a session of their own would give them.
/// This excludes other devices, whose providers may have thread-local state, and sessions with threads of their own
/// unless the config asks for it, because all runs would share the threads of one session.
pub(crate) fn can_be_shared(options: &Options, placement: Placement) -> bool {
    const NONE: PoolSize = PoolSize { intra: 1, inter: 1 };
    let only_cpu = placement.device == Device::Cpu && !options.providers.accelerate_cpu();
    let no_threads = matches!(placement.pool, Pool::Shared | Pool::Own(NONE));
    only_cpu && options.share_session.unwrap_or(no_threads)
}

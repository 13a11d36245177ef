//! The sessions of a model: one for all of its instances, where they can share it.
//!
//! A session holds the weights in the form that its kernels want, and the memory that runs take. One that runs on several
//! threads at once needs the weights once, whether they lie in the model file or beside it.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_backend::{Device, Result};
use parking_lot::Mutex;

use crate::arena::OpenSession;
use crate::options::Options;
use crate::pools::{Pool, PoolSize};
use crate::session::Placement;

/// The sessions that a model has for instances to come.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<Vec<Open>>,
}

struct Open {
    placement: Placement,
    session: Arc<OpenSession>,
    /// How many instances have it.
    users: Arc<AtomicUsize>,
}

/// A session as one instance has it.
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

impl Deref for UsedSession {
    type Target = OpenSession;

    fn deref(&self) -> &OpenSession {
        &self.session
    }
}

impl Drop for UsedSession {
    fn drop(&mut self) {
        self.users.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Sessions {
    /// With the session that the model's signature was read from.
    pub(crate) fn with_first(placement: Placement, session: Arc<OpenSession>) -> Sessions {
        Sessions { open: Mutex::new(vec![Open::new(placement, session)]) }
    }

    /// A session for one more instance: the one that others of this placement have, one that nobody has yet, or what
    /// `create` makes.
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
            // Several may be made at the same time.
            drop(open);
            let own = first.map_or_else(|| create().map(|session| Open::new(wanted, session)), Ok);
            return own.map(|own| own.used());
        }
        if let Some(index) = found {
            return Ok(open[index].used());
        }
        // What no instance has only holds memory.
        open.retain(|open| open.users.load(Ordering::Relaxed) > 0);
        let created = Open::new(wanted, create()?);
        let used = created.used();
        open.push(created);
        Ok(used)
    }
}

/// Whether instances may run one session at the same time, each with what it had from a session of its own. Not on
/// other devices, whose providers keep things for each thread; nor where each session has threads of its own, unless the
/// config wants it: all runs would have to do with those of one.
pub(crate) fn can_be_shared(options: &Options, placement: Placement) -> bool {
    const NONE: PoolSize = PoolSize { intra: 1, inter: 1 };
    let only_cpu = placement.device == Device::Cpu && !options.providers.accelerate_cpu();
    let no_threads = matches!(placement.pool, Pool::Shared | Pool::Own(NONE));
    only_cpu && options.share_session.unwrap_or(no_threads)
}

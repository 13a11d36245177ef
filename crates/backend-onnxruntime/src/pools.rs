//! Divides the CPUs of the process among its models. Pure functions.
//!
//! By default all sessions run their operators on one pool with as many threads as there are CPUs. So no more threads
//! than that compute, however many models and instances there are, beside the waiting instance threads. A model that
//! sets a number of threads gets its own pool, because only then the number has an effect.

use crate::Settings;

/// The threads that run the operators of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// The pool that all such sessions share.
    Shared,
    /// A pool of the session itself.
    Own(PoolSize),
}

/// Numbers of threads, including the calling one: 1 starts none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolSize {
    /// Threads within an operator.
    pub(crate) intra: usize,
    /// Threads across operators.
    pub(crate) inter: usize,
}

/// The thread settings of a model's config; `None` for the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ThreadCounts {
    pub(crate) intra: Option<usize>,
    pub(crate) inter: Option<usize>,
    /// Whether independent operators run in parallel.
    pub(crate) parallel: bool,
    /// Whether the threads take the smallest numbers as zero, which those of the shared pool do not.
    pub(crate) flushing: bool,
}

/// The size of the shared pool; `None` if there is none.
pub(crate) fn shared_pool(settings: &Settings) -> Option<PoolSize> {
    settings.global_pool.then(|| PoolSize {
        intra: settings.intra_op_thread_count.unwrap_or(settings.threads).max(1),
        // Few models execute in parallel, and these get their own pool.
        inter: settings.inter_op_thread_count.unwrap_or(1),
    })
}

/// The pool of a session whose model has `instances` instances.
pub(crate) fn pool(settings: &Settings, counts: ThreadCounts, instances: usize) -> Pool {
    let named = counts.intra.is_some() || counts.inter.is_some() || counts.flushing;
    let in_parallel_alone = counts.parallel && settings.inter_op_thread_count.is_none();
    if settings.global_pool && !named && !in_parallel_alone {
        return Pool::Shared;
    }
    let fair = (settings.threads / instances.max(1)).max(1);
    if !counts.parallel {
        let intra = counts.intra.or(settings.intra_op_thread_count).unwrap_or(fair);
        return Pool::Own(PoolSize { intra, inter: 1 });
    }
    // Both kinds of threads compute at the same time, so they share the CPUs.
    Pool::Own(PoolSize {
        intra: counts.intra.or(settings.intra_op_thread_count).unwrap_or((fair / 2).max(1)),
        inter: counts.inter.or(settings.inter_op_thread_count).unwrap_or(fair.div_ceil(2)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(threads: usize) -> Settings {
        Settings { threads, ..Settings::new("lib.so") }
    }

    fn own(intra: usize, inter: usize) -> Pool {
        Pool::Own(PoolSize { intra, inter })
    }

    #[test]
    fn one_pool_for_all_by_default() {
        for instances in [1, 2, 100] {
            assert_eq!(pool(&settings(8), ThreadCounts::default(), instances), Pool::Shared);
        }
        assert_eq!(shared_pool(&settings(8)), Some(PoolSize { intra: 8, inter: 1 }));
        let sized =
            Settings { intra_op_thread_count: Some(3), inter_op_thread_count: Some(2), ..settings(8) };
        assert_eq!(shared_pool(&sized), Some(PoolSize { intra: 3, inter: 2 }));
    }

    #[test]
    fn a_model_that_names_a_number_gets_it() {
        let counts = ThreadCounts { intra: Some(4), ..ThreadCounts::default() };
        assert_eq!(pool(&settings(2), counts, 3), own(4, 1));
        let counts = ThreadCounts { inter: Some(4), ..ThreadCounts::default() };
        assert_eq!(pool(&settings(6), counts, 3), own(2, 1), "inter is for parallel execution only");
        let counts = ThreadCounts { flushing: true, ..ThreadCounts::default() };
        assert_eq!(pool(&settings(6), counts, 3), own(2, 1), "threads of another mode are its own");
    }

    #[test]
    fn without_a_shared_pool_the_budget_is_divided() {
        let settings = Settings { global_pool: false, ..settings(8) };
        let sizes = [1, 2, 3, 8, 100].map(|instances| pool(&settings, ThreadCounts::default(), instances));
        assert_eq!(sizes, [own(8, 1), own(4, 1), own(2, 1), own(1, 1), own(1, 1)]);
        assert_eq!(shared_pool(&settings), None);
        let named = Settings { intra_op_thread_count: Some(3), ..settings };
        assert_eq!(pool(&named, ThreadCounts::default(), 8), own(3, 1));
    }

    #[test]
    fn parallel_execution_divides_a_fair_share_in_two() {
        let counts = ThreadCounts { parallel: true, ..ThreadCounts::default() };
        assert_eq!(pool(&settings(8), counts, 1), own(4, 4));
        assert_eq!(pool(&settings(1), counts, 1), own(1, 1));
        assert_eq!(pool(&settings(3), counts, 1), own(1, 2));
        let shared = Settings { inter_op_thread_count: Some(4), ..settings(8) };
        assert_eq!(pool(&shared, counts, 1), Pool::Shared);
        assert_eq!(pool(&settings(8), ThreadCounts { inter: Some(2), ..counts }, 1), own(4, 2));
    }
}

//! How the CPUs of the process are shared among its models. Pure.
//!
//! By default all sessions hand their operators to one pool of as many threads as there are CPUs. However many models
//! and instances there are, no more threads than that compute, beside the instance threads that wait for them. A model
//! that names a number of threads gets a pool of its own, because the number means something only then.

use crate::Settings;

/// Where the operators of a session run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// In the pool that all such sessions share.
    Shared,
    /// In a pool of this session's own.
    Own(PoolSize),
}

/// Threads, the calling one included: 1 starts none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolSize {
    /// Within an operator.
    pub(crate) intra: usize,
    /// Across operators.
    pub(crate) inter: usize,
}

/// What a model's config asks for. `None` where it leaves the choice to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) intra: Option<usize>,
    pub(crate) inter: Option<usize>,
    /// Operators that do not depend on each other shall run at the same time.
    pub(crate) parallel: bool,
}

/// The size of the pool that all sessions share; `None` if there is none.
pub(crate) fn shared_pool(settings: &Settings) -> Option<PoolSize> {
    settings.global_pool.then(|| PoolSize {
        intra: settings.intra_op_thread_count.unwrap_or(settings.threads).max(1),
        // Idle threads for models that execute in parallel are not worth having: few do, and they get their own.
        inter: settings.inter_op_thread_count.unwrap_or(1),
    })
}

/// The pool of a session whose model has so many instances.
pub(crate) fn pool(settings: &Settings, wishes: Wishes, instances: usize) -> Pool {
    let named = wishes.intra.is_some() || wishes.inter.is_some();
    let in_parallel_alone = wishes.parallel && settings.inter_op_thread_count.is_none();
    if settings.global_pool && !named && !in_parallel_alone {
        return Pool::Shared;
    }
    let fair = (settings.threads / instances.max(1)).max(1);
    if !wishes.parallel {
        let intra = wishes.intra.or(settings.intra_op_thread_count).unwrap_or(fair);
        return Pool::Own(PoolSize { intra, inter: 1 });
    }
    // Both pools compute at the same time, so they share what is fair.
    Pool::Own(PoolSize {
        intra: wishes.intra.or(settings.intra_op_thread_count).unwrap_or((fair / 2).max(1)),
        inter: wishes.inter.or(settings.inter_op_thread_count).unwrap_or(fair.div_ceil(2)),
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
            assert_eq!(pool(&settings(8), Wishes::default(), instances), Pool::Shared);
        }
        assert_eq!(shared_pool(&settings(8)), Some(PoolSize { intra: 8, inter: 1 }));
        let sized =
            Settings { intra_op_thread_count: Some(3), inter_op_thread_count: Some(2), ..settings(8) };
        assert_eq!(shared_pool(&sized), Some(PoolSize { intra: 3, inter: 2 }));
    }

    #[test]
    fn a_model_that_names_a_number_gets_it() {
        let wishes = Wishes { intra: Some(4), ..Wishes::default() };
        assert_eq!(pool(&settings(2), wishes, 3), own(4, 1));
        let wishes = Wishes { inter: Some(4), ..Wishes::default() };
        assert_eq!(pool(&settings(6), wishes, 3), own(2, 1), "inter is for parallel execution only");
    }

    #[test]
    fn without_a_shared_pool_the_budget_is_divided() {
        let settings = Settings { global_pool: false, ..settings(8) };
        let sizes = [1, 2, 3, 8, 100].map(|instances| pool(&settings, Wishes::default(), instances));
        assert_eq!(sizes, [own(8, 1), own(4, 1), own(2, 1), own(1, 1), own(1, 1)]);
        assert_eq!(shared_pool(&settings), None);
        let named = Settings { intra_op_thread_count: Some(3), ..settings };
        assert_eq!(pool(&named, Wishes::default(), 8), own(3, 1));
    }

    #[test]
    fn parallel_execution_divides_a_fair_share_in_two() {
        let wishes = Wishes { parallel: true, ..Wishes::default() };
        assert_eq!(pool(&settings(8), wishes, 1), own(4, 4));
        assert_eq!(pool(&settings(1), wishes, 1), own(1, 1));
        assert_eq!(pool(&settings(3), wishes, 1), own(1, 2));
        let shared = Settings { inter_op_thread_count: Some(4), ..settings(8) };
        assert_eq!(pool(&shared, wishes, 1), Pool::Shared);
        assert_eq!(pool(&settings(8), Wishes { inter: Some(2), ..wishes }, 1), own(4, 2));
    }
}

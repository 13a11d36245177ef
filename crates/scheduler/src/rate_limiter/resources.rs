//! Named resources: how many there are, how many are in use, and who needs how many.

use std::collections::BTreeMap;

use hippocamp_backend::{Error, Result};

/// The number of copies of a resource, as given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceCount {
    pub name: String,
    pub count: u64,
    /// `None`: this many on every device. Ignored for a resource that models declare as global.
    pub device: Option<i32>,
}

/// The copies of a resource that an instance needs while it executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceDemand {
    pub name: String,
    pub count: u64,
    /// One pool for the whole server, not one a device.
    pub global: bool,
}

/// The scope of a resource pool: one device, or the whole server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Global,
    Device(i32),
}

/// A resource pool: the resource's name and its scope.
type Pool = (String, Scope);

/// The copies that one execution takes from each pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs(Vec<(Pool, u64)>);

impl Needs {
    pub(super) fn new(demands: &[ResourceDemand], device: i32) -> Needs {
        let mut pools: BTreeMap<Pool, u64> = BTreeMap::new();
        for demand in demands.iter().filter(|demand| demand.count > 0) {
            let scope = if demand.global { Scope::Global } else { Scope::Device(device) };
            // Named twice, the last one counts.
            pools.insert((demand.name.clone(), scope), demand.count);
        }
        Needs(pools.into_iter().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    limit: u64,
    used: u64,
}

/// All pools.
#[derive(Debug)]
pub(super) struct Resources {
    /// The counts of the command line. If there are any, no other resources exist.
    explicit: Vec<ResourceCount>,
    pools: BTreeMap<Pool, Level>,
}

impl Resources {
    pub(super) fn new(explicit: Vec<ResourceCount>) -> Resources {
        Resources { explicit, pools: BTreeMap::new() }
    }

    /// Sizes the pools for all instances: by the largest need, unless the command line gives a count. Fails with
    /// `INVALID_ARG`, and changes nothing, if an instance could never execute.
    pub(super) fn provide<'a>(&mut self, all: impl Iterator<Item = &'a Needs>) -> Result<()> {
        let mut limits: BTreeMap<Pool, u64> = BTreeMap::new();
        for (pool, count) in all.flat_map(|needs| &needs.0) {
            let limit = limits.entry(pool.clone()).or_default();
            *limit = (*limit).max(*count);
        }
        one_scope_each(&limits)?;
        if !self.explicit.is_empty() {
            for ((name, scope), limit) in &mut limits {
                *limit = self.given(name, *scope, *limit)?;
            }
        }
        // Pools in use keep their count, whatever the new limit is.
        self.pools.retain(|_, level| level.used > 0);
        for level in self.pools.values_mut() {
            level.limit = 0;
        }
        for (pool, limit) in limits {
            self.pools.entry(pool).or_default().limit = limit;
        }
        Ok(())
    }

    /// The count of the command line for a resource; 0 if it does not name the resource. Fails if that is less than
    /// `needed`.
    fn given(&self, name: &str, scope: Scope, needed: u64) -> Result<u64> {
        let counts = self.explicit.iter().filter(|given| {
            let here = match (scope, given.device) {
                (Scope::Global, _) | (_, None) => true,
                (Scope::Device(device), Some(given)) => device == given,
            };
            here && given.name == name
        });
        let given = counts.map(|given| given.count).max().unwrap_or(0);
        if given < needed {
            return Err(Error::invalid_arg(format!(
                "Resource count for \"{name}\" is limited to {given} which will prevent scheduling of one or more model \
                 instances, the minimum required count is {needed}"
            )));
        }
        Ok(given)
    }

    /// Takes all needed copies, or none and returns false.
    pub(super) fn take(&mut self, needs: &Needs) -> bool {
        let fits = needs
            .0
            .iter()
            .all(|(pool, count)| self.pools.get(pool).is_some_and(|level| level.used + count <= level.limit));
        if fits {
            for (pool, count) in &needs.0 {
                self.pools.entry(pool.clone()).or_default().used += count;
            }
        }
        fits
    }

    /// Releases the copies that were taken.
    pub(super) fn give_back(&mut self, needs: &Needs) {
        for (pool, count) in &needs.0 {
            if let Some(level) = self.pools.get_mut(pool) {
                level.used -= count;
            }
        }
    }
}

/// Fails with `INVALID_ARG` if a resource is both global and specific to a device.
fn one_scope_each(limits: &BTreeMap<Pool, u64>) -> Result<()> {
    let pairs = limits.keys().zip(limits.keys().skip(1));
    // The global pool comes before those of devices.
    let mut both = pairs.filter(|((a, scope), (b, _))| a == b && *scope == Scope::Global);
    both.next().map_or(Ok(()), |((name, _), _)| {
        Err(Error::invalid_arg(format!(
            "Resource \"{name}\" is present as both global and device-specific resource in the model configuration."
        )))
    })
}

//! Queues requests and executes them in batches on instance threads.
//!
//! A model version has one queue. A request is pushed under a short lock; an instance that is free pulls its next batch
//! from the queue itself, on a thread that it has while there is something to do (see `parked_instances.rs`). There is no batcher thread
//! and no channel in between: one handoff in, and one back through the request's own sender; none for a short model
//! (see `inline_execution.rs`). Nothing here knows of protocols, names or versions.

mod batcher;
mod clock;
mod handover;
mod held;
mod inline_execution;
mod instance;
#[cfg(test)]
mod kit;
mod mending;
mod ordered;
mod parked_instances;
mod plan;
mod policy;
mod queue;
mod queue_policy;
mod rate_limiter;
mod scheduler;
mod second_instance;
mod sequence_batcher;
mod thread_cache;
mod turn;
mod waiting;

pub use plan::{Cores, InstancePlan, StandsAside};
pub use policy::BatchPolicy;
pub use queue::{Queue, QueueSettings};
pub use queue_policy::{LevelPolicy, Overdue, QueuePolicies};
pub use rate_limiter::{Demand, RateLimited, RateLimiter, ResourceCount, ResourceDemand};
pub use scheduler::{Scheduler, Stopped};
pub use sequence_batcher::SequencePolicy;

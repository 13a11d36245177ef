//! Lazy loading (`--lazy-load`): loads models when a request asks for them, and evicts others to stay within a memory
//! budget.
//!
//! Only a request whose model is not loaded comes here ([`LazyLoading::find_or_load`]). A load estimates the memory that the
//! model needs (`footprint.rs`), reserves it in the budget, evicting other models if necessary (`reservation.rs`,
//! `reserve.rs`), and loads the model together with its composing models (`load.rs`).

mod backoff;
mod client_loads;
mod eviction;
mod footprint;
mod guard;
mod lazy_loading;
mod lazy_models;
mod load;
mod measured;
mod memory_budget;
mod report;
mod repository_changes;
mod request;
mod reservation;
mod reserve;
mod start;
#[cfg(test)]
mod tests;

pub use lazy_loading::LazyLoading;

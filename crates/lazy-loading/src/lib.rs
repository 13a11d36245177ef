//! Loads models when a request asks for them, and unloads others to keep a memory budget (`--lazy-load`).
//!
//! Only a request that does not find its model comes here ([`LazyLoading::find_or_load`]): all others find theirs as they
//! do without it. A load estimates what it takes (`footprint.rs`), reserves that in the budget and evicts other models
//! for it (`reservation.rs`, `reserve.rs`), and loads the model with what it is composed of.

mod backoff;
mod client_loads;
mod eviction;
mod footprint;
mod guard;
mod lazy_loading;
mod lazy_models;
mod load;
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

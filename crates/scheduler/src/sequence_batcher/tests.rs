//! The batcher without threads: a test pulls batches itself, executes them by itself, and says what time it is.

mod kit;
mod oldest;
mod order;
mod random;
mod rows;
mod states;
mod threads;

//! Tests of the whole server in one process: real sockets, real clients, the built-in backends.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "server/answers.rs"]
mod answers;
#[path = "server/cache.rs"]
mod cache;
#[path = "server/cancellation.rs"]
mod cancellation;
#[path = "server/compression.rs"]
mod compression;
#[path = "server/cuda_shared_memory.rs"]
mod cuda_shared_memory;
#[path = "server/decoupled.rs"]
mod decoupled;
#[path = "server/delays.rs"]
mod delays;
#[path = "server/ensembles.rs"]
mod ensembles;
#[path = "server/events.rs"]
mod events;
#[path = "server/forwarding.rs"]
mod forwarding;
#[path = "server/frames.rs"]
mod frames;
#[path = "server/grpc_infer.rs"]
mod grpc_infer;
#[path = "server/grpc_stream.rs"]
mod grpc_stream;
#[path = "server/half_closed.rs"]
mod half_closed;
#[path = "server/io_threads.rs"]
mod io_threads;
#[path = "server/lazy.rs"]
mod lazy;
#[path = "server/lifecycle.rs"]
mod lifecycle;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/line_protocol.rs"]
mod line_protocol;
#[path = "server/metrics.rs"]
mod metrics;
#[path = "server/queue.rs"]
mod queue;
#[path = "server/rate_limiter.rs"]
mod rate_limiter;
#[path = "server/repositories.rs"]
mod repositories;
#[path = "server/requests.rs"]
mod requests;
#[path = "server/sequences.rs"]
mod sequences;
#[path = "server/shared_memory.rs"]
mod shared_memory;
#[path = "server/stopping.rs"]
mod stopping;
#[path = "server/torchserve.rs"]
mod torchserve;
#[path = "server/v1.rs"]
mod v1;
#[path = "server/warmup.rs"]
mod warmup;
#[path = "server/watching.rs"]
mod watching;

//! `hippocamp bench`: a load generator for servers that speak KServe v2, and a comparison of two models that should agree.
//!
//! Reads the model's metadata, makes one request of the command line's and of random inputs, and sends it again and again
//! from one or more threads, each with a runtime of its own. Requests are encoded before they are sent, those of
//! sequences apart, and answers are not decoded, those of streams apart, so that the generator needs little of the machine that it may share with the server.

mod args;
mod bench;
mod calls;
mod compare;
mod connect;
mod control;
mod exchange;
mod grpc;
mod http;
mod interrupts;
mod local;
mod measure;
mod message;
mod pace;
mod plan;
mod point;
mod prepare;
mod process;
mod progress;
mod random;
mod record;
mod report;
mod samples;
mod sequence;
mod shared_memory;
mod stop;
mod threads;
mod tune;
mod worker;

pub use args::BenchArgs;
pub use bench::{Local, bench, server_of_url};
pub use compare::{Comparison, compare};
pub use hippocamp_client::{Failure, Protocol};
pub use report::Report;
pub use tune::{TuneArgs, Tuned, tune};

/// Fails with a message for the user of the command.
fn failure<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(text))
}

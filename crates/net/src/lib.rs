//! The connections of all ports: accepts them, serves them, enforces limits on their number, time and memory, and drains
//! them.
//!
//! All ports of a server share one [`Network`]: the limits, the counts against them, and one clock for all connections, so
//! that no connection and no request needs a timer of its own. [`serve()`] accepts the connections of one [`Listener`] and passes
//! their requests, in HTTP/1.1 or HTTP/2, to a [`Front`], which implements a protocol.

mod accept;
mod answer;
mod authority;
mod body;
mod connection;
mod drain;
mod exchange;
mod frames;
mod front;
mod held_bytes;
mod http2_stream;
mod io_threads;
mod keepalive;
mod limits;
mod listener;
mod machine;
mod mount;
mod network;
mod off_thread;
mod pace;
mod page;
mod preface;
mod read_ahead;
mod registry;
mod serve;
mod session;
mod socket;
mod stream;
mod tick;
mod write_coalescing;

pub use accept::serve;
pub use answer::{Answer, keep_in, keep_until_sent};
pub use body::{BodyError, RequestBody, Source};
pub use exchange::{Charge, Exchange};
pub use front::{Front, Refusal};
pub use io_threads::IoThreads;
pub use keepalive::Pings;
pub use limits::Limits;
pub use listener::Listener;
pub use machine::open_files;
pub use mount::Mount;
pub use network::{Network, Phase};
pub use off_thread::off_thread;
pub use serve::{Http2, Port};
pub use session::{OpenRequest, Protocol, Session, serve_protocol};
pub use socket::Socket;

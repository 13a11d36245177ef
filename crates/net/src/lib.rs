//! The connections of every port: how they are taken, what they may hold and how long, how they are served and let go of.
//!
//! A [`Network`] is what all ports of a server share: the limits, what is held against them, and one clock that ticks for all
//! connections, so that no connection and no request has a timer of its own. [`serve()`] takes the connections of one listener
//! and hands their requests to a [`Front`], which is a protocol. It speaks HTTP/1.1 and HTTP/2, and knows no path.

mod accept;
mod answer;
mod body;
mod connection;
mod drain;
mod exchange;
mod front;
mod limits;
mod machine;
mod network;
mod pace;
mod page;
mod preface;
mod registry;
mod serve;
mod session;
mod socket;
mod tick;
mod write_coalescing;

pub use accept::serve;
pub use answer::Answer;
pub use body::{BodyError, RequestBody, Source};
pub use exchange::{Charge, Exchange};
pub use front::{Front, Refusal};
pub use limits::Limits;
pub use machine::open_files;
pub use network::{Network, Phase};
pub use serve::{Http2, Port};
pub use session::{OpenRequest, Protocol, Session, serve_protocol};
pub use socket::Socket;

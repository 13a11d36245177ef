//! What backends share that read options of users: those of `--backend-config=BACKEND,KEY=VALUE`, and the parameters of a
//! model's config. Errors name the option, what was expected, and what came.
//!
//! Each of the command line is a [`BackendOption`], and an unknown one is an error. Those of a model are read by
//! [`Parameters`]; there others are passed over, because configs have parameters for other readers, too.

#![warn(missing_docs)]

mod backend_option;
mod parameters;
mod values;

pub use backend_option::BackendOption;
pub use parameters::Parameters;
pub use values::{parse_count, parse_flag};

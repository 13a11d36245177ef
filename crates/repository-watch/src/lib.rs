//! Tells that something changed in a model repository on this machine's disk, and when the change has settled.
//!
//! [`FolderWatch`] has the kernel report what happens in folders; [`Settling`] says which changes have come to rest, from
//! what looks at the repository found. Neither reads a model or decides what to do about it.

mod folder_watch;
mod open_files;
mod settling;
mod writing;

pub use folder_watch::{Ear, FolderWatch, Noticed, Owner};
pub use settling::{Quiet, Settling};

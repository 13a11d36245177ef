//! Tells that something changed in a model repository on this machine's disk, and when the change has settled.
//!
//! [`FolderWatch`] has the kernel report what happens in folders; [`Debouncer`] says which changes have come to rest, from
//! what looks at the repository found. Neither reads a model or decides what to do about it.

mod debouncer;
mod folder_watch;
mod open_files;
mod writing;

pub use debouncer::{Debouncer, SettlingTime};
pub use folder_watch::{FolderEvents, FolderWatch, Noticed, Owner};

//! Notices changes in model repositories on local disks, and debounces them.
//!
//! [`FolderWatch`] receives file events from the kernel. [`Debouncer`] combines them with the results of scans and says which
//! changes have settled. Neither of them reads a model or decides what is loaded.

mod debouncer;
mod folder_watch;
mod open_files;
mod writing;

pub use debouncer::{Debouncer, SettlingTime};
pub use folder_watch::{FolderChanges, FolderEvents, FolderWatch, Owner};

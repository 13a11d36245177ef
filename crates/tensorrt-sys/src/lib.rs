//! TensorRT's interfaces, called through their C++ virtual tables.
//!
//! The library is opened at run time: this crate needs no SDK, no header and no C++ compiler, and a program with it runs where
//! there is no TensorRT. The factory functions of the library are C; what they return are C++ objects, whose methods are
//! called by their places in the virtual table ([`slots`]). Which places these are depends on the version, which is read
//! before anything else is called; a version whose layout is not known is refused.
//!
//! Objects keep the library open and what they are made of alive. Where an object is deleted, its
//! memory is the library's.

#![allow(unsafe_code, reason = "calls C++ through virtual tables")]
#![warn(missing_docs)]

pub mod build;
mod context;
mod dims;
mod engine;
mod find;
mod library;
mod logger;
mod object;
mod output_allocator;
mod runtime;
pub mod slots;
mod types;
mod version;

pub use context::Context;
pub use dims::Dims;
pub use engine::{Engine, Selector};
pub use find::{Found, find_libraries};
pub use library::{Library, OpenError};
pub use logger::{Message, Severity, capture, set_sink};
pub use object::InterfaceInfo;
pub use output_allocator::{OutputAllocator, OutputMemory};
pub use runtime::Runtime;
pub use types::{DataType, IoMode, TensorFormat, TensorLocation};
pub use version::{Layout, Product, Version};

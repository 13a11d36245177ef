//! TorchServe's model archives (`.mar`): what is in one, and the models that it becomes.
//!
//! An archive is a zip file, a gzipped tar file, or a folder with `MAR-INF/MANIFEST.json`. [`Archive::open`] reads its index
//! and its small texts within limits, so that a hostile archive costs neither memory nor disk. [`convert()`] says what it
//! becomes, as configs and files of models: the network alone, or, where the handler is one that is known by its name, an
//! ensemble of the network between two pipelines of the vision backend. Nothing of an archive is executed: Python in it is
//! only looked at.

#![warn(missing_docs)]

mod configs;
mod convert;
mod entries;
mod entry_name;
mod execution;
mod fault;
mod folder;
mod handler;
mod keys;
mod labels;
mod manifest;
mod onnx;
mod payload;
mod pipelines;
mod reader;
mod settings;
mod tarball;
mod wire;
mod wiring;
mod yaml;
mod zip_directory;
mod zipped;

pub use convert::{Content, Conversion, Options, ServedModel, convert};
pub use fault::ArchiveFault;
pub use keys::{Keys, Usual};
pub use manifest::Manifest;
pub use onnx::{Port, Signature, read_signature};
pub use reader::{Archive, is_archive_folder, is_archive_name};
pub use settings::{MAX_WORKERS, MODEL_KEYS, ModelSettings, Setting};

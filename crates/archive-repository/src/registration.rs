//! A registered archive, as TorchServe's clients know it.

use std::path::PathBuf;

use hippocamp_archive::Options;

use crate::converted::Converted;

/// A version of a model that an archive serves.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Tells it from one that was registered under the same name before or later; 0 if nobody registered it.
    pub(crate) id: u64,
    /// The name that clients use.
    pub name: String,
    /// The version, which is any text.
    pub version: String,
    /// The name of the server's model that answers.
    pub model: String,
    /// The name of the server's model that executes the model file.
    pub network: String,
    /// The names of all models of the server that the archive becomes: that one, the one that answers, and further steps.
    pub models: Vec<String>,
    /// What the archive was registered by: the file's name or its URL.
    pub url: String,
    /// What runs its handler in TorchServe.
    pub runtime: String,
    /// The largest batch.
    pub batch_size: u32,
    /// How long requests wait for others, in milliseconds.
    pub max_batch_delay: u32,
    /// The number of instances that was asked for; `None` for as many as there are by default, 0 for a model that is not loaded.
    pub workers: Option<u32>,
    /// Whether it lies in a model store and was not registered by a client.
    pub dropped: bool,
    /// Whether it was there when clients began to register archives.
    pub at_start: bool,
    /// Why it cannot be served, if it cannot.
    pub fault: Option<String>,
}

/// What a client has registered.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) path: PathBuf,
    pub(crate) url: String,
    /// `name` in it is that of the server's model.
    pub(crate) options: Options,
    /// Whether the archive was fetched into the store: it is deleted with the last registration.
    pub(crate) fetched: bool,
    /// Whether it was there when clients began to register archives.
    pub(crate) at_start: bool,
}

/// What an archive is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'a> {
    pub(crate) id: u64,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) model: &'a str,
    pub(crate) url: &'a str,
    pub(crate) at_start: bool,
}

impl Registration {
    /// Of an archive under the name of a server's model.
    pub(crate) fn new(
        called: Called<'_>,
        converted: &Converted,
        options: &Options,
        dropped: bool,
    ) -> Registration {
        let Called { id, name, version, model, url, at_start } = called;
        let of_archive = converted.manifest.as_ref().map(|manifest| &*manifest.runtime);
        let runtime = options.runtime.as_deref().or(of_archive).unwrap_or("python");
        let conversion = converted.conversion.as_ref().ok();
        let network = conversion.map_or(model, |conversion| &*conversion.network);
        let models = conversion
            .map_or_else(|| vec![model.to_owned()], |conversion| conversion.models.keys().cloned().collect());
        let (batch_size, max_batch_delay) =
            conversion.map_or((1, 100), |conversion| (conversion.batch_size, conversion.max_batch_delay));
        Registration {
            id,
            name: name.to_owned(),
            version: version.to_owned(),
            model: model.to_owned(),
            network: network.to_owned(),
            models,
            url: url.to_owned(),
            runtime: runtime.to_owned(),
            batch_size,
            max_batch_delay,
            workers: options.workers.or(conversion.and_then(|conversion| conversion.workers)),
            dropped,
            at_start,
            fault: converted.conversion.as_ref().err().cloned(),
        }
    }
}

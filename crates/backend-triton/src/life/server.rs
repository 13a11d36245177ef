//! The server as a backend sees it: an object for each model.

use hippocamp_backend::ServerHandle;

use crate::border::{Kind, Object, Registry};

/// The server that a model belongs to. What backends ask of it is in `in_process`.
#[derive(Debug)]
#[allow(dead_code, reason = "calls of the server are not supported yet")]
pub(crate) struct ServerObject {
    pub(crate) handle: ServerHandle,
}

impl Object for ServerObject {
    const KIND: Kind = Kind::Server;

    fn registry() -> &'static Registry<Self> {
        static SERVERS: Registry<ServerObject> = Registry::new(Kind::Server);
        &SERVERS
    }
}

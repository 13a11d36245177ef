//! The state that all calls of TorchServe's API share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use hippocamp_archive_repository::{Archives, Registration};
use hippocamp_core::InferenceServer;
use hippocamp_download::{Allowed, Downloads, Times};
use hippocamp_machine::CpuTimes;
use parking_lot::{Mutex, RwLock};

use crate::counters::Counters;
use crate::turns::Turns;
use crate::{Failure, TokenKind, Tokens};

/// The most bytes of an archive that is fetched, by default.
pub const MAX_DOWNLOAD: u64 = 8 << 30;

/// What of the API is allowed, and within which limits.
#[derive(Debug)]
pub struct TorchServeSettings {
    /// Whether clients may register, scale and unregister models.
    pub enable_model_api: bool,
    /// The number of instances of a model whose registration names none.
    pub default_workers: u32,
    /// The most bytes of a request.
    pub max_request_size: usize,
    /// Which archives are fetched by URL.
    pub downloads: Downloads,
    /// The keys that clients have to show, if they have to.
    pub tokens: Option<Tokens>,
}

impl Default for TorchServeSettings {
    fn default() -> Self {
        TorchServeSettings {
            enable_model_api: false,
            default_workers: 0,
            max_request_size: 6_553_500,
            downloads: Downloads::new(Allowed::Public, MAX_DOWNLOAD, Times::default()),
            tokens: None,
        }
    }
}

/// TorchServe's API over a server. All encodings use the same one.
#[derive(Debug)]
pub struct TorchServe {
    pub(crate) server: Arc<InferenceServer>,
    pub(crate) archives: Arc<Archives>,
    pub(crate) settings: TorchServeSettings,
    /// The archives by name, as they were when somebody asked last.
    pub(crate) table: RwLock<Table>,
    /// The default versions that clients have set.
    pub(crate) defaults: Mutex<BTreeMap<String, String>>,
    /// Whose turn it is to change a model.
    pub(crate) turns: Turns,
    pub(crate) counters: Counters,
    /// How busy the processors were until then.
    pub(crate) processors: Option<CpuTimes>,
}

/// The registered archives by name, each with its versions in their order.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) made: Option<Instant>,
    pub(crate) models: BTreeMap<String, Vec<Registration>>,
    /// The models of archives in a store that cannot be served.
    pub(crate) unservable: BTreeSet<String>,
}

impl TorchServe {
    /// TorchServe's API over a server, whose repositories include the archives.
    pub fn new(
        server: Arc<InferenceServer>,
        archives: Arc<Archives>,
        settings: TorchServeSettings,
    ) -> Arc<TorchServe> {
        archives.begin();
        Arc::new(TorchServe {
            server,
            archives,
            settings,
            table: RwLock::default(),
            defaults: Mutex::default(),
            turns: Turns::default(),
            counters: Counters::default(),
            processors: CpuTimes::now(),
        })
    }

    /// The server.
    pub fn server(&self) -> &Arc<InferenceServer> {
        &self.server
    }

    /// The most bytes of a request.
    pub fn max_request_size(&self) -> usize {
        self.settings.max_request_size
    }

    /// Whether clients may register, scale and unregister models.
    pub fn has_model_api(&self) -> bool {
        self.settings.enable_model_api
    }

    /// Whether clients have to show a token.
    pub fn wants_tokens(&self) -> bool {
        self.settings.tokens.is_some()
    }

    /// Checks the value of a client's `Authorization`.
    pub fn check_token(&self, kind: TokenKind, authorization: Option<&str>) -> Result<(), Failure> {
        match &self.settings.tokens {
            None => Ok(()),
            Some(tokens) => tokens.check(kind, authorization),
        }
    }

    /// Makes a new token of a kind, for a client that shows the key of the API.
    pub fn renew_token(&self, kind: &str, authorization: Option<&str>) -> Result<String, Failure> {
        let Some(tokens) = &self.settings.tokens else { return Err(Failure::no_resource()) };
        let kind = match kind {
            "inference" => TokenKind::Inference,
            "management" => TokenKind::Management,
            _ => return Err(Failure::no_token()),
        };
        tokens.renew(kind, authorization)
    }

    /// Counts an answer of HTTP by its status.
    pub fn answered(&self, status: u16) {
        self.counters.answered(status);
    }

    /// Whether the server serves what it should. An archive in a store that cannot be served does not count: TorchServe does
    /// not know it, either.
    pub async fn is_healthy(self: &Arc<Self>) -> bool {
        if self.server.is_ready() {
            return true;
        }
        self.refresh_if_old().await;
        let table = self.table.read();
        self.server.is_ready_without(&|name| table.unservable.contains(name))
    }

    /// The name of the only model, if there is only one.
    pub fn only_model(&self) -> Option<String> {
        let mut names = self.plain_models();
        names.extend(self.table.read().models.keys().cloned());
        let mut names = names.into_iter();
        names.next().filter(|_| names.next().is_none())
    }
}

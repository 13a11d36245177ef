//! TorchServe's API and archives: from flags and a `config.properties` to ports and a repository.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hippocamp_archive_repository::{Archives, Named, Options};
use hippocamp_backend::Backend;
use hippocamp_core::{ControlMode, InferenceServer, Settings, StartFault};
use hippocamp_download::{Allowed, Downloads, Times};
use hippocamp_http::HttpSettings;
use hippocamp_net::{Http2, Listener, Mount, Network, Port};
use hippocamp_repository::{RemoteRepository, RepositoryLocation, list};
use hippocamp_torchserve::{LoadModels, Tokens, TorchServe, TorchServeConfig, TorchServeSettings};
use hippocamp_torchserve_grpc::{Services, TorchServeGrpcFront};
use hippocamp_torchserve_http::{Parts, TorchServeHttpFront};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::args::{Accesses, Args, TorchServeArgs};

/// The address that TorchServe's ports have by default.
const ADDRESS: &str = "127.0.0.1";

/// The ports of TorchServe's API.
#[derive(Debug, Default)]
pub(crate) struct TorchServeListeners {
    pub(crate) http: Vec<(Listener, Parts)>,
    pub(crate) grpc: Vec<(Listener, Services)>,
}

/// The addresses that are wanted, each with what it serves. Equal ones are one port.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) http: Vec<(String, u16, Parts)>,
    pub(crate) grpc: Vec<(String, u16, Services)>,
}

impl Addresses {
    pub(crate) fn of(args: &TorchServeArgs, config: &TorchServeConfig) -> Addresses {
        let mut addresses = Addresses::default();
        if !args.allow_torchserve {
            return addresses;
        }
        let usual = || args.ts_address.clone().unwrap_or_else(|| ADDRESS.to_owned());
        let http = |given: &Option<(String, u16)>, port: Option<u16>, default: u16| {
            let host = given.as_ref().map(|(host, _)| host.clone()).filter(|_| args.ts_address.is_none());
            let port = port.or_else(|| given.as_ref().map(|(_, port)| *port)).unwrap_or(default);
            (host.unwrap_or_else(usual), port)
        };
        let mut add = |(host, port): (String, u16), parts: Parts| {
            let same =
                addresses.http.iter_mut().find(|(own, at, _)| port != 0 && (own, *at) == (&host, port));
            match same {
                Some((.., own)) => {
                    own.inference |= parts.inference;
                    own.management |= parts.management;
                    own.metrics |= parts.metrics;
                }
                None => addresses.http.push((host, port, parts)),
            }
        };
        add(
            http(&config.inference_address, args.ts_inference_port, 8080),
            Parts { inference: true, ..Parts::default() },
        );
        add(
            http(&config.management_address, args.ts_management_port, 8081),
            Parts { management: true, ..Parts::default() },
        );
        if config.enable_metrics_api != Some(false) {
            add(
                http(&config.metrics_address, args.ts_metrics_port, 8082),
                Parts { metrics: true, ..Parts::default() },
            );
        }
        addresses.grpc = Addresses::grpc(args, config);
        addresses
    }

    /// The ports of gRPC, of which equal ones are one.
    fn grpc(args: &TorchServeArgs, config: &TorchServeConfig) -> Vec<(String, u16, Services)> {
        let usual = || args.ts_address.clone().unwrap_or_else(|| ADDRESS.to_owned());
        let grpc = |given: &Option<String>, flag: Option<u16>, port: Option<u16>, default: u16| {
            let host = given.clone().filter(|_| args.ts_address.is_none()).unwrap_or_else(usual);
            (host, flag.or(port).unwrap_or(default))
        };
        let (inference, management) = (
            grpc(
                &config.grpc_inference_address,
                args.ts_grpc_inference_port,
                config.grpc_inference_port,
                7070,
            ),
            grpc(
                &config.grpc_management_address,
                args.ts_grpc_management_port,
                config.grpc_management_port,
                7071,
            ),
        );
        if inference == management && inference.1 != 0 {
            return vec![(inference.0, inference.1, Services { inference: true, management: true })];
        }
        vec![
            (inference.0, inference.1, Services { inference: true, management: false }),
            (management.0, management.1, Services { inference: false, management: true }),
        ]
    }
}

/// Adds the archives of the local repositories to the settings, and returns them. Archives that are listed are registered.
pub(crate) fn add_archives(
    args: &Args,
    config: &TorchServeConfig,
    settings: &mut Settings,
    backends: &[Arc<dyn Backend>],
) -> Arc<Archives> {
    let local = |location: &RepositoryLocation| match location {
        RepositoryLocation::Local(path) => Some(path.clone()),
        RepositoryLocation::Remote(_) => None,
    };
    let stores: Vec<PathBuf> = settings.repositories.iter().filter_map(local).collect();
    let names = backends.iter().map(|backend| backend.name().to_owned()).collect();
    let models = args.torchserve.load_models(config);
    let archives = Archives::new(stores, models == LoadModels::All, names);
    let listed = listed(models, config);
    let others = list(&settings.repositories, &settings.scan_options()).models;
    for (name, file, mut options) in listed {
        options.name = name;
        let workers = config.default_workers_per_model.filter(|&count| count > 0);
        options.usual.min_workers = options.usual.min_workers.or(workers);
        let register = || {
            let path = archives.find(&file)?;
            let archive = Named { path: &path, url: &file, fetched: false };
            archives.register(&archive, &options, |name| others.contains(name))
        };
        let registration = match register() {
            Ok(registration) => registration,
            // As TorchServe does: the others are served.
            Err(fault) => {
                error!("failed to load archive '{file}': {fault}");
                continue;
            }
        };
        if registration.workers != Some(0)
            && settings.control_mode == ControlMode::Explicit
            && !settings.load_models.iter().any(|name| name == "*")
        {
            settings.load_models.push(registration.model);
        }
    }
    let changes = args.torchserve.allow_torchserve || settings.control_mode != ControlMode::None;
    if changes || !archives.registrations().is_empty() {
        settings.repositories.push(RepositoryLocation::Remote(Arc::clone(&archives) as _));
    }
    archives
}

/// The archives that are registered at the start: those that are to be loaded, with what the key `models` says of them, and the others
/// of that key, of which TorchServe's snapshots are.
fn listed(models: LoadModels, config: &TorchServeConfig) -> Vec<(Option<String>, String, Options)> {
    let mut named: Vec<(Option<String>, String)> = Vec::new();
    if let LoadModels::Listed(models) = models {
        named = models;
    }
    let mut listed = Vec::new();
    for model in &config.models {
        let of_model = |(name, file): &(Option<String>, String)| {
            *file == model.mar_name && name.as_ref().is_none_or(|name| *name == model.name)
        };
        named.retain(|each| !of_model(each));
        let settings = model.settings.clone();
        let options = if config.is_snapshot {
            // As many as there were when it was written, and batches as they were, whatever the archive says.
            let (batch_size, max_batch_delay) = (settings.batch_size, settings.max_batch_delay);
            Options {
                batch_size,
                max_batch_delay,
                workers: settings.min_workers,
                usual: settings,
                ..Options::default()
            }
        } else {
            Options { usual: settings, ..Options::default() }
        };
        listed.push((Some(model.name.clone()), model.mar_name.clone(), options));
    }
    listed.extend(named.into_iter().map(|(name, file)| (name, file, Options::default())));
    listed
}

/// Whether the start has failed where archives that could not be loaded do not count: TorchServe logs them and serves the others.
pub(crate) fn has_failed(faults: &[StartFault], archives: &Archives) -> bool {
    let is_archive = |fault: &StartFault| {
        fault.model.as_deref().is_some_and(|model| archives.contains(model).unwrap_or(false))
    };
    !faults.iter().all(is_archive)
}

/// Takes the model store of the file where no flag names a repository.
pub(crate) fn take_store(args: &mut Args, config: &TorchServeConfig) -> anyhow::Result<()> {
    if args.models.model_repository.is_empty() {
        let store = config.model_store.clone();
        let store = store.context("neither --model-repository nor model_store of --ts-config is given")?;
        args.models.model_repository.push(store);
    }
    Ok(())
}

/// TorchServe's API over the server.
pub(crate) fn api(
    args: &Args,
    config: &TorchServeConfig,
    server: &Arc<InferenceServer>,
    archives: Arc<Archives>,
) -> anyhow::Result<Arc<TorchServe>> {
    let flags = &args.torchserve;
    for warning in &config.warnings {
        warn!("--ts-config: {warning}");
    }
    if flags.ts_config.is_some() && !flags.allow_torchserve {
        warn!("--ts-config: its addresses and settings of the API have no effect without --allow-torchserve");
    }
    let wants_tokens = match (flags.ts_token_auth, config.disable_token_authorization) {
        (Some(wanted), _) => wanted,
        (None, disabled) => disabled == Some(false),
    };
    let tokens = (wants_tokens && flags.allow_torchserve).then(|| {
        let lifetime = Duration::from_secs(config.token_expiration_min.unwrap_or(60).saturating_mul(60));
        let path = &flags.ts_token_file;
        Tokens::create(path, lifetime)
            .with_context(|| format!("failed to write the tokens to '{}'", path.display()))
    });
    let explicit = server.settings().control_mode == ControlMode::Explicit;
    let allowed = config.allowed_urls.as_deref().map_or(Ok(Allowed::Public), Allowed::matching);
    let allowed = allowed.map_err(|fault| anyhow::anyhow!("--ts-config: allowed_urls: {fault}"))?;
    let defaults = TorchServeSettings::default();
    let settings = TorchServeSettings {
        enable_model_api: flags.ts_enable_model_api.or(config.enable_model_api).unwrap_or(explicit),
        default_workers: config.default_workers_per_model.unwrap_or(defaults.default_workers),
        max_request_size: config.max_request_size.unwrap_or(defaults.max_request_size),
        downloads: Downloads::new(allowed, flags.ts_max_archive_size, Times::default()),
        tokens: tokens.transpose()?,
    };
    Ok(TorchServe::new(Arc::clone(server), archives, settings))
}

/// Starts a front for every port.
pub(crate) fn serve(
    listeners: TorchServeListeners,
    network: &Arc<Network>,
    torchserve: &Arc<TorchServe>,
    accesses: &Accesses,
    (v2, http2): (&HttpSettings, &Http2),
    fronts: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let port = |http1, http2, counted| Port { name: "torchserve", http1, http2, counted };
    for (listener, parts) in listeners.http {
        let what = match parts {
            Parts { inference: true, .. } => "inference",
            Parts { management: true, .. } => "management",
            Parts { .. } => "metrics",
        };
        info!("TorchServe {what} on {}", listener.address()?);
        let front = TorchServeHttpFront::new(Arc::clone(torchserve), parts, accesses.http.clone());
        let network = Arc::clone(network);
        if parts.inference && !torchserve.wants_tokens() {
            // KServe v2 is served there as well, as the server speaks it.
            let server = Arc::clone(torchserve.server());
            let mount = |v2| Mount { prefix: "/v2/", mounted: v2, others: front };
            fronts.spawn(hippocamp_http::serve(listener, network, server, v2.clone(), mount));
        } else {
            let counted = parts.inference || parts.management;
            fronts.spawn(hippocamp_net::serve(
                listener,
                network,
                port(true, Http2::default(), counted),
                front,
            ));
        }
    }
    for (listener, services) in listeners.grpc {
        let what = if services.inference { "inference" } else { "management" };
        info!("TorchServe gRPC {what} on {}", listener.address()?);
        let front =
            TorchServeGrpcFront::new(Arc::clone(torchserve), services, accesses.grpc.clone(), network);
        let port = port(false, http2.clone(), true);
        fronts.spawn(hippocamp_net::serve(listener, Arc::clone(network), port, front));
    }
    Ok(())
}

//! The life of the server: open the ports, load the models, serve, and stop on a signal.

use std::mem::take;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use hippocamp_archive_repository::Archives;
use hippocamp_backend::RegisteredObservers;
use hippocamp_core::{InferenceServer, Settings};
use hippocamp_device::Devices;
use hippocamp_grpc::GrpcSettings;
use hippocamp_http::HttpSettings;
use hippocamp_net::{IoThreads, Network};
use hippocamp_repository::RepositoryLocation;
use hippocamp_torchserve::{TorchServe, TorchServeConfig};
use hippocamp_v1::V1;
use hippocamp_v1_grpc::V1GrpcFront;
use hippocamp_v1_http::V1HttpFront;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::args::{Accesses, Args};
use crate::listeners::Listeners;
use crate::logging::Log;
use crate::observing::Observing;
use crate::signals::{self, Signals};
use crate::{backends, console, reload, repositories, test_hooks, threads, torchserve};

pub(crate) async fn run(mut args: Args, log: Log) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let mut signals = Signals::listen().context("failed to listen for signals")?;
    let mut beside = JoinSet::new();
    hippocamp_net::open_files();
    let accesses = args.access.open()?;
    let ts_config = args.torchserve.config()?;
    torchserve::take_store(&mut args, &ts_config)?;
    let mut listeners = Listeners::open(&args, &ts_config).await?;
    let observing = Observing::start(&args)?;
    let settings = Settings {
        background: Some(Handle::current()),
        log: Some(log.control()),
        ..observing.settings(settings(&args)?)
    };
    beside.spawn(signals::reopen_log(log, observing.access_log.clone()));
    let (server, torchserve, archives) = server(&args, &ts_config, settings)?;
    let _closing = Closing(Arc::clone(&server));
    let threads = threads::start(args.io_thread_count).context("failed to start the I/O threads")?;
    let network = start_network(&args, threads.as_ref());
    observing.attach(&server, &network);
    beside.spawn(reload::follow(accesses.auth.clone(), take(&mut listeners.tls)));
    let _socket_files = take(&mut listeners.socket_files);
    let mut fronts = console::serve(&args, &accesses, (&network, &server), &mut listeners, &mut beside)?;
    serve(listeners, &network, &server, &torchserve, (&args, &accesses), &mut fronts)?;

    let faults = tokio::select! {
        faults = server.start_models() => faults,
        signal = signals.next() => {
            info!("{signal} while loading models");
            return Ok(ExitCode::SUCCESS);
        }
    };
    if args.exit_on_error && torchserve::has_failed(&faults, &archives) {
        error!("failed to load all models; start with --exit-on-error=false to serve the others");
        return Ok(ExitCode::FAILURE);
    }
    server.begin_serving();
    info!(versions = server.ready_count(), ms = begin.elapsed().as_millis(), "ready");

    let watching = watch(&server, &args);

    let signal = signals.next().await;
    drop(watching);
    info!("{signal}: stopping, running requests may take {} s to finish", args.exit_timeout_secs);
    server.begin_stop();
    let finish = async {
        tokio::time::sleep(Duration::from_secs(args.drain_delay_secs)).await;
        finish(&server, &network, &mut fronts, Duration::from_secs(args.exit_timeout_secs)).await
    };
    let finished = tokio::select! {
        finished = finish => finished,
        () = signals.second_interrupt() => {
            warn!("SIGINT again: exit without waiting");
            false
        }
    };
    if !finished {
        // A response may have been lost.
        return Ok(ExitCode::FAILURE);
    }
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Follows the repositories until the result is dropped, if the mode says so.
fn watch(server: &Arc<InferenceServer>, args: &Args) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    if let Some(settings) = args.models.watch() {
        watching.spawn(Arc::clone(server).watch(settings));
    }
    watching
}

/// The server with all backends, and with what they tell on the metrics page, and TorchServe's API over it.
fn server(
    args: &Args,
    config: &TorchServeConfig,
    mut settings: Settings,
) -> anyhow::Result<(Arc<InferenceServer>, Arc<TorchServe>, Arc<Archives>)> {
    let backends = backends::all(args, &settings.devices)?;
    let archives = torchserve::add_archives(args, config, &mut settings, &backends);
    let server = InferenceServer::new(settings, backends);
    #[cfg(feature = "onnxruntime")]
    server.add_metrics(hippocamp_backend_onnxruntime::write_metrics);
    #[cfg(feature = "triton")]
    server.add_metrics(hippocamp_backend_triton::write_metrics);
    let torchserve = torchserve::api(args, config, &server, Arc::clone(&archives))?;
    Ok((server, torchserve, archives))
}

/// Removes the repositories' local copies when dropped, even if tasks that still run keep the server alive.
struct Closing(Arc<InferenceServer>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.settings().repositories.iter().for_each(RepositoryLocation::close);
    }
}

/// Starts the network, on the I/O threads if there are several.
fn start_network(args: &Args, threads: Option<&IoThreads>) -> Arc<Network> {
    match threads {
        Some(threads) => Network::start_on(args.limits.limits(), threads),
        None => Network::start(args.limits.limits()),
    }
}

/// The settings of the server that the flags describe.
pub(crate) fn settings(args: &Args) -> anyhow::Result<Settings> {
    let models = &args.models;
    Ok(Settings {
        observers: RegisteredObservers::default(),
        id: args.id.clone(),
        repositories: repositories::open(&models.model_repository)?,
        model_namespacing: models.model_namespacing,
        control_mode: models.model_control_mode.control_mode(),
        load_models: models.load_model.clone(),
        model_config_name: models.model_config_name.clone(),
        readiness: args.strict_readiness,
        disable_auto_complete_config: models.takes_configs_as_written(),
        lazy_load: models.lazy_load,
        lazy_load_memory_budget: models.memory_budget()?,
        model_load_thread_count: models.model_load_thread_count,
        model_load_retry_count: models.model_load_retry_count,
        allow_client_shm: args.allow_client_shm,
        default_max_batch_size: models.default_max_batch_size()?,
        host_policies: args.instances.host_policies()?,
        cpu_fallback: args.instances.cpu_fallback,
        rate_limit: args.instances.rate_limit(),
        delay_scheduler: test_hooks::requests(test_hooks::DELAY_SCHEDULER),
        backlog_delay_scheduler: test_hooks::requests(test_hooks::BACKLOG_DELAY_SCHEDULER),
        response_cache_byte_size: args.cache.byte_size()?,
        metrics: args.metrics.settings(),
        model_load_gpu_limits: args.gpus.load_limits(),
        devices: Devices::find(&args.gpus.settings()),
        tracing: Arc::default(),
        log: None,
        background: None,
    })
}

/// The settings of v2 over HTTP, on every port that has it.
pub(crate) fn http_settings(args: &Args, accesses: &Accesses) -> HttpSettings {
    HttpSettings {
        max_input_size: args.http.http_max_input_size,
        response_compression: args.http.http_response_compression.into(),
        header_forwarding: args.http.http_header_forward_pattern.clone(),
        access: accesses.http.clone(),
    }
}

/// Starts a front for every listener. Each ends when the network is closed and its last request is done.
fn serve(
    listeners: Listeners,
    network: &Arc<Network>,
    server: &Arc<InferenceServer>,
    torchserve: &Arc<TorchServe>,
    (args, accesses): (&Args, &Accesses),
    fronts: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let shared = || (Arc::clone(network), Arc::clone(server));
    let v1 = V1::new(Arc::clone(server));
    let settings = http_settings(args, accesses);
    for listener in listeners.http {
        info!("HTTP on {}", listener.address()?);
        let (network, server) = shared();
        let v1 = V1HttpFront::new(
            Arc::clone(&v1),
            &network,
            accesses.http.clone(),
            settings.header_forwarding.clone(),
        );
        fronts.spawn(hippocamp_http::serve(listener, network, server, settings.clone(), |front| {
            v1.beside(front)
        }));
    }
    for listener in listeners.grpc {
        info!("gRPC on {}", listener.address()?);
        let (network, server) = shared();
        let settings = GrpcSettings {
            delays: test_hooks::grpc_delays(),
            access: accesses.grpc.clone(),
            ..args.grpc.settings()
        };
        let v1 = V1GrpcFront::new(
            Arc::clone(&v1),
            &network,
            accesses.grpc.clone(),
            settings.header_forwarding.clone(),
        );
        fronts.spawn(hippocamp_grpc::serve(listener, network, server, settings, |front| v1.beside(front)));
    }
    let http2 = args.grpc.settings().http2;
    torchserve::serve(listeners.torchserve, network, torchserve, accesses, (&settings, &http2), fronts)?;
    Ok(())
}

/// Drains the network, then waits for the fronts and the instances, at most `timeout` in all. True if all finished.
async fn finish(
    server: &InferenceServer,
    network: &Network,
    fronts: &mut JoinSet<()>,
    timeout: Duration,
) -> bool {
    let begin = Instant::now();
    network.begin_drain();
    let drained = tokio::time::timeout(timeout, async {
        network.drained().await;
        network.close();
        while fronts.join_next().await.is_some() {}
    });
    let drained = drained.await;
    if drained.is_err() {
        warn!("requests were still running after {} s", timeout.as_secs());
    }
    let stopped = server.stop(timeout.saturating_sub(begin.elapsed())).await;
    if !stopped {
        warn!("instances were still running after {} s", timeout.as_secs());
    }
    drained.is_ok() && stopped
}

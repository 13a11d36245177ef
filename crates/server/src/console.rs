//! The console: on the metrics port, or on one of its own.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use hippocamp_console::{Console, ConsoleFront};
use hippocamp_core::InferenceServer;
use hippocamp_http::{HttpFront, HttpSettings, MetricsFront};
use hippocamp_net::{Http2, Listener, Network, Port};
use tokio::task::JoinSet;
use tracing::info;

use crate::args::{Accesses, Args};
use crate::listeners::{Listeners, metrics_address};
use crate::run::http_settings;

/// The ports on which the console may be.
#[derive(Debug, Default)]
pub(crate) struct ConsoleListeners {
    pub(crate) metrics: Vec<Listener>,
    /// Of the console alone, if it has a port of its own.
    pub(crate) own: Vec<Listener>,
}

/// Starts the console, if the flags want it, and serves the metrics port and that of the console.
pub(crate) fn serve(
    args: &Args,
    accesses: &Accesses,
    (network, server): (&Arc<Network>, &Arc<InferenceServer>),
    listeners: &mut Listeners,
    beside: &mut JoinSet<io::Result<()>>,
) -> anyhow::Result<JoinSet<()>> {
    let listeners = std::mem::take(&mut listeners.console);
    ConsolePorts::start(args, server, accesses, beside).serve(listeners, (network, server), accesses)
}

/// What a port needs to have the console.
struct ConsolePorts {
    /// `None` if there is no console.
    console: Option<Arc<Console>>,
    /// Whether it has a port of its own.
    own_port: bool,
    /// Whether the ports are of the loopback.
    is_local: bool,
    v2: HttpSettings,
}

impl ConsolePorts {
    /// Starts the console, if the flags want it, beside the server.
    fn start(
        args: &Args,
        server: &Arc<InferenceServer>,
        accesses: &Accesses,
        beside: &mut JoinSet<io::Result<()>>,
    ) -> ConsolePorts {
        let flags = &args.console;
        let is_served = flags.console_port.is_some() || args.metrics.allow_metrics;
        let console = (is_served && is_wanted(args, accesses.auth.is_some())).then(|| {
            let console = Console::new(Arc::clone(server), accesses.http.clone(), acts(args));
            let followed = Arc::clone(&console);
            beside.spawn(async move {
                followed.follow().await;
                Ok(())
            });
            console
        });
        let v2 = http_settings(args, accesses);
        ConsolePorts { console, own_port: flags.console_port.is_some(), is_local: is_local(args), v2 }
    }

    /// The front of a port that has the console, if there is one and it is wanted there.
    fn front(&self, network: &Network, is_here: bool) -> ConsoleFront<HttpFront, MetricsFront> {
        let console = self.console.as_ref().filter(|_| is_here);
        let acting = console.filter(|console| console.acts());
        let v2 = acting.map(|console| HttpFront::on(network, Arc::clone(console.server()), self.v2.clone()));
        ConsoleFront::new(console.map(Arc::clone), v2, None).of_this_machine(self.is_local)
    }

    /// Serves the metrics port, with the console if it belongs there, and the console's own port.
    fn serve(
        &self,
        listeners: ConsoleListeners,
        (network, server): (&Arc<Network>, &Arc<InferenceServer>),
        accesses: &Accesses,
    ) -> anyhow::Result<JoinSet<()>> {
        let mut fronts = JoinSet::new();
        for listener in listeners.metrics {
            let address = listener.address()?;
            info!("metrics on {address}");
            if self.console.is_some() && !self.own_port {
                info!("console on {address}");
            }
            let (of_port, server) = (Arc::clone(network), Arc::clone(server));
            let access = accesses.metrics.clone();
            let front = self.front(network, !self.own_port);
            let mount = |metrics| front.before(metrics);
            fronts.spawn(hippocamp_http::serve_metrics(listener, of_port, server, access, mount));
        }
        for listener in listeners.own {
            info!("console on {}", listener.address()?);
            let counted = self.console.as_ref().is_some_and(|console| console.acts());
            let port = Port { name: "console", http1: true, http2: Http2::default(), counted };
            let front = self.front(network, true);
            fronts.spawn(hippocamp_net::serve(listener, Arc::clone(network), port, front));
        }
        Ok(fronts)
    }
}

/// Whether the page may infer, load and unload: on the loopback, or where somebody wants the console by a flag and it opens no door
/// that HTTP has closed. A metrics port may be open to those whom a firewall keeps from HTTP.
fn acts(args: &Args) -> bool {
    let flags = &args.console;
    let is_said = flags.console_port.is_some() || flags.allow_console == Some(true);
    args.http.allow_http && (is_local(args) || (is_said && is_as_open(args)))
}

/// Whether HTTP is at the same address without TLS, which may ask clients for certificates.
fn is_as_open(args: &Args) -> bool {
    args.http.allow_http && metrics_address(args) == args.http.http_address && !args.http_tls.is_on()
}

/// Whether the console is for this machine alone.
fn is_local(args: &Args) -> bool {
    let address = metrics_address(args);
    address == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Whether there is a console: as the flags say, and where they say nothing if nobody sees more by it than HTTP shows.
fn is_wanted(args: &Args, has_tokens: bool) -> bool {
    let flags = &args.console;
    flags
        .allow_console
        .unwrap_or_else(|| flags.console_port.is_some() || has_tokens || is_as_open(args) || acts(args))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn the_console_opens_no_door_that_http_has_closed() {
        let of = |flags: &[&str]| {
            let flags = ["hippocamp", "--model-repository=/m"].iter().chain(flags);
            acts(&Args::try_parse_from(flags).unwrap())
        };
        assert!(
            !of(&[]) && !of(&["--http-address=10.0.0.1"]),
            "a metrics port may be open where HTTP is not"
        );
        assert!(
            of(&["--allow-console=true"]) && of(&["--console-port=0"]) && of(&["--http-address=127.0.0.1"])
        );
        assert!(
            !of(&["--allow-http=false"]) && !of(&["--http-address=127.0.0.1", "--metrics-address=0.0.0.0"])
        );
        assert!(of(&["--metrics-address=127.0.0.1"]) && of(&["--metrics-address=localhost"]));
        let tls =
            ["--http-use-ssl=true", "--http-server-cert=c", "--http-server-key=k", "--allow-console=true"];
        assert!(!of(&tls));
        assert!(of(&[&tls[..], &["--metrics-address=::1"]].concat()));
    }

    #[test]
    fn configs_are_shown_where_http_shows_them_or_somebody_wants_it() {
        let of = |flags: &[&str], has_tokens| {
            let flags = ["hippocamp", "--model-repository=/m"].iter().chain(flags);
            is_wanted(&Args::try_parse_from(flags).unwrap(), has_tokens)
        };
        let mutual = [
            "--http-use-ssl-mutual=true",
            "--http-server-cert=c",
            "--http-server-key=k",
            "--http-root-cert=r",
        ];
        assert!(of(&[], false) && !of(&mutual, false) && !of(&["--allow-http=false"], false));
        assert!(of(&mutual, true), "tokens decide");
        assert!(of(&["--allow-http=false", "--allow-console=true"], false));
        assert!(of(&["--allow-http=false", "--console-port=0"], false));
        assert!(
            !of(&["--allow-console=false"], true)
                && !of(&["--allow-console=false", "--console-port=0"], true)
        );
    }
}

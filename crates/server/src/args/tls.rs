//! Flags of TLS: the same for each port, with the port's name in front. Those of gRPC are Triton's.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgAction, Args};
use hippocamp_tls::{Tls, TlsFiles};

use super::switch;

macro_rules! tls_args {
    ($name:ident, $port:literal, $heading:literal, $protocols:expr) => {
        #[derive(Debug, Args)]
        #[command(next_help_heading = $heading)]
        pub(crate) struct $name {
            /// Whether the port has TLS. Certificate and key are read again when they change; open connections go on.
            #[arg(id = concat!($port, "-use-ssl"), long = concat!($port, "-use-ssl"), value_parser = switch, value_name = "BOOL", action = ArgAction::Set)]
            use_ssl: Option<bool>,

            /// Whether clients need a certificate, too, that a root of the root-cert flag signed. Either value switches TLS on.
            #[arg(id = concat!($port, "-use-ssl-mutual"), long = concat!($port, "-use-ssl-mutual"), value_parser = switch, value_name = "BOOL", action = ArgAction::Set)]
            use_ssl_mutual: Option<bool>,

            /// The certificate of the server as PEM, with those between it and the root behind it.
            #[arg(id = concat!($port, "-server-cert"), long = concat!($port, "-server-cert"), value_name = "FILE")]
            server_cert: Option<PathBuf>,

            /// Its private key as PEM, not encrypted.
            #[arg(id = concat!($port, "-server-key"), long = concat!($port, "-server-key"), value_name = "FILE")]
            server_key: Option<PathBuf>,

            /// The certificates as PEM that sign those of clients.
            #[arg(id = concat!($port, "-root-cert"), long = concat!($port, "-root-cert"), value_name = "FILE")]
            root_cert: Option<PathBuf>,
        }

        impl $name {
            /// The flags apart from their names.
            fn flags(&self) -> Flags<'_> {
                Flags {
                    port: $port,
                    on: self.use_ssl,
                    mutual: self.use_ssl_mutual,
                    certificate: &self.server_cert,
                    key: &self.server_key,
                    roots: &self.root_cert,
                }
            }

            /// What is wrong with the flags together, if something is.
            pub(super) fn contradiction(&self) -> Option<String> {
                self.flags().files().err()
            }

            /// Whether the port has TLS.
            #[allow(dead_code, reason = "not asked of every port")]
            pub(crate) fn is_on(&self) -> bool {
                !matches!(self.flags().files(), Ok(None))
            }

            /// Reads the files; `None` if the port has no TLS.
            pub(crate) fn open(&self) -> anyhow::Result<Option<Arc<Tls>>> {
                let files = self.flags().files().map_err(anyhow::Error::msg)?;
                self.flags().warn(files.is_some());
                let tls = files.map(|files| Tls::read($port, files, $protocols)).transpose()?;
                if let Some(tls) = &tls {
                    warn_of_key(tls);
                }
                Ok(tls)
            }
        }
    };
}

tls_args!(HttpTlsArgs, "http", "HTTP", &["h2", "http/1.1"]);
tls_args!(GrpcTlsArgs, "grpc", "gRPC", &["h2"]);
tls_args!(MetricsTlsArgs, "metrics", "Metrics", &["h2", "http/1.1"]);

/// Logs that there are clients which the key of a port keeps out: no client says so.
pub(crate) fn warn_of_key(tls: &Tls) {
    if tls.port() == "grpc" && tls.is_ed25519() {
        tracing::warn!(
            "the key of --grpc-server-key is one of Ed25519, which clients on gRPC's own library refuse, as tritonclient.grpc and \
             those of C++ do: they get UNAVAILABLE and no reason; a key of RSA, P-256 or P-384 serves all"
        );
    }
}

/// The flags of one port.
struct Flags<'a> {
    port: &'static str,
    on: Option<bool>,
    mutual: Option<bool>,
    certificate: &'a Option<PathBuf>,
    key: &'a Option<PathBuf>,
    roots: &'a Option<PathBuf>,
}

impl Flags<'_> {
    /// Logs that files were given which nothing uses, as in Triton, if that may not be what was meant.
    fn warn(&self, is_on: bool) {
        let Flags { port, on, .. } = *self;
        if let Some(file) = self.certificate.as_ref().or(self.key.as_ref()).or(self.roots.as_ref())
            && !is_on
            && on.is_none()
        {
            tracing::warn!("'{}' is not used: TLS needs --{port}-use-ssl=true", file.display());
        }
    }

    /// The files that are used. As in Triton, the mutual flag switches TLS on whatever its value: who has it there expects
    /// nothing in the clear.
    fn files(&self) -> Result<Option<TlsFiles>, String> {
        let Flags { port, on, mutual, .. } = *self;
        if on == Some(false) && mutual == Some(true) {
            return Err(format!("--{port}-use-ssl=false excludes --{port}-use-ssl-mutual=true"));
        }
        if !on.unwrap_or(mutual.is_some()) {
            return Ok(None);
        }
        let needed = |file: &Option<PathBuf>, flag: &str, what: &str| {
            let given = file.clone().filter(|path| !path.as_os_str().is_empty());
            given.ok_or_else(|| format!("TLS on the {port} port needs {what}: --{port}-{flag}=FILE"))
        };
        let certificate = needed(self.certificate, "server-cert", "the certificate of the server")?;
        let key = needed(self.key, "server-key", "the key of its certificate")?;
        let roots = if mutual == Some(true) {
            Some(needed(self.roots, "root-cert", "the certificates that sign those of its clients")?)
        } else {
            None
        };
        Ok(Some(TlsFiles { certificate, key, roots }))
    }
}

//! Flags of tritonserver that are not ours: those that stand for something not supported yet are refused by name, those
//! that tune what is not there are passed over with a warning.

use std::ffi::{OsStr, OsString};

/// What becomes of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Would change what clients get, or who may ask: not to be passed over.
    Refused,
    /// Tunes a mechanism that this server does not have or need.
    Ignored,
}

use Fate::{Ignored, Refused};

/// Every such flag takes a value.
const OTHERS: [(&str, Fate); 42] = [
    ("model-load-gpu-limit", Ignored),
    ("enable-peer-access", Ignored),
    ("http-thread-count", Ignored),
    ("http-header-forward-pattern", Refused),
    ("http-restricted-api", Refused),
    ("grpc-header-forward-pattern", Refused),
    ("grpc-restricted-protocol", Refused),
    ("grpc-infer-thread-count", Ignored),
    ("grpc-infer-allocation-pool-size", Ignored),
    ("grpc-max-response-pool-size", Ignored),
    ("grpc-use-ssl", Refused),
    ("grpc-use-ssl-mutual", Refused),
    ("grpc-server-cert", Refused),
    ("grpc-server-key", Refused),
    ("grpc-root-cert", Refused),
    ("grpc-keepalive-permit-without-calls", Ignored),
    ("grpc-http2-max-pings-without-data", Ignored),
    ("grpc-http2-min-recv-ping-interval-without-data", Ignored),
    ("grpc-http2-max-ping-strikes", Ignored),
    ("allow-gpu-metrics", Ignored),
    ("metrics-interval-ms", Ignored),
    ("trace-config", Refused),
    ("trace-file", Refused),
    ("trace-level", Refused),
    ("trace-rate", Ignored),
    ("trace-count", Ignored),
    ("log-frequency", Ignored),
    ("backend-directory", Ignored),
    ("repoagent-directory", Ignored),
    ("cache-directory", Ignored),
    ("pinned-memory-pool-byte-size", Ignored),
    ("cuda-memory-pool-byte-size", Ignored),
    ("cuda-virtual-address-size", Ignored),
    ("min-supported-compute-capability", Ignored),
    ("buffer-manager-thread-count", Ignored),
    ("allow-sagemaker", Refused),
    ("sagemaker-port", Refused),
    ("sagemaker-safe-port-range", Refused),
    ("allow-vertex-ai", Refused),
    ("vertex-ai-port", Refused),
    ("vertex-ai-default-model", Refused),
    ("strict-model-config", Ignored),
];

/// Takes these flags out. Returns the other arguments, and a warning for each flag that was passed over, or what to say
/// about the first that is refused.
pub(crate) fn sort(args: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, Result<Vec<String>, String>) {
    let mut args = args.into_iter();
    let mut known: Vec<OsString> = args.next().into_iter().collect();
    let mut warnings = Vec::new();
    while let Some(arg) = args.next() {
        let Some((name, fate, value)) = other(&arg) else {
            known.push(arg);
            continue;
        };
        let value = value.or_else(|| args.next()?.into_string().ok()).unwrap_or_default();
        let off = matches!(value.as_str(), "false" | "0" | "off");
        match fate {
            // Switching off what is not there is what there is.
            _ if off => {}
            Refused => {
                return (known, Err(format!("--{name} is a flag of tritonserver that is not supported yet")));
            }
            Ignored => warnings.push(format!("--{name}={value} has no effect in this server")),
        }
    }
    (known, Ok(warnings))
}

/// The flag, and its value if it is part of the argument.
fn other(arg: &OsStr) -> Option<(&'static str, Fate, Option<String>)> {
    let flag = arg.to_str()?.strip_prefix("--")?;
    let (name, value) =
        flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
    let (name, fate) = OTHERS.iter().find(|(other, _)| *other == name)?;
    Some((name, *fate, value))
}

//! Flags of tritonserver that are not ours: those that stand for something not supported yet are refused by name, those
//! that tune what is not there are passed over with a warning.

mod trace;

use std::ffi::{OsStr, OsString};

use trace::Trace;

/// What becomes of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Would change what clients get, or who may ask: not to be passed over, unless it switches that off.
    Refused,
    /// Tunes a mechanism that this server does not have or need.
    Ignored,
    /// Belongs to another flag, without which it means nothing. That one is refused.
    Part,
    TraceConfig,
    TraceLevel,
}

use Fate::{Ignored, Part, Refused, TraceConfig, TraceLevel};

/// Every such flag takes a value.
const OTHERS: [(&str, Fate); 43] = [
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
    ("grpc-server-cert", Part),
    ("grpc-server-key", Part),
    ("grpc-root-cert", Part),
    ("grpc-keepalive-permit-without-calls", Ignored),
    ("grpc-http2-max-pings-without-data", Ignored),
    ("grpc-http2-min-recv-ping-interval-without-data", Ignored),
    ("grpc-http2-max-ping-strikes", Ignored),
    ("allow-gpu-metrics", Ignored),
    ("metrics-interval-ms", Ignored),
    ("trace-config", TraceConfig),
    ("trace-file", Part),
    ("trace-level", TraceLevel),
    ("trace-rate", Part),
    ("trace-count", Part),
    ("log-frequency", Part),
    ("backend-directory", Ignored),
    ("repoagent-directory", Ignored),
    ("cache-directory", Ignored),
    ("pinned-memory-pool-byte-size", Ignored),
    ("cuda-memory-pool-byte-size", Ignored),
    ("cuda-virtual-address-size", Ignored),
    ("min-supported-compute-capability", Ignored),
    ("buffer-manager-thread-count", Ignored),
    ("allow-sagemaker", Refused),
    ("sagemaker-port", Part),
    ("sagemaker-safe-port-range", Part),
    ("sagemaker-thread-count", Part),
    ("allow-vertex-ai", Refused),
    ("vertex-ai-port", Part),
    ("vertex-ai-thread-count", Part),
    ("vertex-ai-default-model", Part),
];

/// Takes these flags out. Returns the other arguments, and a warning for each flag that was passed over, or what to say
/// about the first that is refused.
pub(crate) fn sort(args: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, Result<Vec<String>, String>) {
    let mut args = args.into_iter();
    let mut known: Vec<OsString> = args.next().into_iter().collect();
    let mut warnings = Vec::new();
    let mut trace = Trace::default();
    let mut refused = Ok(());
    while let Some(arg) = args.next() {
        let Some((name, fate, value)) = other(&arg) else {
            known.push(arg);
            continue;
        };
        let value = value.or_else(|| args.next()?.into_string().ok()).unwrap_or_default();
        // Switching off what is not there is what there is.
        let off = matches!(value.to_ascii_lowercase().as_str(), "" | "false" | "0" | "off");
        let mut warn = || warnings.push(format!("--{name}={value} has no effect in this server"));
        let outcome = match fate {
            TraceConfig => trace.config(&value).map(|more| {
                if more {
                    warn();
                }
            }),
            TraceLevel => trace.level(&value),
            Refused if !off => Err(unsupported(name)),
            Ignored | Part if !off => {
                warn();
                Ok(())
            }
            Refused | Ignored | Part => Ok(()),
        };
        refused = refused.and(outcome);
    }
    if let Some(flag) = trace.refused() {
        refused = refused.and_then(|()| Err(unsupported(flag.trim_start_matches('-'))));
    }
    (known, refused.map(|()| warnings))
}

fn unsupported(flag: &str) -> String {
    format!("--{flag} is a flag of tritonserver that is not supported yet")
}

/// The flag, and its value if it is part of the argument.
fn other(arg: &OsStr) -> Option<(&'static str, Fate, Option<String>)> {
    let flag = arg.to_str()?.strip_prefix("--")?;
    let (name, value) =
        flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
    let (name, fate) = OTHERS.iter().find(|(other, _)| *other == name)?;
    Some((name, *fate, value))
}

/// What `--help` says of them.
pub(super) fn help() -> String {
    let those = |wanted: fn(Fate) -> bool| {
        let names = OTHERS.iter().filter(move |(_, fate)| wanted(*fate)).map(|(name, _)| *name);
        list(names)
    };
    format!(
        "Flags of tritonserver that are accepted, with a warning, and have no effect here:\n{}\n\n\
         Flags of tritonserver that are accepted as long as they switch off what is not supported yet:\n{}",
        those(|fate| matches!(fate, Ignored | Part)),
        those(|fate| !matches!(fate, Ignored | Part)),
    )
}

/// Names in indented lines of some length.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const WIDTH: usize = 100;
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + name.len() + 4 <= WIDTH => line.extend([", --", name]),
            _ => lines.push(format!("  --{name}")),
        }
    }
    lines.join(",\n")
}

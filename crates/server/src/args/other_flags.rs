//! Flags of tritonserver that this server does not have: those that ask for an unsupported feature are refused by name,
//! those that only tune a missing mechanism are ignored with a warning.

use std::ffi::{OsStr, OsString};

/// How a flag is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    /// Asks for a feature that clients would notice. Refused, unless the value switches the feature off.
    Refused,
    /// Tunes a mechanism that this server does not have.
    Ignored,
    /// Only has a meaning together with another flag, which is refused.
    Part,
}

use Treatment::{Ignored, Part, Refused};

/// Every one of these flags takes a value.
const OTHERS: [(&str, Treatment); 17] = [
    ("enable-peer-access", Ignored),
    ("http-thread-count", Ignored),
    ("grpc-infer-thread-count", Ignored),
    ("grpc-infer-allocation-pool-size", Ignored),
    ("grpc-max-response-pool-size", Ignored),
    ("repoagent-directory", Ignored),
    ("cache-directory", Ignored),
    ("cuda-virtual-address-size", Ignored),
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

/// Removes these flags. Returns the other arguments, and a warning for each ignored flag, or the message about the
/// first refused one.
pub(crate) fn sort(args: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, Result<Vec<String>, String>) {
    let mut args = args.into_iter();
    let mut known: Vec<OsString> = args.next().into_iter().collect();
    let mut warnings = Vec::new();
    let mut refused = Ok(());
    while let Some(arg) = args.next() {
        let Some((name, treatment, value)) = other(&arg) else {
            known.push(arg);
            continue;
        };
        let value = value.or_else(|| args.next()?.into_string().ok()).unwrap_or_default();
        // Switching a missing feature off is accepted.
        let off = matches!(value.to_ascii_lowercase().as_str(), "" | "false" | "0" | "off");
        let mut warn = || warnings.push(format!("--{name}={value} has no effect in this server"));
        let outcome = match treatment {
            Refused if !off => Err(unsupported(name)),
            Ignored | Part if !off => {
                warn();
                Ok(())
            }
            Refused | Ignored | Part => Ok(()),
        };
        refused = refused.and(outcome);
    }
    (known, refused.map(|()| warnings))
}

/// Whether a flag is one of these, all of which take a value.
pub(crate) fn takes(name: &str) -> bool {
    OTHERS.iter().any(|(other, _)| *other == name)
}

/// What becomes of such a flag: why it can be left out, or why it is refused. `None` if it is none of these.
pub(crate) fn outcome(name: &str, value: &str) -> Option<Result<&'static str, String>> {
    let flag = OsString::from(format!("--{name}={value}"));
    takes(name).then(|| sort([OsString::new(), flag]).1.map(|_| reason(name)))
}

/// Why a flag has no effect.
fn reason(name: &str) -> &'static str {
    match name {
        "http-thread-count" | "grpc-infer-thread-count" => {
            "--io-thread-count is for HTTP and gRPC alike, and by default one a core"
        }
        "grpc-infer-allocation-pool-size" | "grpc-max-response-pool-size" => "no pools are kept",
        "enable-peer-access" | "cuda-virtual-address-size" => "memory of GPUs is managed otherwise",
        "repoagent-directory" => "the checksum agent is built in",
        "cache-directory" => "the local cache is built in",
        "buffer-manager-thread-count" => "tensors are copied by the threads that need them",
        _ => "switched off, or only for what is switched off",
    }
}

fn unsupported(flag: &str) -> String {
    format!("--{flag} is a flag of tritonserver that is not supported yet")
}

/// The flag, how it is treated, and its value if it is part of the argument.
fn other(arg: &OsStr) -> Option<(&'static str, Treatment, Option<String>)> {
    let flag = arg.to_str()?.strip_prefix("--")?;
    let (name, value) =
        flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
    let (name, treatment) = OTHERS.iter().find(|(other, _)| *other == name)?;
    Some((name, *treatment, value))
}

/// The text about these flags in `--help`.
pub(super) fn help() -> String {
    let those = |wanted: fn(Treatment) -> bool| {
        let names = OTHERS.iter().filter(move |(_, treatment)| wanted(*treatment)).map(|(name, _)| *name);
        list(names)
    };
    format!(
        "Flags of tritonserver that are taken, with a warning, and have no effect:\n{}\n\n\
         Flags of tritonserver that are taken as long as they switch off what is not\nsupported yet:\n{}",
        those(|treatment| matches!(treatment, Ignored | Part)),
        those(|treatment| !matches!(treatment, Ignored | Part)),
    )
}

/// Formats names as indented lines of limited length.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const WIDTH: usize = 77;
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + name.len() + 4 <= WIDTH => line.extend([", --", name]),
            _ => lines.push(format!("  --{name}")),
        }
    }
    lines.join(",\n")
}

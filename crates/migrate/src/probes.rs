//! Probes of a container in Kubernetes.

use serde_json::Value;

use crate::render::flow;
use crate::{Finding, Verdict};

pub(crate) const NAMES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

/// The members of a probe that say how it asks.
const HOW: [&str; 4] = ["exec", "httpGet", "grpc", "tcpSocket"];

/// The probes that a container had; where it serves on and on, also those that it should have.
pub(crate) fn of(container: &Value, serves: bool, around: &mut Vec<Finding>) -> Vec<(String, Value)> {
    let mut probes: Vec<(String, Value)> = Vec::new();
    let mut new = Vec::new();
    for name in NAMES {
        match container.get(name) {
            Some(probe) => probes.push((name.to_owned(), probe.clone())),
            None if serves => {
                new.push(name);
                probes.push((name.to_owned(), Value::Null));
            }
            None => {}
        }
    }
    if !new.is_empty() {
        let why = "is not there: what is printed has it, as models may take long to load and may fail later";
        around.push(Finding::new(Verdict::Different, new.join(", "), why));
    }
    probes
}

/// What becomes of a probe.
pub(crate) fn finding(name: &str, probe: &Value) -> Finding {
    if probe.get("exec").is_some() {
        let why = "the image has no shell: httpGet of /v2/health/live and /v2/health/ready, or grpc; its times stay";
        return Finding::new(Verdict::Different, name, why);
    }
    Finding::new(Verdict::Kept, name, "")
}

/// The lines of the probes of a server with these flags.
pub(crate) fn lines(probes: &[(String, Value)], flags: &[String]) -> String {
    let line = |(name, probe): &(String, Value)| format!("  {name}: {{{}}}\n", line(name, probe, flags));
    probes.iter().map(line).collect()
}

fn line(name: &str, probe: &Value, flags: &[String]) -> String {
    let members = probe.as_object();
    let is_how = |member: &str| HOW.contains(&member);
    // A shell or curl is not in the image, and whoever asks in another way goes on.
    let how = members
        .and_then(|members| members.iter().find(|(member, _)| is_how(member) && *member != "exec"))
        .map_or_else(|| asks(name, flags), |(member, value)| format!("{member}: {}", flow(member, value)));
    let mut parts = vec![how];
    match members {
        Some(members) => {
            let times = members.iter().filter(|(member, _)| !is_how(member));
            parts.extend(times.map(|(member, value)| format!("{member}: {}", flow(member, value))));
        }
        None if name == "startupProbe" => parts.push("periodSeconds: 2, failureThreshold: 150".to_owned()),
        None => {}
    }
    parts.join(", ")
}

/// How the server is asked: by HTTP where that is served, otherwise by gRPC.
fn asks(name: &str, flags: &[String]) -> String {
    let value = |name: &str| flags.iter().rev().find_map(|flag| flag.strip_prefix(name)?.strip_prefix('='));
    let is_off = |name: &str| value(name).is_some_and(|value| matches!(value, "false" | "0" | "off"));
    let port = |name: &str, default: &'static str| flow("port", &Value::from(value(name).unwrap_or(default)));
    if is_off("--allow-http") {
        return format!("grpc: {{port: {}}}", port("--grpc-port", "8001"));
    }
    let what = if name == "livenessProbe" { "live" } else { "ready" };
    format!("httpGet: {{path: /v2/health/{what}, port: {}}}", port("--http-port", "8000"))
}

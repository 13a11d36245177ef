//! The new command, in the form of the old one.

use std::fmt::Write;

use crate::shell::quoted;
use crate::{Form, Order};

/// The probes of a container: by HTTP where that is served, otherwise by gRPC.
fn probes(flags: &[String]) -> String {
    let value = |name: &str| flags.iter().rev().find_map(|flag| flag.strip_prefix(name)?.strip_prefix('='));
    let off = |name: &str| value(name).is_some_and(|value| matches!(value, "false" | "0" | "off"));
    let (live, ready) = if off("--allow-http") {
        let probe = format!("grpc: {{port: {}}}", value("--grpc-port").unwrap_or("8001"));
        (probe.clone(), probe)
    } else {
        let port = value("--http-port").unwrap_or("8000");
        let probe = |what: &str| format!("httpGet: {{path: /v2/health/{what}, port: {port}}}");
        (probe("live"), probe("ready"))
    };
    format!(
        "  livenessProbe: {{{live}}}\n  readinessProbe: {{{ready}}}\n  \
         startupProbe: {{{ready}, periodSeconds: 2, failureThreshold: 150}}\n"
    )
}

impl Order {
    /// The command or the lines that take the place of the old ones, with these flags for the server.
    pub fn rewritten(&self, flags: &[String], version: &str) -> String {
        let image = format!("hippocamp{}:{version}", if self.gpus { "-cuda" } else { "" });
        // Compose and Kubernetes read two dollar signs as one that is not expanded.
        let literal = |flag: &String| flag.replace('\u{e024}', "$$");
        let list: Vec<String> = flags.iter().map(literal).map(|flag| crate::plain(&flag)).collect();
        let list = serde_json::to_string(&list).unwrap_or_default();
        match &self.form {
            Form::Plain => joined(&["hippocamp".to_owned()], flags),
            Form::Run { tool, options } => {
                let mut front = vec![tool.clone(), "run".to_owned()];
                front.extend(options.iter().cloned());
                front.push(image);
                joined(&front, flags)
            }
            Form::Compose { service } => {
                format!(
                    "services:\n  {service}:\n    image: {image}\n    command: {list}\n    read_only: true\n    stop_grace_period: 40s\n"
                )
            }
            Form::Kubernetes { container } => {
                format!("- name: {container}\n  image: {image}\n  args: {list}\n{}", probes(flags))
            }
        }
    }
}

/// A command line of one flag a line.
fn joined(front: &[String], flags: &[String]) -> String {
    let mut text = front.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    for flag in flags {
        let _ = write!(text, " \\\n    {}", quoted(flag));
    }
    text.push('\n');
    text
}

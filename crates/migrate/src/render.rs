//! The new command, in the form of the old one.

use std::fmt::Write;

use crate::shell::quoted;
use crate::{Form, Order, program};

/// The probes of a container: by HTTP where that is served, otherwise by gRPC.
fn probes(flags: &[String]) -> String {
    let value = |name: &str| flags.iter().rev().find_map(|flag| flag.strip_prefix(name)?.strip_prefix('='));
    let off = |name: &str| value(name).is_some_and(|value| matches!(value, "false" | "0" | "off"));
    let (live, ready) = if off("--allow-http") {
        let probe = format!("grpc: {{port: {}}}", yaml_text(value("--grpc-port").unwrap_or("8001")));
        (probe.clone(), probe)
    } else {
        let port = value("--http-port").unwrap_or("8000");
        let port = yaml_text(port);
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
            Form::Plain => joined(&[&self.front[..], &["hippocamp".to_owned()]].concat(), flags),
            Form::Run { tool, options } => {
                let mut front = [&self.front[..], &[tool.clone(), "run".to_owned()]].concat();
                front.extend(options.iter().cloned());
                front.push(image);
                joined(&front, flags)
            }
            Form::Compose { service } => {
                let service = yaml_text(service);
                format!(
                    "services:\n  {service}:\n    image: {image}\n    command: {list}\n    read_only: true\n    stop_grace_period: 40s\n"
                )
            }
            Form::Kubernetes { container } => {
                let container = yaml_text(container);
                format!("- name: {container}\n  image: {image}\n  args: {list}\n{}", probes(flags))
            }
        }
    }
}

/// A text as YAML: as it is where that is the same text, in quotation marks otherwise.
fn yaml_text(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if text.starts_with(|letter: char| letter.is_ascii_alphanumeric()) && text.chars().all(is_plain) {
        return text.to_owned();
    }
    serde_json::to_string(&crate::plain(text)).unwrap_or_default()
}

/// A command line of one flag a line.
fn joined(front: &[String], flags: &[String]) -> String {
    let mut text = front.iter().map(|word| assignment(word)).collect::<Vec<_>>().join(" ");
    for flag in flags {
        let _ = write!(text, " \\\n    {}", quoted(flag));
    }
    text.push('\n');
    text
}

/// A word in which the name of a variable stays outside of the quotation marks, as it would be none within them.
fn assignment(word: &str) -> String {
    match word.split_once('=').filter(|(name, _)| program::is_variable(name)) {
        Some((name, value)) if !value.is_empty() => format!("{name}={}", quoted(value)),
        Some(_) => word.to_owned(),
        None => quoted(word),
    }
}

//! The new command, in the form of the old one.

use std::fmt::Write;

use crate::{Form, Order};

impl Order {
    /// The command or the lines that take the place of the old ones, with these flags for the server.
    pub fn rewritten(&self, flags: &[String], version: &str) -> String {
        let image = format!("hippocamp{}:{version}", if self.gpus { "-cuda" } else { "" });
        let list = serde_json::to_string(flags).unwrap_or_default();
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
            Form::Kubernetes { container } => format!(
                "- name: {container}\n  image: {image}\n  args: {list}\n  \
                 livenessProbe: {{httpGet: {{path: /v2/health/live, port: 8000}}}}\n  \
                 readinessProbe: {{httpGet: {{path: /v2/health/ready, port: 8000}}}}\n  \
                 startupProbe: {{httpGet: {{path: /v2/health/ready, port: 8000}}, periodSeconds: 2, failureThreshold: 150}}\n"
            ),
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

/// A word as a shell reads it back. Variables are left for the shell.
pub fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_=./:,@%+{}$".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

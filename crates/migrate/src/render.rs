//! The new command, in the form of the old one.

use std::fmt::Write;

use serde_json::Value;

use crate::shell::quoted;
use crate::yaml::scalar;
use crate::{Form, IMAGE, IMAGE_FILE, Order, helm, kserve, probes, program};

impl Order {
    /// The command or the lines that take the place of the old ones, with these flags for the server.
    pub fn rewritten(&self, flags: &[String], version: &str) -> String {
        let image = format!("hippocamp{}:{version}", if self.gpus { "-cuda" } else { "" });
        // Compose and Kubernetes read two dollar signs as one that is not expanded.
        let literal = |flag: &String| flag.replace('\u{e024}', "$$");
        let list: Vec<String> = flags.iter().map(literal).map(|flag| crate::plain(&flag)).collect();
        let list = serde_json::to_string(&list).unwrap_or_default();
        match &self.form {
            Form::Plain => self.joined(&["hippocamp".to_owned()], flags),
            Form::Run { words } => {
                let file = format!("hippocamp{}.sif", if self.gpus { "-cuda" } else { "" });
                let named = |word: &String| word.replace(IMAGE, &image).replace(IMAGE_FILE, &file);
                self.joined(&words.iter().map(named).collect::<Vec<_>>(), flags)
            }
            Form::Unit { key } => {
                format!("{key}={}", self.joined(&["/usr/bin/hippocamp".to_owned()], flags))
            }
            Form::Compose { service } => {
                let service = yaml_text(service);
                format!(
                    "services:\n  {service}:\n    image: {image}\n    command: {list}\n    read_only: true\n    stop_grace_period: 40s\n"
                )
            }
            Form::Kubernetes { container, probes } => {
                let name = Some(container)
                    .filter(|name| !name.is_empty())
                    .map(|name| format!("name: {}\n  ", yaml_text(name)));
                let probes = probes::lines(probes, flags);
                format!("- {}image: {image}\n  args: {list}\n{probes}", name.unwrap_or_default())
            }
            Form::InferenceService { format, protocol, storage_uri } => {
                let args: Vec<String> = flags.iter().map(literal).map(|flag| crate::plain(&flag)).collect();
                kserve::rewritten(format, protocol.as_deref(), storage_uri.as_deref(), &args)
            }
            Form::Helm { values } => helm::rewritten(values, self.gpus, flags),
            Form::Quadlet { lines } => {
                let lines: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
                let exec: Vec<String> = flags.iter().map(|flag| quoted(flag)).collect();
                format!("[Container]\nImage={image}\n{lines}Exec={}\n", exec.join(" "))
            }
            Form::Dockerfile { lines } => {
                let lines: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
                format!("FROM {image}\n{lines}CMD {list}\n")
            }
        }
    }

    /// A command line with the words and lines of the old one around it.
    fn joined(&self, words: &[String], flags: &[String]) -> String {
        let mut text: String = self.before.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        text.push_str(&joined(&[&self.front[..], words].concat(), flags, &self.behind));
        text
    }
}

/// A value as YAML on one line. Numbers are numbers where Kubernetes wants them: the reader has texts alone.
pub(crate) fn flow(member: &str, value: &Value) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Object(members) => {
            let part =
                |(name, value): (&String, &Value)| format!("{}: {}", yaml_text(name), flow(name, value));
            format!("{{{}}}", list(members.iter().map(part).collect()))
        }
        Value::Array(entries) => format!("[{}]", list(entries.iter().map(|entry| flow("", entry)).collect())),
        value => {
            let text = scalar(value);
            let is_count = matches!(member, "port" | "replicas" | "gpus")
                || ["Seconds", "Threshold"].iter().any(|end| member.ends_with(end));
            let is_number = !text.is_empty() && text.chars().all(|letter| letter.is_ascii_digit());
            let path = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
            let is_path = text.starts_with('/') && text.chars().all(path);
            if is_path || (is_count && is_number) { text } else { yaml_text(&text) }
        }
    }
}

/// A text as YAML: as it is where that is the same text, and no number and no truth, in quotation marks otherwise.
pub(crate) fn yaml_text(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let is_word = text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && !matches!(
            &*text.to_ascii_lowercase(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    // As addresses and versions have, and no number.
    let has_dots = text.starts_with(|letter: char| letter.is_ascii_digit()) && text.matches('.').count() > 1;
    if (is_word || has_dots) && text.chars().all(is_plain) {
        return text.to_owned();
    }
    serde_json::to_string(&crate::plain(text)).unwrap_or_default()
}

/// A command line of one flag a line.
fn joined(front: &[String], flags: &[String], behind: &[String]) -> String {
    let mut text = front.iter().map(|word| assignment(word)).collect::<Vec<_>>().join(" ");
    for flag in flags {
        let _ = write!(text, " \\\n    {}", quoted(flag));
    }
    if !behind.is_empty() {
        let _ = write!(text, " \\\n    {}", behind.join(" "));
    }
    text.push('\n');
    text
}

/// A word in which the name of a variable stays outside of the quotation marks, as it would be none within them.
pub(crate) fn assignment(word: &str) -> String {
    match word.split_once('=').filter(|(name, _)| program::is_variable(name)) {
        Some((name, value)) if !value.is_empty() => format!("{name}={}", quoted(value)),
        Some(_) => word.to_owned(),
        None => quoted(word),
    }
}

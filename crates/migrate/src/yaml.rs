//! YAML as the values of JSON, which manifests are. Every scalar is a text: nothing here asks for a number.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// How many nodes a file may have, with what its aliases repeat.
const MAX_NODES: usize = 200_000;

/// How many bytes its texts may have, with what its aliases repeat.
const MAX_BYTES: usize = 16 << 20;

/// How deep its sequences and mappings may be in each other.
const MAX_DEPTH: usize = 200;

/// A sequence or a mapping that is being read.
struct Open {
    value: Value,
    key: Option<String>,
    anchor: usize,
}

/// What has been read of a file.
#[derive(Default)]
struct Reader {
    documents: Vec<Value>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Value>,
    nodes: usize,
    bytes: usize,
}

/// The documents of a file, without empty ones.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let mut reader = Reader::default();
    for next in Parser::new_from_str(text) {
        let (event, _) = next.map_err(|error| format!("it is neither a command line nor YAML: {error}"))?;
        reader.take(event)?;
        if reader.open.len() > MAX_DEPTH {
            return Err(format!("it is more than {MAX_DEPTH} levels deep"));
        }
    }
    Ok(reader.documents)
}

impl Reader {
    fn count(&mut self, (nodes, bytes): (usize, usize)) -> Result<(), String> {
        (self.nodes, self.bytes) = (self.nodes + nodes, self.bytes + bytes);
        if self.nodes > MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} nodes"));
        }
        if self.bytes > MAX_BYTES {
            return Err(format!("it has more than {MAX_BYTES} bytes of text"));
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let nothing = style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null");
                let value = if nothing { Value::Null } else { Value::String(text.into_owned()) };
                let bytes = text_bytes(&value);
                self.add(value, anchor, (1, bytes))
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open { value: Value::Array(Vec::new()), key: None, anchor });
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.open.push(Open { value: Value::Object(Map::new()), key: None, anchor });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(done) => self.add(done.value, done.anchor, (1, 0)),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).ok_or("an alias is within what it names")?;
                // Counted before it is repeated.
                let (nodes, bytes) = size(value);
                let fits = self.nodes + nodes <= MAX_NODES && self.bytes + bytes <= MAX_BYTES;
                let value = if fits { value.clone() } else { Value::Null };
                self.add(value, 0, (nodes, bytes))
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Puts a node that is complete into what is open; it counts as so many nodes and bytes.
    fn add(&mut self, value: Value, anchor: usize, counts: (usize, usize)) -> Result<(), String> {
        self.count(counts)?;
        if anchor != 0 {
            self.count(size(&value))?;
            self.anchors.insert(anchor, value.clone());
        }
        let Some(open) = self.open.last_mut() else {
            if !value.is_null() {
                self.documents.push(value);
            }
            return Ok(());
        };
        match &mut open.value {
            Value::Array(entries) => entries.push(value),
            Value::Object(members) => match open.key.take() {
                None => open.key = Some(scalar(&value)),
                Some(key) if key == "<<" => merge(members, value),
                Some(key) => drop(members.insert(key, value)),
            },
            _ => {}
        }
        Ok(())
    }
}

/// How many nodes a value has, and how many bytes their texts.
fn size(value: &Value) -> (usize, usize) {
    let all = |parts: &mut dyn Iterator<Item = (usize, usize)>| {
        parts.fold((1, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    };
    match value {
        Value::Array(entries) => all(&mut entries.iter().map(size)),
        Value::Object(members) => all(&mut members.iter().map(|(key, value)| {
            let (nodes, bytes) = size(value);
            (nodes, bytes + key.len())
        })),
        text => (1, text_bytes(text)),
    }
}

fn text_bytes(value: &Value) -> usize {
    value.as_str().map_or(0, str::len)
}

/// The members of a merge key `<<`, where the mapping does not say otherwise.
fn merge(members: &mut Map<String, Value>, from: Value) {
    match from {
        Value::Object(others) => {
            for (key, value) in others {
                members.entry(key).or_insert(value);
            }
        }
        Value::Array(several) => several.into_iter().for_each(|one| merge(members, one)),
        _ => {}
    }
}

/// A command in either form: words, or a text that a shell would split.
pub(crate) fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => crate::shell::commands(text).into_iter().flatten().collect(),
        Some(Value::Array(words)) => words.iter().map(scalar).collect(),
        _ => Vec::new(),
    }
}

/// A scalar as it would be written.
pub(crate) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The text of a member, or an empty one.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_aliases_and_merge_keys() {
        let text = "# first\na: &x {b: 1, c: ~}\nd: {<<: *x, b: 2}\ne: [*x, 'null', \"q\"]\n---\n---\n- |\n  two\n  lines\n";
        let expected = [
            json!({"a": {"b": "1", "c": null}, "d": {"b": "2", "c": null}, "e": [{"b": "1", "c": null}, "null", "q"]}),
            json!(["two\nlines\n"]),
        ];
        assert_eq!(documents(text).unwrap(), expected);
        assert!(documents("a: [").unwrap_err().contains("line"));
        assert!(documents("a: *nobody").is_err());
        assert!(documents("a: &x [*x]").is_err());
    }

    #[test]
    fn what_grows_by_its_aliases_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            text.extend([
                format!("a{level}: &a{level} ["),
                below.trim_end_matches(", ").to_owned(),
                "]\n".to_owned(),
            ]);
        }
        assert!(documents(&text).unwrap_err().contains("nodes"));
        let long = format!("a: &a {}\nb: [{}*a]\n", "x".repeat(100_000), "*a, ".repeat(300));
        assert!(documents(&long).unwrap_err().contains("bytes of text"));
        for deep in [
            "[".repeat(90_000) + &"]".repeat(90_000),
            "- ".repeat(250) + "x",
            "[".repeat(230) + &"]".repeat(230),
        ] {
            assert!(documents(&deep).is_err());
        }
        assert_eq!(documents(&("[".repeat(150) + &"]".repeat(150))).unwrap().len(), 1);
    }
}

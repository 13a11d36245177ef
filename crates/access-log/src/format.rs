//! The formats of a line.

use std::fmt::{self, Write};
use std::time::Duration;

use hippocamp_log_text::JsonText;

use crate::time::Utc;
use crate::{Line, Phases};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: time, client, request, status and duration, then `name=value`.
    Text,
    /// For programs: an object a line.
    Json,
}

/// Text of others in quotes, with every character escaped that could end the line, the quotes or hide a part of them.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        JsonText(f).write_str(self.0)?;
        f.write_char('"')
    }
}

struct Hex([u8; 16]);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Format {
    /// Adds a line with its end.
    pub(crate) fn write(self, to: &mut String, line: &Line) {
        // Writing to a string does not fail.
        let _ = match self {
            Format::Text => text(to, line),
            Format::Json => json(to, line),
        };
        to.push('\n');
    }
}

fn text(to: &mut String, line: &Line) -> fmt::Result {
    let Line { client, method, path, protocol, status, .. } = line;
    write!(to, "{} {} {} {} ", Utc(line.time), Plain(client), Plain(method), Quoted(path))?;
    write!(to, "{protocol} {status} {}us", line.duration.as_micros())?;
    fields(line, |name, value| match value {
        Value::Text(text) => write!(to, " {name}={}", Quoted(text)),
        Value::Bare(bare) => write!(to, " {name}={bare}"),
    })
}

/// Text of others without quotes, if it cannot be taken for something else.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = !self.0.is_empty()
            && self.0.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'='));
        if is_plain { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}

fn json(to: &mut String, line: &Line) -> fmt::Result {
    let Line { client, method, path, protocol, status, .. } = line;
    write!(
        to,
        "{{\"time\":\"{}\",\"client\":{},\"protocol\":\"{protocol}\"",
        Utc(line.time),
        Quoted(client)
    )?;
    write!(to, ",\"method\":{},\"path\":{},\"status\":{status}", Quoted(method), Quoted(path))?;
    write!(to, ",\"duration_us\":{}", line.duration.as_micros())?;
    fields(line, |name, value| match value {
        Value::Text(text) => write!(to, ",\"{name}\":{}", Quoted(text)),
        Value::Bare(bare) => write!(to, ",\"{name}\":{bare}"),
    })?;
    to.write_char('}')
}

enum Value<'a> {
    Text(&'a str),
    /// Needs no escape.
    Bare(fmt::Arguments<'a>),
}

/// What both formats say in the same words. A trace id is text for JSON, too.
fn fields(line: &Line, mut field: impl FnMut(&str, Value<'_>) -> fmt::Result) -> fmt::Result {
    if let Some(status) = line.grpc_status {
        field("grpc_status", Value::Bare(format_args!("{status}")))?;
    }
    field("request_bytes", Value::Bare(format_args!("{}", line.request_bytes)))?;
    field("response_bytes", Value::Bare(format_args!("{}", line.response_bytes)))?;
    if let Some(model) = &line.model {
        field("model", Value::Text(model))?;
    }
    if let Some(version) = line.version {
        field("version", Value::Bare(format_args!("{version}")))?;
    }
    if !line.request_id.is_empty() {
        field("request_id", Value::Text(&line.request_id))?;
    }
    if let Some(Phases { queue, compute_input, compute_infer, compute_output }) = line.phases {
        let mut phase = |name, time: Duration| field(name, Value::Bare(format_args!("{}", time.as_micros())));
        phase("queue_us", queue)?;
        phase("compute_input_us", compute_input)?;
        phase("compute_infer_us", compute_infer)?;
        phase("compute_output_us", compute_output)?;
    }
    if line.cached {
        field("cached", Value::Bare(format_args!("true")))?;
    }
    if let Some(error) = &line.error {
        field("error", Value::Text(error))?;
    }
    if let Some(id) = line.trace_id {
        field("trace_id", Value::Text(&Hex(id).to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Line {
        Line {
            time: UNIX_EPOCH,
            client: "127.0.0.1:5".into(),
            protocol: "HTTP/1.1",
            method: "POST".into(),
            path: text.into(),
            status: 200,
            grpc_status: Some(0),
            duration: Duration::from_micros(1234),
            request_bytes: 5,
            response_bytes: 6,
            model: Some(text.into()),
            version: Some(3),
            request_id: text.into(),
            phases: Some(Phases {
                queue: Duration::from_micros(1),
                compute_input: Duration::from_micros(2),
                compute_infer: Duration::from_micros(3),
                compute_output: Duration::from_micros(4),
            }),
            cached: false,
            error: Some(text.into()),
            trace_id: Some([0xab; 16]),
        }
    }

    fn written(format: Format, line: &Line) -> String {
        let mut text = String::new();
        format.write(&mut text, line);
        text
    }

    #[test]
    fn a_line_of_each_format() {
        assert_eq!(
            written(Format::Text, &line("/m")),
            "1970-01-01T00:00:00.000000Z 127.0.0.1:5 POST \"/m\" HTTP/1.1 200 1234us grpc_status=0 request_bytes=5 \
             response_bytes=6 model=\"/m\" version=3 request_id=\"/m\" queue_us=1 compute_input_us=2 compute_infer_us=3 \
             compute_output_us=4 error=\"/m\" trace_id=\"abababababababababababababababab\"\n"
        );
        let json: serde_json::Value = serde_json::from_str(&written(Format::Json, &line("/m"))).unwrap();
        assert_eq!(
            (&json["status"], &json["compute_infer_us"], &json["model"]),
            (&200.into(), &3.into(), &"/m".into())
        );
        assert_eq!((&json["version"], &json["duration_us"]), (&3.into(), &1234.into()));
    }

    proptest! {
        /// Whatever a client sends, it is one line, and of JSON an object that has it back.
        #[test]
        fn no_text_ends_a_line(text in "\\PC*|[\\x00-\\x7f\u{85}\u{2028}\u{202e}\"\\\\]*") {
            let as_text = written(Format::Text, &line(&text));
            prop_assert!(as_text.ends_with('\n') && !as_text.trim_end_matches('\n').contains(hippocamp_log_text::is_hidden));
            // As many quotes that are not escaped as there are fields in quotes.
            let bare = as_text.replace("\\\\", "").replace("\\\"", "");
            prop_assert_eq!(bare.matches('"').count(), if text.is_empty() { 8 } else { 10 });
            let as_json = written(Format::Json, &line(&text));
            prop_assert_eq!(as_json.lines().count(), 1);
            let json: serde_json::Value = serde_json::from_str(&as_json).unwrap();
            prop_assert_eq!(json.get("request_id").is_some(), !text.is_empty());
            for name in ["path", "model", "error"] {
                prop_assert_eq!(json[name].as_str().unwrap(), &text);
            }
        }
    }
}

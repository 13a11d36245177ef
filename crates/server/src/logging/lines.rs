//! The formats of log lines. Every part of a line is escaped by `log-text` here, so that callers need not do it.

use std::fmt::{self, Debug, Write};
use std::sync::Arc;

use hippocamp_log_text::{JsonText, Visible};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::switches::Switches;
use crate::args::LogFormat;

/// The field that holds the message.
const MESSAGE: &str = "message";

/// The format that is chosen at the time.
pub(super) struct Lines(pub(super) Arc<Switches>);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.0.format() {
            LogFormat::Json => JsonLines.format_event(context, writer, event),
            LogFormat::Default | LogFormat::Iso8601 => TextLines.format_event(context, writer, event),
        }
    }
}

/// The format for people: time, level, message, and the fields as `name=value`.
pub(super) struct TextLines;

/// The format for programs: one JSON object a line, with `timestamp`, `level`, `message`, `target` and the event's
/// fields. Numeric fields are JSON numbers.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let (dimmed, color, plain) =
            if writer.has_ansi_escapes() { ("\u{1b}[2m", color(level), "\u{1b}[0m") } else { ("", "", "") };
        write!(writer, "{dimmed}")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "{plain} {color}{level:>5}{plain}")?;
        let mut fields = TextFields { line: &mut writer, outcome: Ok(()) };
        event.record(&mut fields);
        fields.outcome?;
        writeln!(writer)
    }
}

fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

struct TextFields<'a> {
    line: &'a mut dyn Write,
    outcome: fmt::Result,
}

impl Visit for TextFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let line = &mut *self.line;
        let written = match field.name() {
            MESSAGE => line.write_char(' '),
            name => write!(line, " {name}="),
        };
        self.outcome = self.outcome.and(written).and_then(|()| write!(Visible(line), "{value:?}"));
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        write!(writer, "{{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\"", metadata.level())?;
        let mut fields = JsonFields { line: &mut writer, outcome: Ok(()) };
        event.record(&mut fields);
        fields.outcome?;
        writeln!(writer, ",\"target\":\"{}\"}}", metadata.target())
    }
}

struct JsonFields<'a> {
    line: &'a mut dyn Write,
    outcome: fmt::Result,
}

impl JsonFields<'_> {
    /// Writes a field whose value is not quoted.
    fn bare(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.outcome = self.outcome.and_then(|()| write!(self.line, ",\"{}\":{value}", field.name()));
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let line = &mut *self.line;
        self.outcome = self.outcome.and_then(|()| {
            write!(line, ",\"{}\":\"", field.name())?;
            JsonText(line).write_fmt(value)?;
            line.write_char('"')
        });
    }
}

impl Visit for JsonFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinities.
        if value.is_finite() {
            self.bare(field, format_args!("{value}"));
        } else {
            self.text(field, format_args!("{value}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use tracing::{error, info};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Lines;

        fn make_writer(&'a self) -> Lines {
            self.clone()
        }
    }

    impl Lines {
        /// The lines without their timestamps.
        fn without_time(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let is_time = |c: char| c.is_ascii_digit() || "-:.TZ".contains(c);
            let lines = text.lines().map(|line| match line.strip_prefix("{\"timestamp\":\"") {
                Some(rest) => rest.trim_start_matches(is_time).to_owned(),
                None => line.trim_start_matches(is_time).to_owned(),
            });
            lines.collect()
        }
    }

    const FORGED: &str = "labels\n2026-01-01T00:00:00Z  INFO\u{2028}\u{202e}ready\0";

    #[test]
    fn a_line_of_text_is_one_line() {
        let lines = Lines::default();
        let log =
            tracing_subscriber::fmt().with_ansi(false).event_format(TextLines).with_writer(lines.clone());
        tracing::subscriber::with_default(log.finish(), || {
            error!(model = FORGED, file = %FORGED, "failed to read '{FORGED}'");
            info!(model = "m", ms = 5u128, "loaded");
        });
        let shown = r"labels\n2026-01-01T00:00:00Z  INFO\u{2028}\u{202e}ready\u{0}";
        let quoted = r"labels\n2026-01-01T00:00:00Z  INFO\u{2028}\u{202e}ready\0";
        assert_eq!(
            lines.without_time(),
            [
                format!(" ERROR failed to read '{shown}' model=\"{quoted}\" file={shown}"),
                "  INFO loaded model=\"m\" ms=5".to_owned()
            ]
        );
    }

    #[test]
    fn a_line_of_json_is_one_object_whose_numbers_are_numbers() {
        let lines = Lines::default();
        let log =
            tracing_subscriber::fmt().with_ansi(false).event_format(JsonLines).with_writer(lines.clone());
        tracing::subscriber::with_default(log.finish(), || {
            info!(target: "t", model = "a\"b", ms = 5u128, delta = -1, half = 0.5, on = true, "loaded '{FORGED}'");
            info!(target: "t", none = f64::NAN, why = %FORGED, left = Option::<u64>::None, "odd");
        });
        let shown = r"labels\n2026-01-01T00:00:00Z  INFO\u2028\u202eready\u0000";
        assert_eq!(
            lines.without_time(),
            [
                format!(
                    "\",\"level\":\"INFO\",\"message\":\"loaded '{shown}'\",\"model\":\"a\\\"b\",\"ms\":5,\
                     \"delta\":-1,\"half\":0.5,\"on\":true,\"target\":\"t\"}}"
                ),
                format!(
                    "\",\"level\":\"INFO\",\"message\":\"odd\",\"none\":\"NaN\",\"why\":\"{shown}\",\"target\":\"t\"}}"
                ),
            ]
        );
    }
}

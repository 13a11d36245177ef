//! The settings of the export: Triton's flags first, then OpenTelemetry's variables, then the defaults of both.

use std::path::PathBuf;
use std::time::Duration;

use hippocamp_trace::{ParentRule, SettingValues};
use reqwest::Url;

use crate::variables::pairs;

/// How messages travel to the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Protobuf in the body of a POST.
    Http,
    /// The call `Export` of gRPC.
    Grpc,
}

/// The settings of the export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportSettings {
    /// Where messages go: for gRPC only scheme, host and port count.
    pub endpoint: Url,
    /// How they travel.
    pub transport: Transport,
    /// Headers or metadata of every message, such as those that authenticate.
    pub headers: Vec<(String, String)>,
    /// Whether messages are compressed by gzip.
    pub gzip: bool,
    /// How long one message may take, with what is tried again.
    pub timeout: Duration,
    /// A file with the only certificates, in PEM, that a collector's is checked against; `None` for those of the system.
    pub certificates: Option<PathBuf>,
    /// The attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// How many spans may wait. Beyond that traces are dropped.
    pub max_queue_size: usize,
    /// How long spans wait for others.
    pub schedule_delay: Duration,
    /// How many spans a message has at most; no more than may wait.
    pub max_export_batch_size: usize,
    /// What the span of a client says.
    pub parents: ParentRule,
}

const HTTP: &str = "http://localhost:4318/v1/traces";
const GRPC: &str = "http://localhost:4317";

/// The port of collectors for gRPC.
const GRPC_PORT: u16 = 4317;

/// The flags and variables of batches, with their defaults.
const QUEUE: (&str, &str, usize) = ("bsp_max_queue_size", "OTEL_BSP_MAX_QUEUE_SIZE", 2048);
const DELAY: (&str, &str, usize) = ("bsp_schedule_delay", "OTEL_BSP_SCHEDULE_DELAY", 5000);
const BATCH: (&str, &str, usize) = ("bsp_max_export_batch_size", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512);

/// Flags and variables, to be looked up.
struct Given<'a> {
    flags: &'a [(String, String)],
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Given<'_> {
    /// The last flag of that name.
    fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().rfind(|(flag, _)| flag == name).map(|(_, value)| &**value)
    }

    /// A variable that is not empty.
    fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// `OTEL_EXPORTER_OTLP_TRACES_x`, or `OTEL_EXPORTER_OTLP_x`.
    fn of_exporter(&self, name: &str) -> Option<String> {
        let specific = self.variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
        specific.or_else(|| self.variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    fn number(&self, (flag, variable, default): (&str, &str, usize)) -> Result<usize, String> {
        let (option, text) = match (self.flag(flag), self.variable(variable)) {
            (Some(text), _) => (format!("--trace-config opentelemetry,{flag}"), text.to_owned()),
            (None, Some(text)) => (variable.to_owned(), text),
            (None, None) => return Ok(default),
        };
        let why = match text.parse::<i128>() {
            Ok(number) => match u32::try_from(number) {
                Ok(number) if number > 0 => return Ok(number as usize),
                _ => "Provided option value is out of bound.",
            },
            Err(_) => "Invalid option value.",
        };
        Err(format!("Bad option: \"{option}\".\n{why} Got {text}"))
    }

    fn transport(&self) -> Result<Option<Transport>, String> {
        let flag = self.flag("protocol").map(str::to_owned);
        let Some(name) = flag.or_else(|| self.of_exporter("PROTOCOL")) else { return Ok(None) };
        match name.as_str() {
            "grpc" => Ok(Some(Transport::Grpc)),
            "http/protobuf" => Ok(Some(Transport::Http)),
            _ => Err(format!(
                "expected 'grpc' or 'http/protobuf' as the protocol of OpenTelemetry's traces, got '{name}'"
            )),
        }
    }

    /// The URL as it was given, and whether a path has to be added to it.
    fn url(&self) -> Option<(String, bool)> {
        let whole = self.flag("url").map(str::to_owned);
        let whole = whole.or_else(|| self.variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
        let base = || self.variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(|url| (url, true));
        whole.map(|url| (url, false)).or_else(base)
    }

    fn endpoint(&self) -> Result<(Url, Transport), String> {
        let transport = self.transport()?;
        let (given, is_base) = self.url().unwrap_or_else(|| {
            let url = if transport == Some(Transport::Grpc) { GRPC } else { HTTP };
            (url.to_owned(), false)
        });
        let (text, by_scheme) = match given.split_once("://") {
            None => (format!("http://{given}"), None),
            Some(("grpc", rest)) => (format!("http://{rest}"), Some(Transport::Grpc)),
            Some(("grpcs", rest)) => (format!("https://{rest}"), Some(Transport::Grpc)),
            Some(_) => (given.clone(), None),
        };
        let wrong = |why: &dyn std::fmt::Display| {
            format!("the URL '{given}' of OpenTelemetry's collector is not valid: {why}")
        };
        let mut url = Url::parse(&text).map_err(|why| wrong(&why))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong(&"expected http://HOST:PORT/PATH, https:, grpc: or grpcs:"));
        }
        let by_port = url.port() == Some(GRPC_PORT) && url.path() == "/";
        let by_port = by_port.then_some(Transport::Grpc);
        let transport = by_scheme.or(transport).or(by_port).unwrap_or(Transport::Http);
        if is_base && transport == Transport::Http {
            let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Ok((url, transport))
    }

    fn resource(&self) -> Vec<(String, String)> {
        let mut all = vec![
            ("service.name".to_owned(), "triton-inference-server".to_owned()),
            ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
            ("telemetry.sdk.name".to_owned(), "hippocamp".to_owned()),
            ("telemetry.sdk.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let mut set = |key: String, value: String| match all.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => all.push((key, value)),
        };
        let variable = self.variable("OTEL_RESOURCE_ATTRIBUTES");
        for (key, value) in pairs(&variable.unwrap_or_default()) {
            set(key, value);
        }
        if let Some(name) = self.variable("OTEL_SERVICE_NAME") {
            set("service.name".to_owned(), name);
        }
        for (_, text) in self.flags.iter().filter(|(flag, _)| flag == "resource") {
            if let Some((key, value)) = text.split_once('=') {
                set(key.to_owned(), value.to_owned());
            }
        }
        all
    }

    fn parents(&self) -> Result<ParentRule, String> {
        let Some(name) = self.variable("OTEL_TRACES_SAMPLER") else { return Ok(ParentRule::default()) };
        match name.as_str() {
            "always_on" => Ok(ParentRule::Always),
            "traceidratio" | "always_off" => Ok(ParentRule::Never),
            name if name.starts_with("parentbased_") => Ok(ParentRule::AsTheClient),
            _ => Err(format!(
                "OTEL_TRACES_SAMPLER={name} is not known: expected always_on, always_off, traceidratio or parentbased_..."
            )),
        }
    }
}

impl ExportSettings {
    /// Reads the settings: `flags` are what stood behind `--trace-config=opentelemetry,`, and `variable` returns the value of
    /// an environment variable. The error names the flag or variable.
    pub fn new(
        flags: &[(String, String)],
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ExportSettings, String> {
        let given = Given { flags, variable };
        let (endpoint, transport) = given.endpoint()?;
        let max_queue_size = given.number(QUEUE)?;
        let timeout = given.of_exporter("TIMEOUT").map_or(Ok(10_000), |text| {
            let wrong = |_| format!("OTEL_EXPORTER_OTLP_TIMEOUT={text}: expected a number of milliseconds");
            text.parse::<u64>().map_err(wrong)
        });
        let gzip = match given.of_exporter("COMPRESSION").as_deref() {
            None | Some("none") => false,
            Some("gzip") => true,
            Some(other) => {
                return Err(format!("OTEL_EXPORTER_OTLP_COMPRESSION={other}: expected gzip or none"));
            }
        };
        Ok(ExportSettings {
            endpoint,
            transport,
            headers: pairs(&given.of_exporter("HEADERS").unwrap_or_default()),
            gzip,
            timeout: Duration::from_millis(timeout?),
            certificates: given.of_exporter("CERTIFICATE").map(PathBuf::from),
            resource: given.resource(),
            max_queue_size,
            schedule_delay: Duration::from_millis(given.number(DELAY)? as u64),
            max_export_batch_size: given.number(BATCH)?.min(max_queue_size),
            parents: given.parents()?,
        })
    }

    /// The settings that clients see: those of batches always, others if they were given.
    pub fn shown(&self, flags: &[(String, String)]) -> SettingValues {
        let one = |name: &str, value: String| (name.to_owned(), vec![value]);
        let mut shown = vec![
            one(QUEUE.0, self.max_queue_size.to_string()),
            one(DELAY.0, self.schedule_delay.as_millis().to_string()),
            one(BATCH.0, self.max_export_batch_size.to_string()),
        ];
        for name in ["url", "resource", "protocol"] {
            let values: Vec<String> =
                flags.iter().filter(|(flag, _)| flag == name).map(|(_, value)| value.clone()).collect();
            if !values.is_empty() {
                shown.push((name.to_owned(), values));
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(flags: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<ExportSettings, String> {
        let flags: Vec<_> = flags.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        ExportSettings::new(&flags, &find)
    }

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn endpoint(flags: &[(&str, &str)], variables: &[(&str, &str)]) -> (String, Transport) {
        let settings = settings(flags, variables).unwrap();
        (settings.endpoint.to_string(), settings.transport)
    }

    #[test]
    fn the_transport_follows_from_the_url_or_is_named() {
        use Transport::{Grpc, Http};
        let base = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";
        let cases: [(Pairs<'_>, Pairs<'_>, &str, Transport); 11] = [
            (&[], &[], "http://localhost:4318/v1/traces", Http),
            (&[], &[(protocol, "grpc")], "http://localhost:4317/", Grpc),
            (&[("url", "http://c:1/x")], &[(base, "http://d")], "http://c:1/x", Http),
            (&[("url", "grpc://c:1")], &[(protocol, "http/protobuf")], "http://c:1/", Grpc),
            (&[("url", "grpcs://c:1")], &[], "https://c:1/", Grpc),
            (&[("url", "http://c:4317")], &[], "http://c:4317/", Grpc),
            (&[("url", "http://c:4317")], &[(protocol, "http/protobuf")], "http://c:4317/", Http),
            (&[("url", "c:1"), ("protocol", "grpc")], &[(protocol, "http/protobuf")], "http://c:1/", Grpc),
            (&[], &[(base, "https://c:1/p/")], "https://c:1/p/v1/traces", Http),
            (&[], &[(base, "https://c:1"), (traces, "http://d:2/t")], "http://d:2/t", Http),
            (
                &[],
                &[(base, "http://c:4317"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")],
                "http://c:4317/",
                Grpc,
            ),
        ];
        for (flags, variables, url, transport) in cases {
            assert_eq!(endpoint(flags, variables), (url.to_owned(), transport), "{flags:?} {variables:?}");
        }
    }

    #[test]
    fn flags_win_over_variables() {
        let variables = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=1,service.name=x,b=2"),
            ("OTEL_SERVICE_NAME", "y"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_TRACES_SAMPLER", "always_on"),
        ];
        let flags =
            [("bsp_schedule_delay", "30"), ("resource", "b=3"), ("resource", "c=d=e"), ("url", "http://h/")];
        let settings = settings(&flags, &variables).unwrap();
        assert_eq!((settings.max_queue_size, settings.max_export_batch_size), (100, 100));
        assert_eq!((settings.schedule_delay, settings.gzip), (Duration::from_millis(30), true));
        assert_eq!(settings.headers, [("authorization".to_owned(), "Bearer t".to_owned())]);
        assert_eq!(settings.parents, ParentRule::Always);
        let of = |key: &str| settings.resource.iter().find(|(k, _)| k == key).map(|(_, v)| &**v);
        assert_eq!(
            (of("service.name"), of("a"), of("b"), of("c")),
            (Some("y"), Some("1"), Some("3"), Some("d=e"))
        );
        let given: Vec<_> = flags.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let shown: Vec<(String, String)> =
            settings.shown(&given).into_iter().map(|(name, values)| (name, values.join(","))).collect();
        let expected = [
            ("bsp_max_queue_size", "100"),
            ("bsp_schedule_delay", "30"),
            ("bsp_max_export_batch_size", "100"),
            ("url", "http://h/"),
            ("resource", "b=3,c=d=e"),
        ];
        assert_eq!(shown, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn faults_name_the_flag_or_the_variable() {
        let fault =
            |flags: &[(&str, &str)], variables: &[(&str, &str)]| settings(flags, variables).unwrap_err();
        assert_eq!(
            fault(&[("bsp_max_queue_size", "x")], &[]),
            "Bad option: \"--trace-config opentelemetry,bsp_max_queue_size\".\nInvalid option value. Got x"
        );
        assert_eq!(
            fault(&[], &[("OTEL_BSP_SCHEDULE_DELAY", "-1")]),
            "Bad option: \"OTEL_BSP_SCHEDULE_DELAY\".\nProvided option value is out of bound. Got -1"
        );
        for url in ["ftp://h/", "http://", "http://h:x/"] {
            assert!(fault(&[("url", url)], &[]).contains(&format!("the URL '{url}'")), "{url}");
        }
        assert!(fault(&[("protocol", "http/json")], &[]).contains("got 'http/json'"));
        assert!(fault(&[], &[("OTEL_TRACES_SAMPLER", "jaeger")]).contains("OTEL_TRACES_SAMPLER=jaeger"));
    }
}

//! The settings in use, and the decision whether a request is traced.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hippocamp_events::TraceContext;
use tracing::error;

use crate::unfinished::Unfinished;
use crate::{Change, NoSink, Resolved, Setting, SettingFault, Settings, StartSettings, Trace, TraceSink};

/// Where traces go. It is chosen when the server is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Triton's trace file.
    #[default]
    Triton,
    /// A collector that speaks OTLP.
    OpenTelemetry,
}

impl Mode {
    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Triton => "triton",
            Mode::OpenTelemetry => "opentelemetry",
        }
    }

    /// The mode that a flag names, in any case.
    pub fn of_flag(text: &str) -> Result<Mode, String> {
        let name = text.to_ascii_lowercase();
        [Mode::Triton, Mode::OpenTelemetry].into_iter().find(|mode| mode.name() == name).ok_or_else(|| {
            format!(
                "invalid value for trace mode option: {name}. Available options are \"triton\" and \"opentelemetry\""
            )
        })
    }
}

/// What the span of a client says about whether its request is traced, in the mode `opentelemetry`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParentRule {
    /// A request is traced if its client records its own span, and is not if the client does not.
    #[default]
    AsTheClient,
    /// A request with a client's span is traced in any case, as in Triton.
    Always,
    /// A client's span says nothing; the rate decides.
    Never,
}

/// A setting with its values as clients see them.
pub type SettingValues = Vec<(String, Vec<String>)>;

/// The settings of traces in use. One a server.
#[derive(Debug)]
pub struct Tracing {
    mode: Mode,
    file: String,
    parents: ParentRule,
    /// Settings of the mode that clients can read.
    shown: SettingValues,
    /// Whether any request can be sampled.
    is_on: AtomicBool,
    unfinished: Arc<Unfinished>,
    in_use: ArcSwap<InUse>,
    settings: Mutex<Changing>,
    sink: Arc<dyn TraceSink>,
}

#[derive(Debug)]
struct InUse {
    server: Arc<Setting>,
    models: BTreeMap<String, Arc<Setting>>,
}

impl InUse {
    fn of(&self, model: &str) -> &Arc<Setting> {
        self.models.get(model).unwrap_or(&self.server)
    }
}

#[derive(Debug)]
struct Changing {
    settings: Settings,
    /// How many settings were made.
    made: u64,
}

impl Default for Tracing {
    /// Traces nothing until a client changes the settings, which needs a trace file: so nothing at all.
    fn default() -> Self {
        Tracing::new(&StartSettings::default(), ParentRule::default(), Vec::new(), Arc::new(NoSink))
    }
}

impl Tracing {
    /// The settings of a server that starts. `shown` are settings of the mode that clients can read and not change.
    pub fn new(
        start: &StartSettings,
        parents: ParentRule,
        shown: SettingValues,
        sink: Arc<dyn TraceSink>,
    ) -> Tracing {
        let mut changing = Changing { settings: Settings::new(start), made: 0 };
        let resolved = changing.settings.server();
        let server = changing.make(resolved, &sink);
        let in_use = InUse { server, models: BTreeMap::new() };
        Tracing {
            mode: start.mode,
            file: start.file.clone(),
            parents,
            shown,
            is_on: AtomicBool::new(!in_use.server.level().is_off()),
            unfinished: Arc::default(),
            in_use: ArcSwap::from_pointee(in_use),
            settings: Mutex::new(changing),
            sink,
        }
    }

    /// Whether any request can be traced. One relaxed load: to be asked before a clock is read for a trace only.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// Decides whether a request to that model is traced, and begins its trace.
    ///
    /// This is all that a protocol needs to call, once a request, when its model is known:
    ///
    /// ```
    /// # use hippocamp_trace::{Activity, Tracing};
    /// # fn request(tracing: &Tracing, headers: &std::collections::HashMap<String, String>) {
    /// let trace = tracing.sample("simple", |name| headers.get(name).map(String::as_str));
    /// # let _ = trace;
    /// # }
    /// ```
    ///
    /// `header` gets `traceparent` or `tracestate` and returns the value of the header or metadata of that name; a protocol
    /// without headers gives `|_| None`. With `Some(trace)`, [`Trace::observer`] goes into the context of the request
    /// (`InferRequest::observer`), and the trace itself is held until the response is sent; [`Trace::mark`] notes what the
    /// protocol does meanwhile. With tracing off this is one relaxed load.
    #[inline]
    pub fn sample<'h>(&self, model: &str, header: impl Fn(&str) -> Option<&'h str>) -> Option<Trace> {
        if self.is_on() { self.decide(model, &header) } else { None }
    }

    #[inline(never)]
    fn decide<'h>(&self, model: &str, header: &dyn Fn(&str) -> Option<&'h str>) -> Option<Trace> {
        let in_use = self.in_use.load();
        let setting = in_use.of(model);
        if setting.level().is_off() {
            return None;
        }
        let parent = match (self.mode, self.parents) {
            (Mode::Triton, _) => None,
            (Mode::OpenTelemetry, _) => TraceContext::of_headers(header),
        };
        let wanted = match (&parent, self.parents) {
            (None, _) | (_, ParentRule::Never) => false,
            (Some(_), ParentRule::Always) => true,
            (Some(parent), ParentRule::AsTheClient) if parent.parent.is_sampled() => true,
            (Some(_), ParentRule::AsTheClient) => return None,
        };
        setting.sample(wanted).then(|| Trace::begin(Arc::clone(setting), &self.unfinished, parent))
    }

    /// The settings of a model, or with `None` of the server, as clients see them.
    pub fn settings(&self, model: Option<&str>) -> SettingValues {
        let in_use = self.in_use.load();
        let setting = model.map_or(&in_use.server, |model| in_use.of(model)).shown();
        let one = |name: &str, value: String| (name.to_owned(), vec![value]);
        let mut values = vec![
            ("trace_level".to_owned(), setting.level.names()),
            one("trace_rate", setting.rate.to_string()),
            one("trace_count", setting.count.to_string()),
        ];
        if self.mode == Mode::Triton {
            values.push(one("log_frequency", setting.log_frequency.to_string()));
            values.push(one("trace_file", self.file.clone()));
        }
        values.push(one("trace_mode", self.mode.name().to_owned()));
        values.extend(self.shown.iter().cloned());
        values
    }

    /// Changes the settings of a model, or with `None` of the server. The change counts for requests that are sampled from now
    /// on. On an error nothing has changed.
    pub fn change(&self, model: Option<&str>, change: &Change) -> Result<(), SettingFault> {
        let mut changing = self.changing();
        let in_use = self.in_use.load_full();
        changing.settings.note_remaining(None, in_use.server.remaining());
        for (name, setting) in &in_use.models {
            changing.settings.note_remaining(Some(name), setting.remaining());
        }
        changing.settings.change(model, change)?;
        let server = match model {
            None => {
                let resolved = changing.settings.server();
                changing.make(resolved, &self.sink)
            }
            Some(_) => Arc::clone(&in_use.server),
        };
        let resolved: Vec<_> =
            changing.settings.models().map(|(name, resolved)| (name.to_owned(), resolved)).collect();
        let models = resolved.into_iter().map(|(name, resolved)| {
            let kept = in_use.models.get(&name).filter(|_| model.is_some_and(|model| model != name));
            let setting = kept.map_or_else(|| changing.make(resolved, &self.sink), Arc::clone);
            (name, setting)
        });
        let next = InUse { models: models.collect(), server };
        let is_on = next.models.values().chain([&next.server]).any(|setting| !setting.level().is_off());
        self.is_on.store(is_on, Relaxed);
        self.in_use.store(Arc::new(next));
        Ok(())
    }

    /// The number of traces that were dropped because too many waited to be written or sent.
    pub fn dropped(&self) -> u64 {
        self.sink.dropped()
    }

    /// The number of traces that the collector did not take.
    pub fn failed(&self) -> u64 {
        self.sink.failed()
    }

    /// Writes or sends the traces of all requests that are done, within that time. No request is traced from then on.
    pub fn close(&self, within: Duration) {
        self.is_on.store(false, Relaxed);
        self.sink.close(within);
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changing {
    fn make(&mut self, resolved: Resolved, sink: &Arc<dyn TraceSink>) -> Arc<Setting> {
        self.made += 1;
        if resolved.level.tensors && self.settings.mode() == Mode::OpenTelemetry {
            error!("Tensor level tracing is not supported by the mode: opentelemetry");
        }
        let is_usable = self.settings.usable(resolved).is_ok();
        Arc::new(Setting::new(resolved, is_usable, self.made, Arc::clone(sink)))
    }
}

#[cfg(test)]
mod tests;

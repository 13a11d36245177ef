//! Flags of traces.

use clap::{ArgAction, Args};
use hippocamp_trace::{Flags, StartSettings};

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Traces")]
#[allow(clippy::struct_field_names, reason = "a field's name is the flag's")]
pub(crate) struct TraceArgs {
    /// A setting of traces; may be repeated. level=TIMESTAMPS or TENSORS traces every request in so many as rate=N says (1000),
    /// count=N of them (-1: no limit), into the file of triton,file=PATH, or by mode=opentelemetry to the collector at
    /// opentelemetry,url=URL. See docs/tracing.md.
    #[arg(long, value_name = "[MODE,]SETTING=VALUE", action = ArgAction::Append)]
    pub(crate) trace_config: Vec<String>,

    /// Older name of --trace-config=triton,file=PATH.
    #[arg(long, value_name = "PATH")]
    pub(crate) trace_file: Option<String>,

    /// Older name of --trace-config=level=LEVEL; OFF cancels every level.
    #[arg(long, value_name = "LEVEL", action = ArgAction::Append)]
    pub(crate) trace_level: Vec<String>,

    /// Older name of --trace-config=rate=N.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) trace_rate: Option<String>,

    /// Older name of --trace-config=count=N.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) trace_count: Option<String>,

    /// Older name of --trace-config=triton,log-frequency=N.
    #[arg(long, value_name = "N", allow_negative_numbers = true, alias = "trace-log-frequency")]
    pub(crate) log_frequency: Option<String>,
}

impl TraceArgs {
    /// The settings that the flags make, and a warning for each older one.
    pub(crate) fn start(&self) -> Result<(StartSettings, Vec<String>), String> {
        let mut flags = Flags::default();
        self.trace_config.iter().try_for_each(|value| flags.config(value))?;
        let levels = self.trace_level.iter().map(|level| ("trace-level", Some(level)));
        let older = [
            ("trace-file", self.trace_file.as_ref()),
            ("trace-rate", self.trace_rate.as_ref()),
            ("trace-count", self.trace_count.as_ref()),
            ("log-frequency", self.log_frequency.as_ref()),
        ];
        let mut warnings = Vec::new();
        for (name, value) in levels.chain(older) {
            if let Some(value) = value {
                flags.deprecated(name, value)?;
                warnings.push(format!("--{name} is deprecated; --trace-config replaces it"));
            }
        }
        Ok((flags.finish(), warnings))
    }
}

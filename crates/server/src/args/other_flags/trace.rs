//! The flags of tracing, which is not supported yet: enabling it is refused; only configuring it or switching it off is
//! not.

/// Collects the flags one after the other.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// The first flag that enables tracing.
    wanted: Option<String>,
    /// Whether `--trace-level=OFF` was given, which overrides every level; `level=OFF` in a `--trace-config` overrides
    /// nothing.
    cancelled: bool,
}

impl Trace {
    /// Adds a `--trace-config`. True if it does more than switch tracing off. Fails if it cannot be parsed.
    pub(super) fn config(&mut self, value: &str) -> Result<bool, String> {
        let (mode, setting) = match value.split_once(',') {
            // A comma after the equals sign is part of the value.
            Some((mode, setting)) if !mode.contains('=') => (Some(mode), setting),
            _ => (None, value),
        };
        if mode == Some("") {
            return Err(format!(
                "No trace mode specified. --trace-config option format is <trace mode>,<setting>=<value> or \
                 <setting>=<value>. Got {value}"
            ));
        }
        let mode = mode.map(str::to_ascii_lowercase);
        if let Some(mode) = mode.filter(|mode| mode != "triton" && mode != "opentelemetry") {
            return Err(format!(
                "invalid value for trace mode option: {mode}. Available options are \"triton\" and \"opentelemetry\""
            ));
        }
        let parts = setting.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
        let Some((name, level)) = parts else {
            return Err(format!(
                "--trace-config option format is '<trace mode>,<setting>=<value>'. Got {value}"
            ));
        };
        if name != "level" {
            return Ok(true);
        }
        let is_on = is_on(level)?;
        if is_on {
            self.wanted.get_or_insert_with(|| format!("--trace-config={value}"));
        }
        Ok(is_on)
    }

    /// Adds a deprecated `--trace-level`.
    pub(super) fn level(&mut self, value: &str) -> Result<(), String> {
        if is_on(value)? {
            self.wanted.get_or_insert_with(|| format!("--trace-level={value}"));
        } else {
            self.cancelled = true;
        }
        Ok(())
    }

    /// The flag because of which the start is refused, if any.
    pub(super) fn refused(self) -> Option<String> {
        self.wanted.filter(|_| !self.cancelled)
    }
}

fn is_on(level: &str) -> Result<bool, String> {
    let level = level.to_ascii_lowercase();
    match level.as_str() {
        "off" | "false" => Ok(false),
        "timestamps" | "true" | "on" | "min" | "max" | "tensors" => Ok(true),
        _ => Err(format!("invalid value for trace level option: {level}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(configs: &[&str], levels: &[&str]) -> Result<Option<String>, String> {
        let mut trace = Trace::default();
        configs.iter().try_for_each(|config| trace.config(config).map(drop))?;
        levels.iter().try_for_each(|level| trace.level(level))?;
        Ok(trace.refused())
    }

    #[test]
    fn only_a_level_asks_for_tracing() {
        for config in
            ["level=OFF", "level=off", "level=False", "rate=100", "triton,file=/a,b=c", "opentelemetry,url=x"]
        {
            assert_eq!(refused(&[config], &[]), Ok(None), "{config}");
        }
        for config in ["level=TIMESTAMPS", "level=max", "Triton,level=TENSORS"] {
            let expected = format!("--trace-config={config}");
            assert_eq!(refused(&["level=OFF", config, "level=OFF"], &[]), Ok(Some(expected)));
            assert_eq!(refused(&[config], &["OFF"]), Ok(None), "the old flag cancels all");
        }
        assert_eq!(refused(&[], &["MIN"]), Ok(Some("--trace-level=MIN".to_owned())));
    }

    #[test]
    fn what_cannot_be_read_is_told_as_in_triton() {
        let fault = |config: &str| refused(&[config], &[]).unwrap_err();
        assert!(fault(",level=OFF").starts_with("No trace mode specified. --trace-config option format is"));
        for config in ["level", "=OFF", "level=", "triton,level"] {
            let expected =
                format!("--trace-config option format is '<trace mode>,<setting>=<value>'. Got {config}");
            assert_eq!(fault(config), expected);
        }
        assert_eq!(
            fault("Jaeger,level=OFF"),
            "invalid value for trace mode option: jaeger. Available options are \"triton\" and \"opentelemetry\""
        );
        assert_eq!(fault("level=LOUD"), "invalid value for trace level option: loud");
    }
}

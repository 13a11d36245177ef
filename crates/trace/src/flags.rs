//! The command line: `--trace-config`, and the older flags that it replaced. The texts are Triton's.

use crate::{Level, Mode};

/// The settings that a server starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartSettings {
    /// Where traces go.
    pub mode: Mode,
    /// What is noted.
    pub level: Level,
    /// Every how many requests one is traced; 0 for none.
    pub rate: u32,
    /// How many requests are traced in all; -1 for no limit.
    pub count: i32,
    /// How many traces make a file; 0 for one file.
    pub log_frequency: u32,
    /// The path of the trace file; empty for none.
    pub file: String,
    /// The settings of the mode `opentelemetry`, as they were given.
    pub opentelemetry: Vec<(String, String)>,
}

impl Default for StartSettings {
    fn default() -> Self {
        StartSettings {
            mode: Mode::Triton,
            level: Level::OFF,
            rate: 1000,
            count: -1,
            log_frequency: 0,
            file: String::new(),
            opentelemetry: Vec::new(),
        }
    }
}

/// Collects the flags one after the other.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    settings: StartSettings,
    /// The names of settings that a `--trace-config` gave, which win over the older flags.
    given: Vec<&'static str>,
    /// `--trace-level=OFF` overrides every level; `level=OFF` in a `--trace-config` overrides nothing.
    cancelled: bool,
}

impl Flags {
    /// Adds the value of a `--trace-config`: `[MODE,]SETTING=VALUE`.
    pub fn config(&mut self, value: &str) -> Result<(), String> {
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
        let mode = mode.map(Mode::of_flag).transpose()?;
        let parts = setting.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
        let Some((name, value)) = parts else {
            return Err(format!(
                "--trace-config option format is '<trace mode>,<setting>=<value>'. Got {value}"
            ));
        };
        match mode {
            None => self.general(name, value),
            // As in Triton, a general setting counts whatever mode stands before it.
            Some(_) if GENERAL.contains(&name) => self.general(name, value),
            Some(Mode::Triton) => self.of_file(name, value),
            Some(Mode::OpenTelemetry) => {
                self.settings.opentelemetry.push((name.to_owned(), value.to_owned()));
                Ok(())
            }
        }
    }

    fn general(&mut self, name: &str, value: &str) -> Result<(), String> {
        let bad = |why| format!("Bad option: \"--trace-config {name}\".\n{why}");
        match name {
            "level" => self.settings.level = self.settings.level.and(level(value)?),
            "mode" => self.settings.mode = Mode::of_flag(value)?,
            "rate" => {
                self.settings.rate = number(value).map_err(bad)?;
                self.given.push("rate");
            }
            "count" => {
                self.settings.count = count(value).map_err(bad)?;
                self.given.push("count");
            }
            _ => {}
        }
        Ok(())
    }

    fn of_file(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "file" => {
                value.clone_into(&mut self.settings.file);
                self.given.push("file");
            }
            "log-frequency" => {
                self.settings.log_frequency = number(value)
                    .map_err(|why| format!("Bad option: \"--trace-config triton,{name}\".\n{why}"))?;
                self.given.push("log-frequency");
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds one of the older flags, by its name without dashes. A `--trace-config` of the same setting wins, wherever it
    /// stands, so these are to be added last.
    pub fn deprecated(&mut self, name: &str, value: &str) -> Result<(), String> {
        let wins = |given: &[&str], setting: &str| !given.contains(&setting);
        let bad = |why| format!("Bad option: \"--{name}\".\n{why}");
        let (given, settings) = (&self.given, &mut self.settings);
        match name {
            "trace-level" => match level(value)? {
                Level::OFF => self.cancelled = true,
                level => settings.level = settings.level.and(level),
            },
            "trace-file" if wins(given, "file") => value.clone_into(&mut settings.file),
            "trace-rate" if wins(given, "rate") => settings.rate = number(value).map_err(bad)?,
            "trace-count" if wins(given, "count") => settings.count = count(value).map_err(bad)?,
            "trace-log-frequency" | "log-frequency" if wins(given, "log-frequency") => {
                settings.log_frequency = number(value).map_err(bad)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The settings that all flags make.
    pub fn finish(self) -> StartSettings {
        let level = if self.cancelled { Level::OFF } else { self.settings.level };
        StartSettings { level, ..self.settings }
    }
}

/// The settings that belong to no mode.
const GENERAL: [&str; 4] = ["level", "mode", "rate", "count"];

fn level(text: &str) -> Result<Level, String> {
    Level::of_flag(text).map_err(|name| format!("invalid value for trace level option: {name}"))
}

fn whole(text: &str) -> Result<i128, String> {
    text.parse().map_err(|_| format!("Invalid option value. Got {text}"))
}

fn number(text: &str) -> Result<u32, String> {
    whole(text)?.try_into().map_err(|_| out_of_bound(text))
}

fn count(text: &str) -> Result<i32, String> {
    let count = i32::try_from(whole(text)?).ok().filter(|count| *count >= -1);
    count.ok_or_else(|| out_of_bound(text))
}

fn out_of_bound(text: &str) -> String {
    format!("Provided option value is out of bound. Got {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(configs: &[&str], older: &[(&str, &str)]) -> Result<StartSettings, String> {
        let mut flags = Flags::default();
        configs.iter().try_for_each(|config| flags.config(config))?;
        older.iter().try_for_each(|(name, value)| flags.deprecated(name, value))?;
        Ok(flags.finish())
    }

    const TIMESTAMPS: Level = Level { timestamps: true, tensors: false };

    #[test]
    fn every_setting_is_read() {
        let all = [
            "rate=5",
            "count=7",
            "level=TIMESTAMPS",
            "level=tensors",
            "mode=OpenTelemetry",
            "triton,file=/tmp/a,b=c",
            "Triton,log-frequency=3",
            "opentelemetry,url=http://h:1/x",
            "opentelemetry,resource=a=b",
            "opentelemetry,resource=c=d",
            "unknown=1",
            "triton,url=ignored",
        ];
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = StartSettings {
            mode: Mode::OpenTelemetry,
            level: Level { timestamps: true, tensors: true },
            rate: 5,
            count: 7,
            log_frequency: 3,
            file: "/tmp/a,b=c".to_owned(),
            opentelemetry: vec![
                pair("url", "http://h:1/x"),
                pair("resource", "a=b"),
                pair("resource", "c=d"),
            ],
        };
        assert_eq!(settings(&all, &[]), Ok(expected));
        assert_eq!(settings(&[], &[]), Ok(StartSettings::default()));
    }

    #[test]
    fn levels_add_up_and_only_the_old_flag_cancels() {
        for config in ["level=OFF", "level=off", "level=False"] {
            assert_eq!(settings(&[config], &[]).unwrap().level, Level::OFF, "{config}");
        }
        for config in ["level=TIMESTAMPS", "level=max", "Triton,level=on"] {
            assert_eq!(settings(&["level=OFF", config, "level=OFF"], &[]).unwrap().level, TIMESTAMPS);
            assert_eq!(settings(&[config], &[("trace-level", "OFF")]).unwrap().level, Level::OFF);
        }
        assert_eq!(settings(&[], &[("trace-level", "MIN")]).unwrap().level, TIMESTAMPS);
    }

    #[test]
    fn older_flags_lose() {
        let older =
            [("trace-rate", "2"), ("trace-count", "3"), ("trace-file", "old"), ("log-frequency", "4")];
        let old = settings(&[], &older).unwrap();
        assert_eq!((old.rate, old.count, &*old.file, old.log_frequency), (2, 3, "old", 4));
        let new = settings(&["rate=9", "triton,file=new"], &older).unwrap();
        assert_eq!((new.rate, new.count, &*new.file), (9, 3, "new"));
    }

    #[test]
    fn what_cannot_be_read_is_told_as_in_triton() {
        let fault = |config: &str| settings(&[config], &[]).unwrap_err();
        assert!(fault(",level=OFF").starts_with("No trace mode specified. --trace-config option format is"));
        for config in ["level", "=OFF", "triton,level"] {
            let expected =
                format!("--trace-config option format is '<trace mode>,<setting>=<value>'. Got {config}");
            assert_eq!(fault(config), expected);
        }
        assert_eq!(
            fault("Jaeger,level=OFF"),
            "invalid value for trace mode option: jaeger. Available options are \"triton\" and \"opentelemetry\""
        );
        // As in Triton, whose users repeat the flag instead.
        assert!(fault("TIMESTAMPS,TENSORS").starts_with("invalid value for trace mode option: timestamps"));
        assert_eq!(fault("level=LOUD"), "invalid value for trace level option: loud");
        assert_eq!(fault("rate=x"), "Bad option: \"--trace-config rate\".\nInvalid option value. Got x");
        assert_eq!(
            fault("triton,log-frequency=-1"),
            "Bad option: \"--trace-config triton,log-frequency\".\nProvided option value is out of bound. Got -1"
        );
        assert!(fault("count=-2").ends_with("out of bound. Got -2"));
        assert!(fault("rate=99999999999").ends_with("out of bound. Got 99999999999"));
        assert!(
            fault("rate=999999999999999999999999999999999999999999")
                .ends_with("Invalid option value. Got 999999999999999999999999999999999999999999")
        );
    }
}

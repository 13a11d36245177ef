//! What settings result from those of the start, of the server and of a model. Pure.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{Change, Field, Level, Mode, StartSettings};

/// Settings with a value for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What is noted.
    pub level: Level,
    /// Every how many requests one is traced; 0 for none.
    pub rate: u32,
    /// How many more requests are traced; -1 for no limit.
    pub count: i32,
    /// How many traces make a file; 0 for one file.
    pub log_frequency: u32,
}

impl From<&StartSettings> for Resolved {
    fn from(start: &StartSettings) -> Resolved {
        let StartSettings { level, rate, count, log_frequency, .. } = *start;
        Resolved { level, rate, count, log_frequency }
    }
}

/// What was set for the server or a model itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Own {
    level: Option<Level>,
    rate: Option<u32>,
    count: Option<i32>,
    log_frequency: Option<u32>,
}

impl Own {
    fn changed(self, change: &Change) -> Own {
        Own {
            level: change.level.apply(self.level),
            rate: change.rate.apply(self.rate),
            count: change.count.apply(self.count),
            log_frequency: change.log_frequency.apply(self.log_frequency),
        }
    }

    fn over(self, fallback: Resolved) -> Resolved {
        Resolved {
            level: self.level.unwrap_or(fallback.level),
            rate: self.rate.unwrap_or(fallback.rate),
            count: self.count.unwrap_or(fallback.count),
            log_frequency: self.log_frequency.unwrap_or(fallback.log_frequency),
        }
    }
}

impl<T: Copy> Field<T> {
    fn apply(self, own: Option<T>) -> Option<T> {
        match self {
            Field::Keep => own,
            Field::Clear => None,
            Field::Set(value) => Some(value),
        }
    }
}

/// Why settings cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SettingFault {
    /// A rate of 0 traces nothing.
    #[error("Attempting to set invalid trace setting :sample rate must be non-zero")]
    Rate,
    /// Traces have nowhere to go.
    #[error("Attempting to set invalid trace setting :trace file name is not given")]
    File,
}

/// The settings of the server and of its models.
#[derive(Clone, Debug)]
pub struct Settings {
    mode: Mode,
    has_file: bool,
    start: Resolved,
    server: Own,
    /// Only models that have settings of their own.
    models: BTreeMap<String, Own>,
}

impl Settings {
    /// The settings of a server that was just started.
    pub fn new(start: &StartSettings) -> Settings {
        Settings {
            mode: start.mode,
            has_file: !start.file.is_empty(),
            start: start.into(),
            server: Own::default(),
            models: BTreeMap::new(),
        }
    }

    /// Where traces go.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The settings of the server.
    pub fn server(&self) -> Resolved {
        self.server.over(self.start)
    }

    /// The settings of each model that has some of its own.
    pub fn models(&self) -> impl Iterator<Item = (&str, Resolved)> {
        let server = self.server();
        self.models.iter().map(move |(name, own)| (&**name, own.over(server)))
    }

    /// Changes the settings of a model, or with `None` those of the server. On an error nothing has changed.
    ///
    /// A count that was set and is not part of the change goes on from what was [noted](Settings::note_remaining); a count that
    /// was never set falls back to the one of the server, or of its start.
    pub fn change(&mut self, model: Option<&str>, change: &Change) -> Result<(), SettingFault> {
        let own = model.map_or(Some(&self.server), |model| self.models.get(model)).copied();
        let own = own.unwrap_or_default().changed(change);
        let fallback = if model.is_some() { self.server() } else { self.start };
        self.usable(own.over(fallback))?;
        match model {
            None => self.server = own,
            Some(model) if own == Own::default() => drop(self.models.remove(model)),
            Some(model) => drop(self.models.insert(model.to_owned(), own)),
        }
        Ok(())
    }

    /// Notes how many more requests are traced by the setting of a model, or with `None` of the server, where a count was set.
    pub fn note_remaining(&mut self, model: Option<&str>, remaining: i32) {
        let own = match model {
            None => Some(&mut self.server),
            Some(model) => self.models.get_mut(model),
        };
        if let Some(count) = own.and_then(|own| own.count.as_mut()) {
            *count = remaining;
        }
    }

    /// Whether requests can be traced with these settings.
    pub fn usable(&self, settings: Resolved) -> Result<(), SettingFault> {
        if settings.level.is_off() {
            return Ok(());
        }
        match self.mode {
            Mode::Triton if settings.rate == 0 => Err(SettingFault::Rate),
            Mode::Triton if !self.has_file => Err(SettingFault::File),
            // For OpenTelemetry a rate of 0 means the requests that belong to a client's trace.
            Mode::Triton | Mode::OpenTelemetry => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

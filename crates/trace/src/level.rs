//! The level of detail of a trace.

/// What is noted of a sampled request. Nothing, for [`Level::OFF`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// The times of its activities.
    pub timestamps: bool,
    /// Its inputs and outputs, and those of the steps of an ensemble.
    pub tensors: bool,
}

impl Level {
    /// Nothing is traced.
    pub const OFF: Level = Level { timestamps: false, tensors: false };

    /// Whether nothing is traced.
    pub const fn is_off(self) -> bool {
        !self.timestamps && !self.tensors
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Level) -> Level {
        Level { timestamps: self.timestamps || other.timestamps, tensors: self.tensors || other.tensors }
    }

    /// The level that a flag names, in any case: Triton's older names stand for timestamps. The error is the name in lower case.
    pub fn of_flag(text: &str) -> Result<Level, String> {
        let name = text.to_ascii_lowercase();
        match name.as_str() {
            "off" | "false" => Ok(Level::OFF),
            "timestamps" | "true" | "on" | "min" | "max" => Ok(Level { timestamps: true, ..Level::OFF }),
            "tensors" => Ok(Level { tensors: true, ..Level::OFF }),
            _ => Err(name),
        }
    }

    /// The names of the level in settings.
    pub fn names(self) -> Vec<String> {
        let names = [(self.is_off(), "OFF"), (self.timestamps, "TIMESTAMPS"), (self.tensors, "TENSORS")];
        names.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name.to_owned()).collect()
    }
}

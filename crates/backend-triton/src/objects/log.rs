//! What backends log becomes events of the server's log.

use std::ffi::c_int;

use tracing::{Level, debug, enabled, error, info, warn};

use crate::border::{LogLevel, Returned, Text, call, call_for};

/// The target of the events, by which a filter finds them.
const TARGET: &str = "triton_backend";

pub(crate) extern "C" fn is_enabled(level: u32) -> bool {
    call_for("TRITONSERVER_LogIsEnabled", false, || {
        Ok(match LogLevel::from_number(level, "level")? {
            LogLevel::Info => enabled!(target: TARGET, Level::INFO),
            LogLevel::Warn => enabled!(target: TARGET, Level::WARN),
            LogLevel::Error => enabled!(target: TARGET, Level::ERROR),
            LogLevel::Verbose => enabled!(target: TARGET, Level::DEBUG),
        })
    })
}

pub(crate) extern "C" fn message(level: u32, file: Text, line: c_int, text: Text) -> Returned {
    call("TRITONSERVER_LogMessage", || {
        let level = LogLevel::from_number(level, "level")?;
        // Backends log much at this level, whether anybody reads it or not.
        if level == LogLevel::Verbose && !enabled!(target: TARGET, Level::DEBUG) {
            return Ok(());
        }
        let (path, text) = (file.read_lossy(), text.read_lossy());
        let file = path.rsplit('/').next().unwrap_or_default();
        match level {
            LogLevel::Info => info!(target: TARGET, file, line, "{text}"),
            LogLevel::Warn => warn!(target: TARGET, file, line, "{text}"),
            LogLevel::Error => error!(target: TARGET, file, line, "{text}"),
            LogLevel::Verbose => debug!(target: TARGET, file, line, "{text}"),
        }
        Ok(())
    })
}

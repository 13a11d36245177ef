//! Health.

use hippocamp_backend::{Code, Error, Result};

use crate::V1;

impl V1 {
    /// Whether the server is `live` or `ready`. Returns an error if it is exiting, or for another mode.
    pub fn health(&self, mode: &str) -> Result<bool> {
        if self.server.is_stopping() {
            return Err(Error::unavailable("Server exiting"));
        }
        match mode {
            "live" => Ok(self.server.is_live()),
            "ready" => Ok(self.server.is_ready()),
            other => Err(Error::new(Code::Unknown, format!("unknown health mode '{other}'"))),
        }
    }
}

//! The state of a model's version, and the reason for it.

/// The state of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Loading,
    Ready,
    Unloading,
    Unavailable,
}

impl State {
    /// The name of the state in the protocols.
    pub const fn name(self) -> &'static str {
        match self {
            State::Loading => "LOADING",
            State::Ready => "READY",
            State::Unloading => "UNLOADING",
            State::Unavailable => "UNAVAILABLE",
        }
    }
}

/// The reason of a version that was unloaded on request. It is also the beginning of the reason of an ensemble that ended
/// because one of its models was unloaded.
pub const UNLOADED: &str = "unloaded";

/// A version's state and the reason for it. A version that is READY has a reason if its last reload failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionState {
    pub state: State,
    /// The reason as the index shows it; empty if there is none.
    pub reason: String,
}

impl VersionState {
    pub fn new(state: State, reason: impl Into<String>) -> VersionState {
        VersionState { state, reason: reason.into() }
    }

    /// Whether this state makes a server with strict readiness not ready. A version that is being loaded does not: the old
    /// versions still serve, and a load balancer should not remove the server for each new model.
    pub fn is_failure(&self) -> bool {
        self.state == State::Unavailable && !self.reason.starts_with(UNLOADED)
    }

    /// Whether the version was unloaded on request, or is being unloaded.
    pub(crate) fn is_gone(&self) -> bool {
        match self.state {
            State::Unavailable => !self.is_failure(),
            State::Unloading => true,
            State::Loading | State::Ready => false,
        }
    }
}

//! The state of a version.

/// The state of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Loading,
    Ready,
    Unloading,
    Unavailable,
}

impl State {
    /// As the protocols write it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Loading => "LOADING",
            State::Ready => "READY",
            State::Unloading => "UNLOADING",
            State::Unavailable => "UNAVAILABLE",
        }
    }
}

/// The reason of a version that was unloaded because somebody asked for it. The reason of an ensemble that was unloaded
/// because a model was that it is made of begins with it.
pub const UNLOADED: &str = "unloaded";

/// A version's state, and why it is so. A version that is ready has a reason, too, if its last reload failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionState {
    pub state: State,
    /// Empty if there is nothing to say.
    pub reason: String,
}

impl VersionState {
    pub fn new(state: State, reason: impl Into<String>) -> VersionState {
        VersionState { state, reason: reason.into() }
    }

    /// Whether this keeps a server with strict readiness from being ready. A version that is being loaded does not: what
    /// was served before goes on, and traffic shall not be sent away for every new model.
    pub fn is_failure(&self) -> bool {
        self.state == State::Unavailable && !self.reason.starts_with(UNLOADED)
    }

    /// Whether nothing of the version serves, or soon will not, and that is as it was asked for.
    pub(crate) fn is_gone(&self) -> bool {
        match self.state {
            State::Unavailable => !self.is_failure(),
            State::Unloading => true,
            State::Loading | State::Ready => false,
        }
    }
}

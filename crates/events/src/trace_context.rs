//! The two headers of W3C Trace Context, as a request carries them.

use std::sync::Arc;

use crate::{ModelId, RequestContext, RequestEvent, RequestObserver, TraceParent};

/// The longest `tracestate` that is passed on, in bytes: what the standard asks for at least. A longer one is left out.
const LONGEST_STATE: usize = 512;

/// The span that a request belongs to, and what tracing systems have noted about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The span, as in the header `traceparent`.
    pub parent: TraceParent,
    /// The header `tracestate`; `None` if there is none.
    pub state: Option<Arc<str>>,
}

impl TraceContext {
    /// Reads the headers. `header` gets a name in lower case and returns the value of that header. `None` without a valid
    /// `traceparent`, as the standard wants it.
    pub fn of_headers<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<TraceContext> {
        let parent = header("traceparent")?.trim().parse().ok()?;
        let state = header("tracestate").map(|state| state.trim_matches([' ', '\t']));
        let is_passed_on = |state: &&str| {
            !state.is_empty()
                && state.len() <= LONGEST_STATE
                && state.bytes().all(|b| matches!(b, b' '..=b'~'))
        };
        Some(TraceContext { parent, state: state.filter(is_passed_on).map(Arc::from) })
    }
}

/// As the observer of a request that is not traced here: it passes the client's span on, to the steps of an ensemble, too.
impl RequestObserver for TraceContext {
    fn on_event(&self, _: &ModelId, _: &RequestContext, _: &RequestEvent<'_>) {}

    fn of_step(&self) -> Option<Arc<dyn RequestObserver>> {
        Some(Arc::new(self.clone()))
    }

    fn trace_context(&self) -> Option<TraceContext> {
        Some(self.clone())
    }
}

impl From<TraceParent> for TraceContext {
    fn from(parent: TraceParent) -> TraceContext {
        TraceContext { parent, state: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read<'h>(parent: Option<&'h str>, state: Option<&'h str>) -> Option<TraceContext> {
        TraceContext::of_headers(|name| if name == "traceparent" { parent } else { state })
    }

    #[test]
    fn the_state_counts_only_with_a_valid_parent() {
        assert_eq!(read(None, Some("a=b")), None);
        assert_eq!(read(Some("00-x"), Some("a=b")), None);
        let both = read(Some(PARENT), Some(" a=b,c=d ")).unwrap();
        assert_eq!((both.parent.to_string(), both.state.as_deref()), (PARENT.to_owned(), Some("a=b,c=d")));
        for bad in ["", " ", "a=\u{7f}", "a=\n", &"x".repeat(513)] {
            assert_eq!(read(Some(PARENT), Some(bad)).unwrap().state, None, "{bad:?}");
        }
    }
}

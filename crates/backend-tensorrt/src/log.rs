//! TensorRT's log within ours.
//!
//! A line names the model by the thread that it came on: the library logs on the thread that called it.

use std::cell::RefCell;
use std::sync::{Arc, Once};

use hippocamp_tensorrt_sys::{Message, Severity, set_sink};
use tracing::{debug, error, info, trace, warn};

thread_local! {
    static MODEL: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Lets the library's lines go to our log, from now on. Further calls do nothing.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        set_sink(write);
    });
}

/// Says whose lines this thread's are, until the result is dropped.
#[must_use]
pub(crate) fn of_model(model: &Arc<str>) -> Named {
    Named(MODEL.with_borrow_mut(|name| name.replace(Arc::clone(model))))
}

/// What the thread's lines were before.
pub(crate) struct Named(Option<Arc<str>>);

impl Drop for Named {
    fn drop(&mut self) {
        let before = self.0.take();
        let _ = MODEL.try_with(|name| name.try_borrow_mut().map(|mut name| *name = before));
    }
}

fn write(message: &Message) {
    let model = MODEL.try_with(|name| name.try_borrow().ok().and_then(|name| name.clone()));
    let model = model.ok().flatten();
    let (model, text) = (model.as_deref(), &message.text);
    match message.severity {
        Severity::InternalError | Severity::Error => error!(model, "TensorRT: {text}"),
        Severity::Warning => warn!(model, "TensorRT: {text}"),
        // What it calls information are lines for whoever looks into a build or an engine.
        Severity::Info if text.contains("Loaded engine") => info!(model, "TensorRT: {text}"),
        Severity::Info => debug!(model, "TensorRT: {text}"),
        Severity::Verbose => trace!(model, "TensorRT: {text}"),
    }
}

/// The errors among the lines that a call caused, as one text; empty if there were none.
pub(crate) fn errors(messages: &[Message]) -> String {
    let errors = messages.iter().filter(|message| message.severity <= Severity::Error);
    let mut texts: Vec<&str> = errors.map(|message| message.text.as_str()).collect();
    texts.dedup();
    texts.join("; ")
}

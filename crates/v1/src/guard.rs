//! Asks of a call whether its client may make it.

use hippocamp_access::{Access, Category, Denial, Grant, Right};
use hippocamp_backend::{Error, Result};

use crate::CallKind;

/// The categories that a call belongs to, and the right that it takes; `None` stands for inference. The status of V1 has what
/// v2 has in three calls.
fn asked(kind: Option<CallKind>) -> (&'static [Category], Right) {
    match kind {
        None => (&[Category::Inference], Right::Infer),
        Some(CallKind::Health) => (&[Category::Health], Right::Probe),
        Some(CallKind::Status) => {
            (&[Category::Metadata, Category::ModelConfig, Category::Statistics], Right::See)
        }
        Some(CallKind::ModelControl) => (&[Category::ModelRepository], Right::Admin),
        Some(CallKind::Repository) => (&[Category::ModelRepository], Right::Read),
        Some(CallKind::SharedMemoryControl) => (&[Category::SharedMemory], Right::Admin),
    }
}

/// Checks a call by its head. `kind` is `None` for inference; `header` finds the value of a header by its name. The grant has
/// to be asked for the model that the call names, by [`check_model`].
pub fn check<'h>(
    access: &Access,
    kind: Option<CallKind>,
    header: impl Fn(&str) -> Option<&'h [u8]>,
) -> Result<Grant> {
    if access.is_open() {
        return Ok(Grant::all());
    }
    let (categories, right) = asked(kind);
    let mut grant = Grant::all();
    for category in categories {
        grant = access.check(*category, right, &header).map_err(|denial| denied(&denial))?;
    }
    if kind == Some(CallKind::SharedMemoryControl) {
        grant.server().map_err(|denial| denied(&denial))?;
    }
    Ok(grant)
}

/// Checks the model that a call names.
pub fn check_model(grant: &Grant, model: &str) -> Result<()> {
    grant.model(model).map_err(|denial| denied(&denial))
}

/// V1 has one code for what a client may not do.
#[cold]
fn denied(denial: &Denial) -> Error {
    Error::unavailable(denial.to_string())
}

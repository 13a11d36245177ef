//! The element types of image tensors.

use half::f16;

use crate::value::Element;

pub(super) trait Number: Element + Send + Sync {
    /// The nearest value of the type.
    fn nearest(value: f64) -> Self;
}

impl Number for f32 {
    fn nearest(value: f64) -> f32 {
        value as f32
    }
}

impl Number for f16 {
    fn nearest(value: f64) -> f16 {
        f16::from_f64(value)
    }
}

impl Number for u8 {
    fn nearest(value: f64) -> u8 {
        value.round_ties_even() as u8
    }
}

impl Number for i8 {
    fn nearest(value: f64) -> i8 {
        value.round_ties_even() as i8
    }
}

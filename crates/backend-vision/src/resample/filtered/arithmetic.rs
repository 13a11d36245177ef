//! The number formats of a convolution.

use std::fmt::Debug;

/// How weighted samples are added up.
pub(crate) trait Arithmetic: Debug + Default {
    /// The type of a pass's results.
    type Sample: Copy + Default + Debug;
    /// The type of weights and of sums of weighted samples.
    type Number: Copy + Debug;
    /// The initial value of a sum.
    const START: Self::Number;

    fn weight(weight: f64) -> Self::Number;
    fn add(sum: Self::Number, sample: Self::Sample, weight: Self::Number) -> Self::Number;
    fn round(sum: Self::Number) -> Self::Sample;
}

/// Integers with 22 fraction bits, as Pillow uses for 8-bit samples.
#[derive(Debug, Default)]
pub(crate) struct Fixed;

/// The fraction bits that remain of 32 after 8 bits for a sample and 2 for overflow and sign.
const PRECISION: u32 = 32 - 8 - 2;

impl Arithmetic for Fixed {
    type Sample = u8;
    type Number = i32;
    /// One half, so that truncating the result rounds it.
    const START: i32 = 1 << (PRECISION - 1);

    /// Rounds to the nearest, halves away from zero.
    fn weight(weight: f64) -> i32 {
        (weight * f64::from(1 << PRECISION)).round() as i32
    }

    fn add(sum: i32, sample: u8, weight: i32) -> i32 {
        sum.wrapping_add(i32::from(sample).wrapping_mul(weight))
    }

    fn round(sum: i32) -> u8 {
        (sum >> PRECISION).clamp(0, 255) as u8
    }
}

/// Single precision, neither rounded nor clamped.
#[derive(Debug, Default)]
pub(crate) struct Float;

impl Arithmetic for Float {
    type Sample = f32;
    type Number = f32;
    const START: f32 = 0.0;

    fn weight(weight: f64) -> f32 {
        weight as f32
    }

    fn add(sum: f32, sample: f32, weight: f32) -> f32 {
        sum + sample * weight
    }

    fn round(sum: f32) -> f32 {
        sum
    }
}

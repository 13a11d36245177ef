//! The two half-precision forms of a number that a config gives, to the nearest, ties to even.
//!
//! A crate for this would bring five others into the tree of every backend, for a few numbers read at load.

/// IEEE 754 binary16.
pub(super) fn fp16(number: f32) -> [u8; 2] {
    let bits = number.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    let half = if magnitude > 0x7f80_0000 {
        // Not a number: quiet, with what fits of its payload.
        0x7e00 | (magnitude >> 13) as u16 & 0x03ff
    } else if magnitude >= 0x4780_0000 {
        // 65536 and more.
        0x7c00
    } else if magnitude < 0x3880_0000 {
        // Less than the smallest normal number: steps of 2^-24.
        let steps = f64::from(f32::from_bits(magnitude)) * f64::from(1 << 24);
        steps.round_ties_even() as u16
    } else {
        // The exponent's bias is 127 there and 15 here. Rounding may carry into the exponent, up to infinity.
        rounded(magnitude - (112 << 23), 13) as u16
    };
    (sign | half).to_le_bytes()
}

/// The upper half of an IEEE 754 binary32.
pub(super) fn bf16(number: f32) -> [u8; 2] {
    let bits = number.to_bits();
    let upper = if number.is_nan() { bits >> 16 | 0x0040 } else { rounded(bits, 16) };
    (upper as u16).to_le_bytes()
}

/// Without the lowest `count` bits.
fn rounded(bits: u32, count: u32) -> u32 {
    let odd = bits >> count & 1;
    (bits + (1 << (count - 1)) - 1 + odd) >> count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{bf16, fp16};

    fn check(number: f32) {
        assert_eq!(fp16(number), half::f16::from_f32(number).to_le_bytes(), "{number:e} as FP16");
        assert_eq!(bf16(number), half::bf16::from_f32(number).to_le_bytes(), "{number:e} as BF16");
    }

    #[test]
    fn every_fp16_and_what_lies_just_beside_and_between() {
        for bits in 0..=u16::MAX {
            let number = half::f16::from_bits(bits).to_f32();
            let next = half::f16::from_bits(bits.wrapping_add(1)).to_f32();
            for around in [number, f32::midpoint(number, next)] {
                let beside = [around.to_bits().wrapping_sub(1), around.to_bits().wrapping_add(1)];
                [around, f32::from_bits(beside[0]), f32::from_bits(beside[1])].into_iter().for_each(check);
            }
        }
    }

    proptest! {
        #[test]
        fn any_number(bits: u32) {
            check(f32::from_bits(bits));
        }
    }
}

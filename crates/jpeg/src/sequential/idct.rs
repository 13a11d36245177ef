//! The inverse transform in whole numbers, with the roundings of libjpeg's accurate method.

use super::entropy::Block;

/// Bits of a factor's fraction, and of what the first pass keeps.
const FRACTION: u32 = 13;
const KEPT: u32 = 2;

const fn factor(value: f64) -> i64 {
    (value * (1 << FRACTION) as f64 + if value < 0.0 { -0.5 } else { 0.5 }) as i64
}

/// No picture has larger coefficients; what a damaged file has may not overflow.
const LARGEST: i64 = 1 << 24;

/// A block's samples, row by row.
pub(super) fn samples(block: &Block) -> [u8; 64] {
    let mut sums = block.map(|coefficient| coefficient.clamp(-LARGEST, LARGEST));
    for column in 0..8 {
        let line = transform(std::array::from_fn(|row| sums[row * 8 + column]), FRACTION - KEPT);
        (0..8).for_each(|row| sums[row * 8 + column] = line[row]);
    }
    let mut samples = [0; 64];
    for (to, from) in samples.chunks_exact_mut(8).zip(sums.as_chunks::<8>().0) {
        let line = transform(*from, FRACTION + KEPT + 3);
        for (sample, sum) in to.iter_mut().zip(line) {
            *sample = (sum + 128).clamp(0, 255) as u8;
        }
    }
    samples
}

/// Eight values, shifted right by that many bits. After Loeffler, Ligtenberg and Moschytz, with 12 multiplications.
fn transform(line: [i64; 8], shift: u32) -> [i64; 8] {
    const ROTATE: [i64; 3] = [factor(0.541_196_100), factor(-1.847_759_065), factor(0.765_366_865)];
    let turned = (line[2] + line[6]) * ROTATE[0];
    let (low, high) = (turned + line[6] * ROTATE[1], turned + line[2] * ROTATE[2]);
    let (sum, difference) = ((line[0] + line[4]) << FRACTION, (line[0] - line[4]) << FRACTION);
    let even = [sum + high, difference + low, difference - low, sum - high];

    let all = (line[7] + line[3] + line[5] + line[1]) * factor(1.175_875_602);
    let outer = (line[7] + line[1]) * factor(-0.899_976_223);
    let inner = (line[5] + line[3]) * factor(-2.562_915_447);
    let late = (line[7] + line[3]) * factor(-1.961_570_560) + all;
    let early = (line[5] + line[1]) * factor(-0.390_180_644) + all;
    let odd = [
        line[1] * factor(1.501_321_110) + outer + early,
        line[3] * factor(3.072_711_026) + inner + late,
        line[5] * factor(2.053_119_869) + inner + early,
        line[7] * factor(0.298_631_336) + outer + late,
    ];
    let half = 1 << (shift - 1);
    std::array::from_fn(|at| {
        let sum = if at < 4 { even[at] + odd[at] } else { even[7 - at] - odd[7 - at] };
        (sum + half) >> shift
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_those_of_libjpeg() {
        assert_eq!(
            [factor(0.298_631_336), factor(-2.562_915_447), factor(3.072_711_026)],
            [2446, -20995, 25172]
        );
    }

    #[test]
    fn a_block_of_one_coefficient_is_even() {
        let mut block = [0; 64];
        block[0] = -80;
        assert_eq!(samples(&block), [118; 64]);
        // Whatever a damaged file says.
        let extremes = samples(&[i64::from(i32::MAX) * 65_535; 64]);
        assert_eq!(extremes[0], 255);
    }
}

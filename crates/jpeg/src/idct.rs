//! The inverse discrete cosine transform of a block.
//!
//! The factors are those of `zune-jpeg`, in 12 bits after the point, and so is what is rounded and when. Sums of products
//! are exact in 32 bits, whatever the order of adding; only between the two passes do values have to fit into 16 bits.

use std::arch::x86_64::{
    __m256i, _mm256_abs_epi16, _mm256_add_epi32, _mm256_adds_epu16, _mm256_madd_epi16, _mm256_mulhi_epi16,
    _mm256_mullo_epi16, _mm256_or_si256, _mm256_packs_epi32, _mm256_packus_epi16, _mm256_permute4x64_epi64,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srai_epi16,
    _mm256_srai_epi32, _mm256_sub_epi32, _mm256_subs_epu16, _mm256_testz_si256, _mm256_unpackhi_epi16,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use bytemuck::must_cast as cast;

use crate::block::{Block, COUNT, Steps};
use crate::{Result, Unsupported};

/// The most that the absolute values of four coefficients may add up to, half of a column. Of the eight of a column no
/// sum in the first pass then exceeds 16 bits: the largest factor is 5683 / 1024. Four coefficients of an 8-bit picture
/// add up to 2048 at most, and to 2556 with the coarsest quantization.
const MAX_HALF_COLUMN: i16 = 2900;

/// Eight rows (or columns) in pairs, the samples of a pair interleaved: 0 and 4, 1 and 5, 2 and 6, 3 and 7.
type Pairs = [__m256i; 4];

/// Transforms a block, of which the first `count` coefficients are there, to 8 rows of 8 samples, and clears it.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn transform(
    block: &mut Block,
    count: usize,
    steps: &Steps,
    to: &mut [u8],
    stride: usize,
) -> Result<()> {
    let to = to.get_mut(..7 * stride + 8).ok_or(Unsupported)?;
    if count <= 1 {
        let sample = (((i32::from(block[0]) * i32::from(steps.by_place[0])) + 4) >> 3) + 128;
        for y in 0..8 {
            to[y * stride..][..8].fill(sample.clamp(0, 255) as u8);
        }
        block[0] = 0;
        return Ok(());
    }
    let coefficients: &mut [[i16; 16]; 4] =
        bytemuck::must_cast_mut(block.first_chunk_mut::<COUNT>().ok_or(Unsupported)?);
    let values = dequantized(cast(*coefficients), steps)?;
    *coefficients = [[0; 16]; 4];
    let columns = pairs(transposed(pass::<10>(values, 1 << 9)));
    let pairs = transposed(pass::<17>(columns, (1 << 9) + (1 << 16) + (128 << 17)));
    let [row0, row1, row4, row5]: [[u8; 8]; 4] = cast(_mm256_packus_epi16(pairs[0], pairs[1]));
    let [row2, row3, row6, row7]: [[u8; 8]; 4] = cast(_mm256_packus_epi16(pairs[2], pairs[3]));
    for (y, row) in [row0, row1, row2, row3, row4, row5, row6, row7].iter().enumerate() {
        to[y * stride..][..8].copy_from_slice(row);
    }
    Ok(())
}

/// Multiplies by the quantization steps. Refuses what then is too large for the first pass.
#[inline]
#[target_feature(enable = "avx2")]
fn dequantized(coefficients: Pairs, steps: &Steps) -> Result<Pairs> {
    let mut rows: Pairs = cast(steps.by_place);
    let mut overflow = _mm256_setzero_si256();
    let mut sums = _mm256_setzero_si256();
    for (pair, coefficients) in rows.iter_mut().zip(coefficients) {
        let high = _mm256_mulhi_epi16(*pair, coefficients);
        *pair = _mm256_mullo_epi16(*pair, coefficients);
        if !steps.are_small {
            let sign = _mm256_srai_epi16::<15>(*pair);
            overflow = _mm256_or_si256(overflow, _mm256_xor_si256(high, sign));
        }
        sums = _mm256_adds_epu16(sums, _mm256_abs_epi16(*pair));
    }
    let excess = _mm256_subs_epu16(sums, _mm256_set1_epi16(MAX_HALF_COLUMN));
    let wrong = _mm256_or_si256(excess, overflow);
    if _mm256_testz_si256(wrong, wrong) == 1 { Ok(rows) } else { Err(Unsupported) }
}

/// Transforms all columns, of which there are pairs of rows. Adds `round`, which is in proportion to the results before
/// they are shifted.
#[inline]
#[target_feature(enable = "avx2")]
fn pass<const SHIFT: i32>([p04, p15, p26, p37]: Pairs, round: i32) -> [__m256i; 8] {
    let round = _mm256_set1_epi32(round);
    let sum = _mm256_add_epi32(weighted(p04, 4096, 4096), round);
    let difference = _mm256_add_epi32(weighted(p04, 4096, -4096), round);
    let (inner, outer) = (weighted(p26, 2217, -5350), weighted(p26, 5352, 2217));
    let even = [
        _mm256_add_epi32(sum, outer),
        _mm256_add_epi32(difference, inner),
        _mm256_sub_epi32(difference, inner),
        _mm256_sub_epi32(sum, outer),
    ];
    let odd = [
        _mm256_add_epi32(weighted(p15, 5683, 3219), weighted(p37, 4816, 1131)),
        _mm256_add_epi32(weighted(p15, 4816, -5681), weighted(p37, -1129, -3218)),
        _mm256_add_epi32(weighted(p15, 3219, 1132), weighted(p37, -5681, 4816)),
        _mm256_add_epi32(weighted(p15, 1131, 4816), weighted(p37, -3218, -5680)),
    ];
    let mut rows = [round; 8];
    for i in 0..4 {
        rows[i] = _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even[i], odd[i]));
        rows[7 - i] = _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even[i], odd[i]));
    }
    rows
}

/// The weighted sums of the samples of a pair.
#[inline]
#[target_feature(enable = "avx2")]
fn weighted(pair: __m256i, first: i16, second: i16) -> __m256i {
    _mm256_madd_epi16(pair, cast([[first, second]; 8]))
}

/// Eight rows of 32 bits to columns of 16 bits: 0 and 4, 1 and 5, 2 and 6, 3 and 7, one after the other.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(r: [__m256i; 8]) -> [__m256i; 4] {
    let (r02, r13) = (_mm256_packs_epi32(r[0], r[2]), _mm256_packs_epi32(r[1], r[3]));
    let (r46, r57) = (_mm256_packs_epi32(r[4], r[6]), _mm256_packs_epi32(r[5], r[7]));
    let (r01, r23) = (_mm256_unpacklo_epi16(r02, r13), _mm256_unpackhi_epi16(r02, r13));
    let (r45, r67) = (_mm256_unpacklo_epi16(r46, r57), _mm256_unpackhi_epi16(r46, r57));
    let (upper_01, upper_23) = (_mm256_unpacklo_epi32(r01, r23), _mm256_unpackhi_epi32(r01, r23));
    let (lower_01, lower_23) = (_mm256_unpacklo_epi32(r45, r67), _mm256_unpackhi_epi32(r45, r67));
    [
        _mm256_unpacklo_epi64(upper_01, lower_01),
        _mm256_unpackhi_epi64(upper_01, lower_01),
        _mm256_unpacklo_epi64(upper_23, lower_23),
        _mm256_unpackhi_epi64(upper_23, lower_23),
    ]
}

/// Interleaves two columns that follow each other.
#[inline]
#[target_feature(enable = "avx2")]
fn pairs(columns: [__m256i; 4]) -> Pairs {
    const INTERLEAVED: [u8; 16] = [0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15];
    let mut pairs = columns;
    for pair in &mut pairs {
        *pair = _mm256_shuffle_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(*pair), cast([INTERLEAVED; 2]));
    }
    pairs
}

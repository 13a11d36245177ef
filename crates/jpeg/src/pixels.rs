//! Chroma in full resolution, and lines of pixels.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256, _mm256_avg_epu8, _mm256_castsi256_si128,
    _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_madd_epi16, _mm256_mulhrs_epi16, _mm256_or_si256,
    _mm256_packs_epi32, _mm256_packus_epi16, _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srai_epi32, _mm256_srli_epi16,
    _mm256_sub_epi8, _mm256_sub_epi16, _mm256_unpackhi_epi16, _mm256_unpacklo_epi16, _mm256_xor_si256,
};

use bytemuck::must_cast as cast;

use crate::Order;

/// Pixels that are made at a time. All samples of a line have to be there up to a multiple of this.
pub(crate) const STEP: usize = 64;

/// The samples of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) luma: &'a [u8],
    /// In half the resolution as [`mix`] writes them, or as many as luma.
    pub(crate) chroma: [&'a [u8]; 2],
    pub(crate) is_half: bool,
}

/// Chroma or luma of 32 pixels as 16 bits, those in even columns before those in odd ones.
type EvenOdd = [__m256i; 2];

impl Line<'_> {
    /// Writes the pixels, as many as there is room for.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn write(self, order: Order, to: &mut [u8]) {
        let (whole, rest) = to.as_chunks_mut::<{ 3 * STEP }>();
        for (at, to) in (0..).step_by(STEP).zip(&mut *whole) {
            to.copy_from_slice(self.pixels(at, order).as_flattened());
        }
        if !rest.is_empty() {
            let pixels = self.pixels(whole.len() * STEP, order);
            rest.copy_from_slice(&pixels.as_flattened()[..rest.len()]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn pixels(self, at: usize, order: Order) -> [[u8; 32]; 6] {
        let mut chroma = [[[_mm256_setzero_si256(); 2]; 2]; 2];
        for (to, from) in chroma.iter_mut().zip(self.chroma) {
            *to = if self.is_half {
                widened(from, at / 2)
            } else {
                [even_odd(load(from, at)), even_odd(load(from, at + 32))]
            };
        }
        let [cb, cr] = chroma;
        let luma = [even_odd(load(self.luma, at)), even_odd(load(self.luma, at + 32))];
        cast([colored(luma[0], cb[0], cr[0], order), colored(luma[1], cb[1], cr[1], order)])
    }
}

/// Writes a line of chroma between two others, of which `near` counts three times, and repeats its first and its last
/// sample: sample `i` is written to `i + 1`. Up to 31 more are written at the end.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn mix(near: &[u8], far: &[u8], width: usize, to: &mut [u8]) {
    for at in (0..width).step_by(32) {
        let samples: [u8; 32] = cast(mixed(load(near, at), load(far, at)));
        to[at + 1..at + 33].copy_from_slice(&samples);
    }
    to[0] = to[1];
    to[width + 1] = to[width];
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(from: &[u8], at: usize) -> __m256i {
    let mut samples = [0; 32];
    samples.copy_from_slice(&from[at..at + 32]);
    cast(samples)
}

/// `(3 * near + far + 2) / 4` of each sample, which is a mean of `near` and the mean of both, rounded down.
#[inline]
#[target_feature(enable = "avx2")]
fn mixed(near: __m256i, far: __m256i) -> __m256i {
    let is_rounded_up = _mm256_and_si256(_mm256_xor_si256(near, far), _mm256_set1_epi8(1));
    _mm256_avg_epu8(near, _mm256_sub_epi8(_mm256_avg_epu8(near, far), is_rounded_up))
}

/// The chroma of 64 pixels from half as many samples, which begin after the one at `at`.
#[inline]
#[target_feature(enable = "avx2")]
fn widened(samples: &[u8], at: usize) -> [EvenOdd; 2] {
    let near = load(samples, at + 1);
    let (even, odd) = (mixed(near, load(samples, at)), mixed(near, load(samples, at + 2)));
    let (first_even, first_odd) = (_mm256_castsi256_si128(even), _mm256_castsi256_si128(odd));
    let (last_even, last_odd) = (_mm256_extracti128_si256::<1>(even), _mm256_extracti128_si256::<1>(odd));
    [
        [_mm256_cvtepu8_epi16(first_even), _mm256_cvtepu8_epi16(first_odd)],
        [_mm256_cvtepu8_epi16(last_even), _mm256_cvtepu8_epi16(last_odd)],
    ]
}

#[inline]
#[target_feature(enable = "avx2")]
fn even_odd(samples: __m256i) -> EvenOdd {
    [_mm256_and_si256(samples, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(samples)]
}

/// Of 32 pixels the samples, interleaved.
#[inline]
#[target_feature(enable = "avx2")]
fn colored(luma: EvenOdd, cb: EvenOdd, cr: EvenOdd, order: Order) -> [__m256i; 3] {
    let (even, odd) = (offsets(cb[0], cr[0], order), offsets(cb[1], cr[1], order));
    let mut channels = [_mm256_setzero_si256(); 3];
    for ((channel, even), odd) in channels.iter_mut().zip(even).zip(odd) {
        *channel = _mm256_packus_epi16(_mm256_add_epi16(luma[0], even), _mm256_add_epi16(luma[1], odd));
    }
    let mut thirds = channels;
    for (third, places) in thirds.iter_mut().zip(INTERLEAVED) {
        let [a, b, c]: [__m256i; 3] = cast(places);
        let (a, b) = (_mm256_shuffle_epi8(channels[0], a), _mm256_shuffle_epi8(channels[1], b));
        *third = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_shuffle_epi8(channels[2], c));
    }
    let [a, b, c] = thirds;
    [
        _mm256_permute2x128_si256::<0x20>(a, b),
        _mm256_permute2x128_si256::<0x30>(c, a),
        _mm256_permute2x128_si256::<0x31>(b, c),
    ]
}

/// What chroma adds to luma in each channel, for 16 pixels.
///
/// `zune-jpeg` shifts `luma * 2^14 + cb * x + cr * y + 8191` by 14 bits. As luma is a multiple of what is shifted out, it
/// can be added later. Of one product alone 8192 can be added as well, which one instruction does: that differs only
/// where the lowest bits are 8192, which no chroma has.
#[inline]
#[target_feature(enable = "avx2")]
fn offsets(cb: __m256i, cr: __m256i, order: Order) -> [__m256i; 3] {
    const BLUE_OF_CB: i16 = 29032;
    const RED_OF_CR: i16 = 22970;
    const GREEN: [i16; 2] = [-5638, -11700];
    let middle = _mm256_set1_epi16(128);
    let (cb, cr) = (_mm256_sub_epi16(cb, middle), _mm256_sub_epi16(cr, middle));
    let red = _mm256_mulhrs_epi16(_mm256_add_epi16(cr, cr), _mm256_set1_epi16(RED_OF_CR));
    let blue = _mm256_mulhrs_epi16(_mm256_add_epi16(cb, cb), _mm256_set1_epi16(BLUE_OF_CB));
    let (factors, round): (__m256i, _) = (cast([GREEN; 8]), _mm256_set1_epi32(8191));
    let low = _mm256_madd_epi16(_mm256_unpacklo_epi16(cb, cr), factors);
    let high = _mm256_madd_epi16(_mm256_unpackhi_epi16(cb, cr), factors);
    let low = _mm256_srai_epi32::<14>(_mm256_add_epi32(low, round));
    let high = _mm256_srai_epi32::<14>(_mm256_add_epi32(high, round));
    let green = _mm256_packs_epi32(low, high);
    match order {
        Order::Rgb => [red, green, blue],
        Order::Bgr => [blue, green, red],
    }
}

/// For each third of 16 pixels of three bytes, and for each channel, where to take its bytes from: of a channel the eight
/// of even columns come before the eight of odd ones. Others become 0.
const INTERLEAVED: [[[u8; 32]; 3]; 3] = {
    let mut places = [[[0x80; 32]; 3]; 3];
    let mut byte = 0;
    while byte < 48 {
        let (pixel, channel) = (byte / 3, byte % 3);
        let place = (pixel / 2 + pixel % 2 * 8) as u8;
        places[byte / 16][channel][byte % 16] = place;
        places[byte / 16][channel][byte % 16 + 16] = place;
        byte += 1;
    }
    places
};

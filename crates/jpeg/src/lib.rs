//! Decodes two kinds of JPEG, beside a general decoder.
//!
//! [`Decoder`] reads the kind that cameras and encoders write unless told otherwise: baseline, Huffman coded, YCbCr with
//! chroma in full, half or quarter resolution, all components in one scan.
//!
//! The result is that of `zune-jpeg`, bit for bit, in about two thirds of the time. Every other kind of file, and every
//! damaged one, is left to a general decoder: [`Decoder::decode`] then returns `false`. It needs AVX2; on other processors
//! it reads no file at all.
//!
//! A band of one row of MCUs at a time is decoded to planes that stay in the processor's cache, and converted to pixels
//! from there.
//!
//! [`decode_sequential`] reads what `zune-jpeg` takes for another picture than it is, without a word: sequential files of several
//! scans, and of unusual samplings. [`Frame`] tells which these are, and which colours a file has by libjpeg's rule.

#[cfg(target_arch = "x86_64")]
mod band;
#[cfg(target_arch = "x86_64")]
mod block;
mod frame;
#[cfg(target_arch = "x86_64")]
mod header;
#[cfg(target_arch = "x86_64")]
mod huffman;
#[cfg(target_arch = "x86_64")]
mod idct;
#[cfg(target_arch = "x86_64")]
mod picture;
#[cfg(target_arch = "x86_64")]
mod pixels;
#[cfg(target_arch = "x86_64")]
mod scan;
mod segments;
mod sequential;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
mod usual_tables;

pub use frame::{Colors, Frame};
pub use sequential::{Fault, decode as decode_sequential};

/// The order of a pixel's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Rgb,
    Bgr,
}

/// A decoder. Keeps its tables and memory between files.
#[derive(Debug, Default)]
pub struct Decoder {
    #[cfg(target_arch = "x86_64")]
    memory: picture::Memory,
}

impl Decoder {
    /// Decodes a file to pixels, row by row, three bytes each. `out` has exactly the bytes of the picture.
    ///
    /// Returns `false` if the file is of another kind or damaged, if `out` has another size than the picture, or if the
    /// processor has no AVX2; the content of `out` is then undefined. The caller has to know that the components are
    /// YCbCr: what a file's application markers say about colours is not looked at.
    #[must_use]
    pub fn decode(&mut self, file: &[u8], order: Order, out: &mut [u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = fearless_simd::Level::new().as_avx2() {
            return picture::decode(avx2, &mut self.memory, file, order, out).is_ok();
        }
        let _ = (file, order, out);
        false
    }

    /// Releases the memory if it is larger than `kept` bytes.
    pub fn give_back(&mut self, kept: usize) {
        #[cfg(target_arch = "x86_64")]
        if self.memory.size() > kept {
            self.memory = picture::Memory::default();
        }
        let _ = kept;
    }
}

impl Clone for Decoder {
    /// Creates a decoder; memory is not copied.
    fn clone(&self) -> Self {
        Decoder::default()
    }
}

/// The file is none that this decoder reads.
#[cfg(target_arch = "x86_64")]
#[derive(Debug)]
struct Unsupported;

#[cfg(target_arch = "x86_64")]
type Result<T> = std::result::Result<T, Unsupported>;

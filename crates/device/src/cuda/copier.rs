//! Copies of several segments within a GPU by one kernel. A copy of the driver's takes the place of a kernel in its stream, whatever
//! its size, so that many small ones, as of the requests of a batch, take longer than what they copy.

use std::ffi::{CStr, c_void};
use std::ptr::null_mut;

use cudarc::driver::sys::{CUfunction, CUmodule, CUstream};
use smallvec::SmallVec;

use super::library::{Functions, Status};
use super::status;

/// The kernel, which the driver compiles for the GPU.
const SOURCE: &CStr =
    match CStr::from_bytes_with_nul(concat!(include_str!("copy_segments.ptx"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("the kernel's text has a zero"),
    };

/// The most segments of one launch: those of the kernel's parameter.
const MOST: usize = 160;

/// The threads of a block.
const THREADS: u32 = 256;

/// The most blocks for a segment.
const MOST_BLOCKS: u64 = 32;

/// The kernel reads and writes pieces of so many bytes.
const PIECE: u64 = 16;

/// Bytes to copy, by the addresses of both ends.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) target: u64,
    pub(super) source: u64,
    pub(super) len: u64,
}

impl Segment {
    /// Whether the kernel can copy it.
    pub(super) fn is_aligned(&self) -> bool {
        (self.target | self.source).is_multiple_of(PIECE)
    }
}

/// Whether two of them would write the same bytes: the kernel writes in no order. Regions of clients may lie over each other.
pub(super) fn targets_overlap(segments: &[Segment]) -> bool {
    let range = |segment: &Segment| (segment.target, segment.target + segment.len);
    let meet = |pair: &[(u64, u64)]| pair[0].1 > pair[1].0;
    let mut ranges: SmallVec<[_; 16]> =
        segments.iter().filter(|segment| segment.len > 0).map(range).collect();
    if !ranges.is_sorted() {
        ranges.sort_unstable();
    }
    ranges.windows(2).any(meet)
}

/// The kernel, loaded into a context.
#[derive(Debug)]
pub(super) struct Copier {
    module: CUmodule,
    kernel: CUfunction,
}

// SAFETY: modules and functions of the driver may be used by all threads.
unsafe impl Send for Copier {}
// SAFETY: as above.
unsafe impl Sync for Copier {}

impl Copier {
    /// Loads the kernel into the current context; `None` if the driver cannot compile it.
    pub(super) fn load(functions: &Functions) -> Option<Copier> {
        let (mut module, mut kernel) = (null_mut(), null_mut());
        // SAFETY: writes the handle; the text ends with a zero.
        let status = unsafe { (functions.load_module)(&raw mut module, SOURCE.as_ptr().cast()) };
        if status != status::SUCCESS || module.is_null() {
            tracing::debug!("no kernel for copies: {}", functions.describe(status));
            return None;
        }
        // SAFETY: writes the handle; the module is loaded.
        let status =
            unsafe { (functions.module_function)(&raw mut kernel, module, c"copy_segments".as_ptr()) };
        let copier = Copier { module, kernel };
        if status != status::SUCCESS || kernel.is_null() {
            tracing::debug!("no kernel for copies: {}", functions.describe(status));
            copier.unload(functions);
            return None;
        }
        Some(copier)
    }

    /// Queues the copies, all of which are aligned, on a stream. Both ends of each are valid until then, and no two overlap.
    ///
    /// # Safety
    /// As said; the stream is alive.
    pub(super) unsafe fn launch(
        &self,
        functions: &Functions,
        segments: &[Segment],
        stream: CUstream,
    ) -> Status {
        for segments in segments.chunks(MOST) {
            let mut parameter = [Segment { target: 0, source: 0, len: 0 }; MOST];
            parameter[..segments.len()].copy_from_slice(segments);
            let longest = segments.iter().map(|segment| segment.len).max().unwrap_or(0);
            // Four pieces a thread.
            let blocks = (longest / PIECE).div_ceil(u64::from(THREADS) * 4).clamp(1, MOST_BLOCKS) as u32;
            let mut parameters = [(&raw mut parameter).cast::<c_void>()];
            // SAFETY: the kernel has one parameter, of that size, which is copied by the call. It accesses what the segments name.
            let status = unsafe {
                (functions.launch_kernel)(
                    self.kernel,
                    blocks,
                    segments.len() as u32,
                    1,
                    THREADS,
                    1,
                    1,
                    0,
                    stream,
                    parameters.as_mut_ptr(),
                    null_mut(),
                )
            };
            if status != status::SUCCESS {
                return status;
            }
        }
        status::SUCCESS
    }

    pub(super) fn unload(&self, functions: &Functions) {
        // SAFETY: loaded by `load`, and not used any more.
        unsafe { (functions.unload_module)(self.module) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_has_room_for_the_segments_of_a_launch() {
        assert_eq!(size_of::<[Segment; MOST]>(), 3840);
        assert!(SOURCE.to_str().unwrap().contains("segments[3840]"));
    }

    #[test]
    fn both_ends_have_to_be_aligned() {
        let at = |target, source| Segment { target, source, len: 3 }.is_aligned();
        assert!(at(256, 16) && !at(256, 8) && !at(1, 16));
    }

    #[test]
    fn targets_that_lie_over_each_other_are_found_in_any_order() {
        let overlap = |ranges: &[(u64, u64)]| {
            let segments: Vec<_> =
                ranges.iter().map(|&(target, len)| Segment { target, source: 0, len }).collect();
            targets_overlap(&segments)
        };
        assert!(!overlap(&[(0, 16), (16, 32), (48, 1)]) && !overlap(&[(48, 1), (0, 16), (16, 32)]));
        assert!(
            overlap(&[(0, 17), (16, 32)]) && overlap(&[(64, 16), (0, 80)]) && overlap(&[(16, 4), (16, 4)])
        );
        assert!(!overlap(&[(16, 16), (16, 0), (0, 16)]), "nothing is written to the second");
    }
}

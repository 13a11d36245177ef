//! The memory of runs as an allocator of the engine.

#![allow(unsafe_code, reason = "hands memory to ONNX Runtime, and takes it from the system")]

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::fmt;
use std::ptr::null_mut;

use hippocamp_backend::Result;
use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::sys::{OrtAllocator, OrtMemoryInfo};
use parking_lot::Mutex;

use super::outcome;
use crate::error::engine;
use crate::run_memory::{Extents, LANES, LARGE, Lanes, Running};

/// What stands before a block of the program's allocator: its size. The engine's kernels like tensors aligned to so many bytes.
#[repr(C, align(64))]
struct Header(usize);

/// The addresses of a lane at most, in bytes: what a run holds beyond comes from the program's allocator.
const LARGEST_LANE: usize = 64 << 30;

/// The memory of runs. There is one in a process, for good, as the engine may free blocks at any time.
#[repr(C)]
pub(crate) struct RunMemory {
    /// The first field: the engine passes its address to the functions below.
    table: OrtAllocator,
    info: MemoryInfo<'static>,
    /// The addresses of all lanes, one behind the other. There are pages where they were touched.
    base: *mut u8,
    /// The bytes of one lane.
    size: usize,
    extents: [Mutex<Extents>; LANES],
    lanes: Lanes,
}

// SAFETY: the table is not written after it was registered, and all else is behind locks or never changes.
unsafe impl Send for RunMemory {}
// SAFETY: as above.
unsafe impl Sync for RunMemory {}

impl fmt::Debug for RunMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunMemory").field("size", &self.size).finish_non_exhaustive()
    }
}

impl RunMemory {
    /// Registers the memory with the engine. Sessions use it that ask for the allocators of their environment. `None` if the system
    /// lends no such range of addresses, as where more than there is of memory must not be promised.
    pub(crate) fn register(environment: &Environment) -> Result<Option<&'static RunMemory>> {
        let Some((base, size)) = reserve_lanes() else { return Ok(None) };
        let info = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default);
        // SAFETY: a table without functions, which are set below.
        let mut table = unsafe { OrtAllocator::default() };
        table.Alloc = Some(take);
        table.Free = Some(put_back);
        table.Info = Some(memory_info);
        table.Reserve = Some(keep);
        let extents = std::array::from_fn(|_| Mutex::new(Extents::new(size)));
        let (info, lanes) = (info.map_err(engine)?, Lanes::default());
        let memory = Box::leak(Box::new(RunMemory { table, info, base, size, extents, lanes }));
        let table = (&raw mut *memory).cast::<OrtAllocator>();
        // SAFETY: the environment is live, and the allocator lives as long as the process.
        unsafe { outcome((ort::api().RegisterAllocator)(environment.ptr().cast_mut(), table))? };
        Ok(Some(memory))
    }

    /// Begins a run on this thread: what it takes lies in a lane.
    pub(crate) fn begin_run(&self) -> Running<'_> {
        self.lanes.begin()
    }

    /// Returns the pages to the system that no run since the last call needed. True if there were runs.
    pub(crate) fn look(&self) -> bool {
        let mut any = false;
        for lane in 0..LANES {
            let (taken, parts) = self.extents[lane].lock().look();
            any |= taken;
            self.give_back(lane, parts);
        }
        any
    }

    /// Returns all pages to the system that no run uses now.
    pub(crate) fn give_back_all(&self) {
        for lane in 0..LANES {
            let parts = self.extents[lane].lock().idle();
            self.give_back(lane, parts);
        }
    }

    fn give_back(&self, lane: usize, parts: Vec<(usize, usize)>) {
        if parts.is_empty() {
            return;
        }
        for &(at, length) in &parts {
            // SAFETY: the part lies in the lane, begins at a page, and nobody has it: it counts as used until it is restored.
            unsafe {
                libc::madvise(self.base.add(lane * self.size + at).cast(), length, libc::MADV_DONTNEED)
            };
        }
        self.extents[lane].lock().restore(parts);
    }

    fn take(&self, size: usize) -> *mut u8 {
        if size >= LARGE
            && let Some(lane) = Lanes::of_this_thread()
            && let Some(at) = self.extents[lane].lock().take(size)
        {
            // SAFETY: the block lies in the lane.
            return unsafe { self.base.add(lane * self.size + at) };
        }
        kept(size)
    }

    /// The lane of a block, and where it lies there, if it lies in one.
    fn place(&self, block: *mut u8) -> Option<(usize, usize)> {
        let at = (block as usize).checked_sub(self.base as usize)?;
        let lane = at / self.size;
        (lane < LANES).then_some((lane, at % self.size))
    }
}

/// Addresses without pages, and how many bytes of them each lane has: as many as the machine has memory.
fn reserve_lanes() -> Option<(*mut u8, usize)> {
    // SAFETY: no pointers are passed.
    let (pages, page) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    let memory = usize::try_from(pages).ok()?.checked_mul(usize::try_from(page).ok()?)?;
    // A whole number of pages of any kind.
    let size = memory.clamp(1 << 30, LARGEST_LANE) >> 30 << 30;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the system's choice.
    let base = unsafe { libc::mmap(null_mut(), size.checked_mul(LANES)?, access, kind, -1, 0) };
    (base != libc::MAP_FAILED).then_some((base.cast(), size))
}

/// A block of the program's allocator with its size before it; null if there is no memory.
#[expect(clippy::cast_ptr_alignment, reason = "the layout has the alignment of the header")]
fn kept(size: usize) -> *mut u8 {
    let Some(layout) = layout(size) else { return null_mut() };
    // SAFETY: the layout is not empty.
    let header = unsafe { alloc(layout) }.cast::<Header>();
    if header.is_null() {
        return null_mut();
    }
    // SAFETY: the header is within the block, and aligned.
    unsafe {
        header.write(Header(size));
        header.add(1).cast()
    }
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(size_of::<Header>())?, align_of::<Header>()).ok()
}

/// # Safety
/// `this` is the table of a [`RunMemory`].
unsafe fn memory<'a>(this: *const OrtAllocator) -> &'a RunMemory {
    // SAFETY: the table is the first field of what is never freed.
    unsafe { &*this.cast::<RunMemory>() }
}

unsafe extern "system" fn take(this: *mut OrtAllocator, size: usize) -> *mut c_void {
    // SAFETY: the engine passes the table.
    unsafe { memory(this) }.take(size).cast()
}

/// For what lives as long as a session: between the blocks of runs it would only be in their way.
unsafe extern "system" fn keep(_: *const OrtAllocator, size: usize) -> *mut c_void {
    kept(size).cast()
}

unsafe extern "system" fn put_back(this: *mut OrtAllocator, block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: the engine passes the table.
    let memory = unsafe { memory(this) };
    if let Some((lane, at)) = memory.place(block.cast()) {
        memory.extents[lane].lock().put_back(at);
        return;
    }
    // SAFETY: all other blocks were made by `kept`, and have their size before them.
    unsafe {
        let header = block.cast::<Header>().sub(1);
        if let Some(layout) = layout((*header).0) {
            dealloc(header.cast(), layout);
        }
    }
}

unsafe extern "system" fn memory_info(this: *const OrtAllocator) -> *const OrtMemoryInfo {
    // SAFETY: the engine passes the table.
    unsafe { memory(this) }.info.ptr()
}

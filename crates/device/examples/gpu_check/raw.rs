//! CUDA's driver as an engine or a client uses it, without this crate.

use std::ffi::c_void;
use std::ptr::null_mut;

use cudarc::driver::sys::{self, CUipcMemHandle, CUresult, CUstream, CUstreamCaptureMode};

fn ok(result: CUresult, what: &str) -> Result<(), String> {
    if result == CUresult::CUDA_SUCCESS { Ok(()) } else { Err(format!("{what}: {result:?}")) }
}

/// Makes the primary context of device 0 the current one of this thread.
pub(crate) fn start() -> Result<(), String> {
    let mut context = null_mut();
    // SAFETY: writes the handle; the context is never released.
    unsafe {
        ok(sys::cuInit(0), "init")?;
        ok(sys::cuDevicePrimaryCtxRetain(&raw mut context, 0), "context")?;
        ok(sys::cuCtxSetCurrent(context), "current")
    }
}

pub(crate) fn allocate(size: usize) -> Result<u64, String> {
    let mut address = 0;
    // SAFETY: writes the address.
    ok(unsafe { sys::cuMemAlloc_v2(&raw mut address, size) }, "allocate")?;
    Ok(address)
}

pub(crate) fn free(address: u64) -> Result<(), String> {
    // SAFETY: the caller allocated it.
    ok(unsafe { sys::cuMemFree_v2(address) }, "free")
}

pub(crate) fn write(address: u64, bytes: &[u8]) -> Result<(), String> {
    // SAFETY: the caller's memory has as many bytes.
    ok(unsafe { sys::cuMemcpyHtoD_v2(address, bytes.as_ptr().cast::<c_void>(), bytes.len()) }, "write")
}

pub(crate) fn read(address: u64, size: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; size];
    // SAFETY: the caller's memory has as many bytes.
    ok(unsafe { sys::cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast::<c_void>(), address, size) }, "read")?;
    Ok(bytes)
}

/// Queues a write of one byte everywhere, as a kernel would.
pub(crate) fn fill(stream: *mut c_void, address: u64, byte: u8, size: usize) -> Result<(), String> {
    // SAFETY: the caller's memory has as many bytes, and the stream is alive.
    ok(unsafe { sys::cuMemsetD8Async(address, byte, size, stream.cast()) }, "fill")
}

pub(crate) fn copy(stream: *mut c_void, to: u64, from: u64, size: usize) -> Result<(), String> {
    // SAFETY: as above.
    ok(unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, size, stream.cast()) }, "copy")
}

pub(crate) fn export(address: u64) -> Result<[u8; 64], String> {
    let mut handle = CUipcMemHandle { reserved: [0; 64] };
    // SAFETY: writes the handle.
    ok(unsafe { sys::cuIpcGetMemHandle(&raw mut handle, address) }, "export")?;
    Ok(handle.reserved.map(|byte| byte as u8))
}

/// A stream of which a capture forbids other threads what may disturb it, as ONNX Runtime captures.
pub(crate) struct Capturing(CUstream);

impl Capturing {
    pub(crate) fn begin() -> Result<Capturing, String> {
        let mut stream = null_mut();
        // SAFETY: writes the handle.
        unsafe {
            ok(sys::cuStreamCreate(&raw mut stream, 1), "stream")?;
            let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL;
            ok(sys::cuStreamBeginCapture_v2(stream, mode), "begin")?;
        }
        Ok(Capturing(stream))
    }

    pub(crate) fn end(self) -> Result<(), String> {
        let mut graph = null_mut();
        // SAFETY: the handles are alive, and of no use afterwards.
        unsafe {
            ok(sys::cuStreamEndCapture(self.0, &raw mut graph), "end")?;
            ok(sys::cuGraphDestroy(graph), "destroy the graph")?;
            ok(sys::cuStreamDestroy_v2(self.0), "destroy the stream")
        }
    }
}

//! The functions of the CUDA driver, opened at run time.
//!
//! Types and constants are those of `cudarc`. Its functions are not used: they look up a symbol at the first call and panic if
//! the driver lacks it, prefer a `libcuda.so`, which may be the toolkit's stub, to the driver's own `libcuda.so.1`, and return
//! an enum, for which a code that a newer driver has added is undefined behaviour.

use std::ffi::{CStr, c_char, c_int, c_uchar, c_uint, c_void};
use std::ptr::null;

use cudarc::driver::sys::{
    CUcontext, CUdevice, CUdeviceptr, CUevent, CUfunction, CUgraph, CUgraphExec, CUipcMemHandle,
    CUmemPoolProps, CUmemoryPool, CUmodule, CUstream, CUuuid,
};
use libloading::Library;

use super::symbols::{Absent, functions};

/// What every function returns.
pub(super) type Status = c_uint;

/// The driver's library as its package installs it. A `libcuda.so` without a number may be the toolkit's stub.
const NAME: &str = "libcuda.so.1";

functions! {
    /// The functions that are used, all of them found. Each exists since CUDA 11.4.
    Functions;
    init = "cuInit": fn(c_uint);
    driver_version = "cuDriverGetVersion": fn(*mut c_int);
    error_name = "cuGetErrorName": fn(Status, *mut *const c_char);
    error_string = "cuGetErrorString": fn(Status, *mut *const c_char);
    device_count = "cuDeviceGetCount": fn(*mut c_int);
    device = "cuDeviceGet": fn(*mut CUdevice, c_int);
    device_name = "cuDeviceGetName": fn(*mut c_char, c_int, CUdevice);
    device_uuid = "cuDeviceGetUuid_v2": fn(*mut CUuuid, CUdevice);
    device_bus_id = "cuDeviceGetPCIBusId": fn(*mut c_char, c_int, CUdevice);
    device_memory = "cuDeviceTotalMem_v2": fn(*mut usize, CUdevice);
    device_attribute = "cuDeviceGetAttribute": fn(*mut c_int, c_int, CUdevice);
    retain_context = "cuDevicePrimaryCtxRetain": fn(*mut CUcontext, CUdevice);
    release_context = "cuDevicePrimaryCtxRelease_v2": fn(CUdevice);
    current_context = "cuCtxGetCurrent": fn(*mut CUcontext);
    set_current_context = "cuCtxSetCurrent": fn(CUcontext);
    exchange_capture_mode = "cuThreadExchangeStreamCaptureMode": fn(*mut c_int);
    memory_info = "cuMemGetInfo_v2": fn(*mut usize, *mut usize);
    allocate = "cuMemAlloc_v2": fn(*mut CUdeviceptr, usize);
    free = "cuMemFree_v2": fn(CUdeviceptr);
    allocate_from_pool = "cuMemAllocFromPoolAsync": fn(*mut CUdeviceptr, usize, CUmemoryPool, CUstream);
    free_async = "cuMemFreeAsync": fn(CUdeviceptr, CUstream);
    create_pool = "cuMemPoolCreate": fn(*mut CUmemoryPool, *const CUmemPoolProps);
    destroy_pool = "cuMemPoolDestroy": fn(CUmemoryPool);
    set_pool_attribute = "cuMemPoolSetAttribute": fn(CUmemoryPool, c_int, *mut c_void);
    pool_attribute = "cuMemPoolGetAttribute": fn(CUmemoryPool, c_int, *mut c_void);
    trim_pool = "cuMemPoolTrimTo": fn(CUmemoryPool, usize);
    allocate_host = "cuMemHostAlloc": fn(*mut *mut c_void, usize, c_uint);
    free_host = "cuMemFreeHost": fn(*mut c_void);
    copy_from_host = "cuMemcpyHtoDAsync_v2": fn(CUdeviceptr, *const c_void, usize, CUstream);
    copy_to_host = "cuMemcpyDtoHAsync_v2": fn(*mut c_void, CUdeviceptr, usize, CUstream);
    copy_within = "cuMemcpyDtoDAsync_v2": fn(CUdeviceptr, CUdeviceptr, usize, CUstream);
    copy_between = "cuMemcpyPeerAsync": fn(CUdeviceptr, CUcontext, CUdeviceptr, CUcontext, usize, CUstream);
    load_module = "cuModuleLoadData": fn(*mut CUmodule, *const c_void);
    module_function = "cuModuleGetFunction": fn(*mut CUfunction, CUmodule, *const c_char);
    unload_module = "cuModuleUnload": fn(CUmodule);
    launch_kernel = "cuLaunchKernel": fn(
        CUfunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, CUstream, *mut *mut c_void,
        *mut *mut c_void,
    );
    fill = "cuMemsetD8Async": fn(CUdeviceptr, c_uchar, usize, CUstream);
    pointer_attribute = "cuPointerGetAttribute": fn(*mut c_void, c_int, CUdeviceptr);
    address_range = "cuMemGetAddressRange_v2": fn(*mut CUdeviceptr, *mut usize, CUdeviceptr);
    export = "cuIpcGetMemHandle": fn(*mut CUipcMemHandle, CUdeviceptr);
    open_exported = "cuIpcOpenMemHandle_v2": fn(*mut CUdeviceptr, CUipcMemHandle, c_uint);
    close_exported = "cuIpcCloseMemHandle": fn(CUdeviceptr);
    create_stream = "cuStreamCreate": fn(*mut CUstream, c_uint);
    destroy_stream = "cuStreamDestroy_v2": fn(CUstream);
    wait_for_event = "cuStreamWaitEvent": fn(CUstream, CUevent, c_uint);
    begin_capture = "cuStreamBeginCapture_v2": fn(CUstream, c_int);
    end_capture = "cuStreamEndCapture": fn(CUstream, *mut CUgraph);
    create_event = "cuEventCreate": fn(*mut CUevent, c_uint);
    record_event = "cuEventRecord": fn(CUevent, CUstream);
    query_event = "cuEventQuery": fn(CUevent);
    synchronize_event = "cuEventSynchronize": fn(CUevent);
    destroy_event = "cuEventDestroy_v2": fn(CUevent);
    instantiate_graph = "cuGraphInstantiateWithFlags": fn(*mut CUgraphExec, CUgraph, u64);
    launch_graph = "cuGraphLaunch": fn(CUgraphExec, CUstream);
    destroy_graph = "cuGraphDestroy": fn(CUgraph);
    destroy_executable_graph = "cuGraphExecDestroy": fn(CUgraphExec);
}

impl Functions {
    /// Opens the driver's library. Nothing is initialised yet.
    pub(super) fn open() -> Result<Functions, Absent> {
        // SAFETY: opening the driver's library runs its initialisers, which have no requirements.
        let library = unsafe { Library::new(NAME) }.map_err(Absent::Library)?;
        Functions::of(library)
    }

    /// What the driver says of a status, such as `CUDA_ERROR_NOT_SUPPORTED (801): operation not supported`.
    pub(super) fn describe(&self, status: Status) -> String {
        let text = |of: unsafe extern "C" fn(Status, *mut *const c_char) -> Status| {
            let mut text = null();
            // SAFETY: the driver writes null, or a text that it keeps for good.
            (unsafe { of(status, &raw mut text) } == 0 && !text.is_null())
                .then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
        };
        match (text(self.error_name), text(self.error_string)) {
            (Some(name), Some(meaning)) => format!("{name} ({status}): {meaning}"),
            _ => format!("CUDA error {status}"),
        }
    }
}

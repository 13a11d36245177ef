//! Kernels and copies on a GPU, by the driver, which is opened at run time.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int, c_void};
use std::sync::{Mutex, OnceLock};

use libloading::os::unix::Library;

/// Two kernels, `y = a x + b` of FLOAT and INT32, in the driver's own assembly language.
const KERNELS: &CStr = cr"
.version 7.0
.target sm_50
.address_size 64
.visible .entry affine_f32(.param .u64 x, .param .u64 y, .param .u32 a, .param .u32 b, .param .u32 n)
{
    .reg .pred %p; .reg .b32 %r<8>; .reg .f32 %f<6>; .reg .b64 %d<6>;
    ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y]; ld.param.u32 %r1, [a]; ld.param.u32 %r2, [b]; ld.param.u32 %r3, [n];
    mov.u32 %r4, %ctaid.x; mov.u32 %r5, %ntid.x; mov.u32 %r6, %tid.x;
    mad.lo.s32 %r7, %r4, %r5, %r6;
    setp.ge.u32 %p, %r7, %r3;
    @%p bra DONE;
    cvta.to.global.u64 %d1, %d1; cvta.to.global.u64 %d2, %d2;
    mul.wide.u32 %d3, %r7, 4;
    add.s64 %d4, %d1, %d3; add.s64 %d5, %d2, %d3;
    ld.global.f32 %f1, [%d4];
    mov.b32 %f2, %r1; mov.b32 %f3, %r2;
    mul.rn.f32 %f4, %f1, %f2;
    add.rn.f32 %f5, %f4, %f3;
    st.global.f32 [%d5], %f5;
DONE:
    ret;
}
.visible .entry affine_s32(.param .u64 x, .param .u64 y, .param .u32 a, .param .u32 b, .param .u32 n)
{
    .reg .pred %p; .reg .b32 %r<12>; .reg .b64 %d<6>;
    ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y]; ld.param.u32 %r1, [a]; ld.param.u32 %r2, [b]; ld.param.u32 %r3, [n];
    mov.u32 %r4, %ctaid.x; mov.u32 %r5, %ntid.x; mov.u32 %r6, %tid.x;
    mad.lo.s32 %r7, %r4, %r5, %r6;
    setp.ge.u32 %p, %r7, %r3;
    @%p bra DONE;
    cvta.to.global.u64 %d1, %d1; cvta.to.global.u64 %d2, %d2;
    mul.wide.u32 %d3, %r7, 4;
    add.s64 %d4, %d1, %d3; add.s64 %d5, %d2, %d3;
    ld.global.s32 %r8, [%d4];
    mad.lo.s32 %r9, %r8, %r1, %r2;
    st.global.s32 [%d5], %r9;
DONE:
    ret;
}
";

type Launch = unsafe extern "C" fn(
    *mut c_void,
    u32,
    u32,
    u32,
    u32,
    u32,
    u32,
    u32,
    *mut c_void,
    *mut *mut c_void,
    *mut *mut c_void,
) -> c_int;

/// The driver's functions.
pub(crate) struct Cuda {
    current: unsafe extern "C" fn(*mut *mut c_void) -> c_int,
    load: unsafe extern "C" fn(*mut *mut c_void, *const c_void) -> c_int,
    function: unsafe extern "C" fn(*mut *mut c_void, *mut c_void, *const std::ffi::c_char) -> c_int,
    launch: Launch,
    copy: unsafe extern "C" fn(u64, u64, usize, *mut c_void) -> c_int,
    to_host: unsafe extern "C" fn(*mut c_void, u64, usize, *mut c_void) -> c_int,
    to_device: unsafe extern "C" fn(u64, *const c_void, usize, *mut c_void) -> c_int,
    wait: unsafe extern "C" fn(*mut c_void) -> c_int,
    /// By context and kind: the kernel.
    kernels: Mutex<BTreeMap<(usize, bool), usize>>,
}

fn checked(what: &str, code: c_int) -> Result<(), String> {
    if code == 0 { Ok(()) } else { Err(format!("Cuda Driver ({what}: CUDA error {code})")) }
}

impl Cuda {
    pub(crate) fn get() -> Result<&'static Cuda, String> {
        static CUDA: OnceLock<Option<Cuda>> = OnceLock::new();
        CUDA.get_or_init(Cuda::open).as_ref().ok_or_else(|| "the driver of CUDA is missing".to_owned())
    }

    fn open() -> Option<Cuda> {
        // SAFETY: the driver's functions have these types in every version.
        unsafe {
            let driver = std::mem::ManuallyDrop::new(Library::new("libcuda.so.1").ok()?);
            Some(Cuda {
                current: *driver.get(c"cuCtxGetCurrent").ok()?,
                load: *driver.get(c"cuModuleLoadData").ok()?,
                function: *driver.get(c"cuModuleGetFunction").ok()?,
                launch: *driver.get(c"cuLaunchKernel").ok()?,
                copy: *driver.get(c"cuMemcpyDtoDAsync_v2").ok()?,
                to_host: *driver.get(c"cuMemcpyDtoHAsync_v2").ok()?,
                to_device: *driver.get(c"cuMemcpyHtoDAsync_v2").ok()?,
                wait: *driver.get(c"cuStreamSynchronize").ok()?,
                kernels: Mutex::default(),
            })
        }
    }

    fn kernel(&self, is_float: bool) -> Result<*mut c_void, String> {
        let mut kernels = self.kernels.lock().map_err(|e| e.to_string())?;
        let (mut context, mut module, mut function) = [std::ptr::null_mut(); 3].into();
        // SAFETY: results are written to places of ours, and texts end with a null byte.
        unsafe {
            checked("cuCtxGetCurrent", (self.current)(&raw mut context))?;
            if let Some(kernel) = kernels.get(&(context as usize, is_float)) {
                return Ok(*kernel as *mut c_void);
            }
            let name = if is_float { c"affine_f32" } else { c"affine_s32" };
            checked("cuModuleLoadData", (self.load)(&raw mut module, KERNELS.as_ptr().cast()))?;
            checked("cuModuleGetFunction", (self.function)(&raw mut function, module, name.as_ptr()))?;
        }
        kernels.insert((context as usize, is_float), function as usize);
        Ok(function)
    }

    /// Queues `y = a x + b` of as many elements. Numbers are passed as their bits.
    pub(crate) fn affine(
        &self,
        stream: *mut c_void,
        is_float: bool,
        [mut from, mut to]: [u64; 2],
        [mut factor, mut offset]: [u32; 2],
        count: usize,
    ) -> Result<(), String> {
        if count == 0 {
            return Ok(());
        }
        let kernel = self.kernel(is_float)?;
        let mut count = count as u32;
        let mut arguments: [*mut c_void; 5] = [
            (&raw mut from).cast(),
            (&raw mut to).cast(),
            (&raw mut factor).cast(),
            (&raw mut offset).cast(),
            (&raw mut count).cast(),
        ];
        // SAFETY: the kernel takes these five arguments, which the call copies.
        checked("cuLaunchKernel", unsafe {
            let blocks = count.div_ceil(128);
            let arguments = arguments.as_mut_ptr();
            (self.launch)(kernel, blocks, 1, 1, 128, 1, 1, 0, stream, arguments, std::ptr::null_mut())
        })
    }

    /// Queues a copy within the device.
    pub(crate) fn copy(&self, stream: *mut c_void, from: u64, to: u64, size: usize) -> Result<(), String> {
        // SAFETY: the caller has set addresses of as many bytes.
        checked("cuMemcpyDtoDAsync", unsafe { (self.copy)(to, from, size, stream) })
    }

    /// Reads elements, and waits for them.
    pub(crate) fn read(&self, stream: *mut c_void, from: u64, to: &mut [f32]) -> Result<(), String> {
        // SAFETY: as above; the target is ours until the wait is over.
        unsafe {
            checked(
                "cuMemcpyDtoHAsync",
                (self.to_host)(to.as_mut_ptr().cast(), from, size_of_val(to), stream),
            )?;
            checked("cuStreamSynchronize", (self.wait)(stream))
        }
    }

    /// Writes elements, and waits for them.
    pub(crate) fn write(&self, stream: *mut c_void, to: u64, from: &[f32]) -> Result<(), String> {
        // SAFETY: as above.
        unsafe {
            checked(
                "cuMemcpyHtoDAsync",
                (self.to_device)(to, from.as_ptr().cast(), size_of_val(from), stream),
            )?;
            checked("cuStreamSynchronize", (self.wait)(stream))
        }
    }
}

//! Exceptions that leave a function of a backend. Most backends are written in C++, and an exception that nobody catches ends the process.
//! Here it is an error of the call.
//!
//! A call is made by a function in assembler, whose frame says to the unwinder that it catches what comes. Rust's own way, `catch_unwind`, ends the
//! process for exceptions of others.

#![allow(unsafe_code, reason = "speaks to the unwinder and to C++'s library")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use hippocamp_backend::{Error, Result};
use libloading::os::unix::Library;

/// What the unwinder calls an exception, whatever language it is of.
#[repr(C, align(16))]
struct Exception {
    class: u64,
    /// Frees it.
    cleanup: Option<unsafe extern "C" fn(c_int, *mut Exception)>,
    of_unwinder: [usize; 2],
}

/// The unwinder's, of a frame.
enum Context {}

/// What Rust's panics say that they are, in the order of bytes that its library takes, and what C++'s exceptions do.
const RUST: u64 = u64::from_ne_bytes(*b"MOZ\0RUST");
const CPP: u64 = u64::from_be_bytes(*b"GNUCC++\0");
/// One that was kept and thrown again refers to the first.
const CPP_AGAIN: u64 = CPP + 1;
/// Those that [`throw`] makes.
const OWN: u64 = u64::from_be_bytes(*b"HPPCRUST");

unsafe extern "C" {
    fn _Unwind_DeleteException(exception: *mut Exception);
    fn _Unwind_SetGR(context: *mut Context, register: c_int, value: usize);
    fn _Unwind_SetIP(context: *mut Context, address: usize);
}

unsafe extern "C-unwind" {
    fn _Unwind_RaiseException(exception: *mut Exception) -> c_int;
    /// Calls `run` with `data`, and returns NULL, or the exception that has left it.
    fn hippocamp_triton_guard(
        run: unsafe extern "C-unwind" fn(*mut c_void),
        data: *mut c_void,
    ) -> *mut Exception;
    /// Where that goes on behind an exception, which is in the register of what is returned.
    fn hippocamp_triton_caught();
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .text.hippocamp_triton_guard,\"ax\",@progbits",
    ".globl hippocamp_triton_guard",
    ".hidden hippocamp_triton_guard",
    ".type hippocamp_triton_guard,@function",
    ".globl hippocamp_triton_caught",
    ".hidden hippocamp_triton_caught",
    ".p2align 4",
    "hippocamp_triton_guard:",
    ".cfi_startproc",
    ".cfi_personality 0x1b, {catches}",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "xor eax, eax",
    "hippocamp_triton_caught:",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size hippocamp_triton_guard, . - hippocamp_triton_guard",
    ".popsection",
    catches = sym catches,
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .text.hippocamp_triton_guard,\"ax\",@progbits",
    ".globl hippocamp_triton_guard",
    ".hidden hippocamp_triton_guard",
    ".type hippocamp_triton_guard,@function",
    ".globl hippocamp_triton_caught",
    ".hidden hippocamp_triton_caught",
    ".p2align 4",
    "hippocamp_triton_guard:",
    ".cfi_startproc",
    ".cfi_personality 0x1b, {catches}",
    "stp x29, x30, [sp, #-16]!",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset w30, -8",
    ".cfi_offset w29, -16",
    "mov x29, sp",
    ".cfi_def_cfa w29, 16",
    "mov x9, x0",
    "mov x0, x1",
    "blr x9",
    "mov x0, xzr",
    "hippocamp_triton_caught:",
    "ldp x29, x30, [sp], #16",
    ".cfi_def_cfa sp, 0",
    ".cfi_restore w30",
    ".cfi_restore w29",
    "ret",
    ".cfi_endproc",
    ".size hippocamp_triton_guard, . - hippocamp_triton_guard",
    ".popsection",
    catches = sym catches,
);

/// What the unwinder asks of the frame: whether it catches an exception, and then where to go on.
unsafe extern "C" fn catches(
    version: c_int,
    actions: c_int,
    class: u64,
    exception: *mut Exception,
    context: *mut Context,
) -> c_int {
    const SEARCHES: c_int = 1;
    const CATCHES_HERE: c_int = 4;
    /// A thread is being ended.
    const IS_FORCED: c_int = 8;
    const FATAL: c_int = 3;
    const CAUGHT: c_int = 6;
    const GOES_ON_HERE: c_int = 7;
    const UNWINDS_FURTHER: c_int = 8;
    if version != 1 {
        return FATAL;
    }
    if actions & IS_FORCED != 0 || class == RUST || class == RUST.swap_bytes() {
        return UNWINDS_FURTHER;
    }
    if actions & SEARCHES != 0 {
        return CAUGHT;
    }
    if actions & CATCHES_HERE == 0 {
        return UNWINDS_FURTHER;
    }
    let target: unsafe extern "C-unwind" fn() = hippocamp_triton_caught;
    // SAFETY: the context is of the frame of the guard. The first register for exceptions is, on both architectures, that in which
    // values are returned, which the code at that address leaves as it is.
    unsafe {
        _Unwind_SetGR(context, 0, exception.expose_provenance());
        _Unwind_SetIP(context, target as usize);
    }
    GOES_ON_HERE
}

/// Throws an exception of no language, through functions of a backend that was called by [`caught`]: they take down what they have made, and none
/// but a handler for all catches it. Returns where nobody would.
pub(super) fn throw() {
    unsafe extern "C" fn cleanup(_: c_int, exception: *mut Exception) {
        // SAFETY: it was made below, and whoever calls this has it alone.
        drop(unsafe { Box::from_raw(exception) });
    }
    if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) {
        return;
    }
    let exception = Exception { class: OWN, cleanup: Some(cleanup), of_unwinder: [0; 2] };
    let exception = Box::into_raw(Box::new(exception));
    // SAFETY: it stays until it is deleted. This returns only if it was not thrown.
    unsafe {
        _Unwind_RaiseException(exception);
        drop(Box::from_raw(exception));
    }
}

/// Makes a call of a backend. An exception that leaves it is an error.
pub(super) fn caught<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) {
        return call();
    }
    let mut place = (Some(call), MaybeUninit::uninit());
    let exception = guarded(run_of(&place), (&raw mut place).cast());
    if exception.is_null() {
        // SAFETY: it has returned, and so has written what the call returned.
        return unsafe { place.1.assume_init() };
    }
    let what = described(exception);
    Err(Error::internal(format!("an exception left the backend's code: {what}")))
}

type Place<T, F> = (Option<F>, MaybeUninit<Result<T>>);

/// What `guarded` can call, of a call that only the compiler can name.
fn run_of<T, F: FnOnce() -> Result<T>>(_: &Place<T, F>) -> unsafe extern "C-unwind" fn(*mut c_void) {
    unsafe extern "C-unwind" fn run<T, F: FnOnce() -> Result<T>>(place: *mut c_void) {
        // SAFETY: it is the place in `caught`, which waits for this.
        let place = unsafe { &mut *place.cast::<Place<T, F>>() };
        if let Some(call) = place.0.take() {
            place.1.write(call());
        }
    }
    run::<T, F>
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn guarded(run: unsafe extern "C-unwind" fn(*mut c_void), data: *mut c_void) -> *mut Exception {
    // SAFETY: `data` is what `run` expects.
    unsafe { hippocamp_triton_guard(run, data) }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn guarded(run: unsafe extern "C-unwind" fn(*mut c_void), data: *mut c_void) -> *mut Exception {
    // SAFETY: `data` is what `run` expects.
    unsafe { run(data) };
    ptr::null_mut()
}

/// What is known of an exception, which is over then.
fn described(exception: *mut Exception) -> String {
    // SAFETY: the unwinder has handed it over.
    let class = unsafe { (*exception).class };
    if matches!(class, CPP | CPP_AGAIN)
        && let Some(cpp) = Cpp::find()
    {
        return cpp.caught(exception, class == CPP);
    }
    // SAFETY: nobody else has it.
    unsafe { _Unwind_DeleteException(exception) };
    let what = if class == OWN { "a wait that was given up" } else { "of a language that is not known" };
    what.to_owned()
}

/// C++'s library, if it is in the process already: so that nothing of it is initialized.
pub(crate) fn cpp_library() -> Option<Library> {
    // SAFETY: see above.
    unsafe { Library::open(Some("libstdc++.so.6"), libc::RTLD_NOW | libc::RTLD_NOLOAD) }.ok()
}

/// The functions of C++'s library that are needed to look at an exception.
struct Cpp {
    begin_catch: unsafe extern "C" fn(*mut Exception) -> *mut c_void,
    end_catch: unsafe extern "C" fn(),
    current_type: unsafe extern "C" fn() -> *const Type,
    demangle: unsafe extern "C" fn(*const c_char, *mut c_char, *mut usize, *mut c_int) -> *mut c_char,
    /// The type `std::exception`.
    base: *const Type,
}

/// An object of a class with virtual functions. The third of `std::exception` is `what`.
#[repr(C)]
struct Object {
    functions: *const ObjectFunctions,
}

#[repr(C)]
struct ObjectFunctions {
    destructors: [usize; 2],
    what: unsafe extern "C" fn(*const Object) -> *const c_char,
}

/// An object of `std::type_info`. Its fifth function says whether a handler of its type catches what was thrown.
#[repr(C)]
struct Type {
    functions: *const TypeFunctions,
    name: *const c_char,
}

#[repr(C)]
struct TypeFunctions {
    others: [usize; 4],
    catches: unsafe extern "C" fn(*const Type, *const Type, *mut *mut Object, u32) -> bool,
}

impl Cpp {
    fn find() -> Option<Cpp> {
        let library = cpp_library()?;
        // SAFETY: all have these types in every version of the library.
        unsafe {
            Some(Cpp {
                begin_catch: *library.get(b"__cxa_begin_catch\0").ok()?,
                end_catch: *library.get(b"__cxa_end_catch\0").ok()?,
                current_type: *library.get(b"__cxa_current_exception_type\0").ok()?,
                demangle: *library.get(b"__cxa_demangle\0").ok()?,
                base: *library.get(b"_ZTISt9exception\0").ok()?,
            })
        }
    }

    /// Catches it as a handler for all would: its type and, where the object `follows` the exception, what it says.
    fn caught(&self, exception: *mut Exception, follows: bool) -> String {
        // SAFETY: this is what a handler does; the object stays until `end_catch`, and texts are copied before.
        unsafe {
            (self.begin_catch)(exception);
            let thrown = (self.current_type)();
            let mut text = "of no type".to_owned();
            if let Some(of) = thrown.as_ref() {
                text = self.name(of.name);
                let mut object = exception.add(1).cast::<Object>();
                let catches = (*(*self.base).functions).catches;
                if follows && catches(self.base, thrown, &raw mut object, 1) {
                    let what = ((*(*object).functions).what)(object);
                    text = format!("{text}: {}", CStr::from_ptr(what).to_string_lossy());
                }
            }
            (self.end_catch)();
            text
        }
    }

    /// The name of a type as it is written.
    ///
    /// # Safety
    /// It is a text.
    unsafe fn name(&self, mangled: *const c_char) -> String {
        let mut status = 0;
        // SAFETY: the text is the type's; what is made is freed.
        unsafe {
            // So begin those of types that are not to be compared by name.
            let mangled = if *mangled.cast::<u8>() == b'*' { mangled.add(1) } else { mangled };
            let written = (self.demangle)(mangled, ptr::null_mut(), ptr::null_mut(), &raw mut status);
            let name = if written.is_null() { mangled } else { written };
            let name = CStr::from_ptr(name).to_string_lossy().into_owned();
            libc::free(written.cast());
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_returns_is_returned_and_panics_go_on() {
        assert_eq!(caught(|| Ok(7)).unwrap(), 7);
        assert_eq!(caught(|| Err::<(), _>(Error::not_found("x"))).unwrap_err().message(), "x");
        let text = String::from("kept");
        assert_eq!(caught(|| Ok(text.clone())).unwrap(), "kept");
        let panicked = std::panic::catch_unwind(|| caught(|| -> Result<()> { panic!("ouch") }));
        assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"ouch"));
    }

    #[test]
    fn what_is_thrown_is_an_error_and_what_is_on_the_way_is_dropped() {
        extern "C-unwind" fn throws() {
            throw();
        }
        let kept = std::rc::Rc::new(());
        let inner = std::rc::Rc::clone(&kept);
        let result = caught(move || {
            throws();
            drop(inner);
            Ok(())
        });
        let told = result.unwrap_err();
        assert!(told.message().ends_with("a wait that was given up"), "{told:?}");
        assert_eq!(std::rc::Rc::strong_count(&kept), 1);
    }
}

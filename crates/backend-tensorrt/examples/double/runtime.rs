//! The runtime.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use hippocamp_tensorrt_sys::slots::runtime as slot;

use crate::object::{Log, data, make as object};
use crate::plan::Plan;
use crate::{engine, role};

struct Runtime {
    log: Log,
    host_code: bool,
    threads: i32,
}

/// Whether plugins were registered.
static HAS_PLUGINS: AtomicBool = AtomicBool::new(false);

/// Registers plugins, as libraries with some do.
#[unsafe(no_mangle)]
pub extern "C" fn initLibNvInferPlugins(_logger: *mut c_void, _name_space: *const c_char) -> bool {
    HAS_PLUGINS.store(true, Ordering::SeqCst);
    true
}

pub(crate) fn make(log: Log) -> *mut c_void {
    object(
        Runtime { log, host_code: false, threads: 1 },
        &[
            (slot::DESERIALIZE, deserialize as *const c_void),
            (slot::SET_ENGINE_HOST_CODE_ALLOWED, set_host_code as *const c_void),
            (slot::GET_ENGINE_HOST_CODE_ALLOWED, host_code as *const c_void),
            (slot::SET_MAX_THREADS, set_threads as *const c_void),
            (slot::GET_MAX_THREADS, threads as *const c_void),
        ],
    )
}

unsafe extern "C" fn set_host_code(this: *mut c_void, is_allowed: bool) {
    // SAFETY: called as a method of a runtime.
    unsafe { data::<Runtime>(this).host_code = is_allowed };
}

unsafe extern "C" fn host_code(this: *mut c_void) -> bool {
    // SAFETY: as above.
    unsafe { data::<Runtime>(this).host_code }
}

unsafe extern "C" fn set_threads(this: *mut c_void, threads: i32) -> bool {
    // SAFETY: as above.
    unsafe { data::<Runtime>(this).threads = threads };
    threads > 0
}

unsafe extern "C" fn threads(this: *mut c_void) -> i32 {
    // SAFETY: as above.
    unsafe { data::<Runtime>(this).threads }
}

unsafe extern "C" fn deserialize(this: *mut c_void, bytes: *const c_void, len: usize) -> *mut c_void {
    // SAFETY: called as a method of a runtime, with as many bytes.
    let (runtime, bytes) =
        unsafe { (data::<Runtime>(this), std::slice::from_raw_parts(bytes.cast::<u8>(), len)) };
    match read(runtime, bytes) {
        Ok(plan) => {
            runtime.log.info("Loaded engine size: 0 MiB");
            engine::make(runtime.log, plan)
        }
        Err(why) => {
            runtime.log.error(&format!("IRuntime::deserializeCudaEngine: Error Code 1: {why}"));
            null_mut()
        }
    }
}

/// The texts are like those of TensorRT.
fn read(runtime: &Runtime, bytes: &[u8]) -> Result<Plan, String> {
    let own = role().version;
    let magic: &[u8] = if own.major < 5 { b"vtrt" } else { b"ftrt" };
    if bytes.get(..4) != Some(magic) {
        return Err("Serialization (Serialization assertion header.magicTag == kEXPECTED_MAGIC_TAG failed.)"
            .to_owned());
    }
    let (version, text) = bytes[4..].split_at_checked(28).ok_or("Serialization (the plan is too short)")?;
    let built = &version[20..23];
    let expected = [own.major as u8, own.minor as u8, own.patch as u8];
    let text = std::str::from_utf8(text).map_err(|e| format!("Serialization ({e})"))?;
    let plan = Plan::parse(text)?;
    if plan.has_host_code {
        if !runtime.host_code {
            return Err("API Usage Error (the plan has a lean runtime, and engine host code is not allowed)"
                .to_owned());
        }
    } else if built != expected {
        return Err(format!(
            "Serialization (the engine plan file is not compatible with this version of TensorRT, expecting library version {}.{}.{}, \
             please rebuild.)",
            built[0], built[1], built[2]
        ));
    }
    if let Some(plugin) = plan.wants_plugin.as_ref().filter(|_| !HAS_PLUGINS.load(Ordering::SeqCst)) {
        return Err(format!("getPluginCreator could not find plugin: {plugin}"));
    }
    Ok(plan)
}

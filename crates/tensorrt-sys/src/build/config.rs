//! How a plan is made.

use std::ffi::c_void;

use super::calibrator::Calibrator;
use super::progress::Monitor;
use super::{Batches, Builder, HostMemory, Profile, Progress};
use crate::Layout;
use crate::object::{Owned, call, implementation};
use crate::slots::{builder_config as slot, timing_cache};

/// How a plan is made. Dropped before what it was given, and before its builder.
#[derive(Debug)]
pub struct Config {
    object: Owned,
    /// What the library was given by reference.
    caches: Vec<Owned>,
    monitor: Option<Monitor>,
    calibrator: Option<Calibrator>,
    _builder: Builder,
}

/// The numbers of flags: they differ by version, and those of types that 10 may choose are gone later.
fn flag(layout: Layout, v10: i32, later: i32) -> i32 {
    if layout == Layout::V10 { v10 } else { later }
}

impl Config {
    pub(crate) fn new(object: Owned, builder: Builder) -> Config {
        Config { object, caches: Vec::new(), monitor: None, calibrator: None, _builder: builder }
    }

    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.object.as_ptr()
    }

    /// Whether the library chooses types by flags: TensorRT 10 does, later ones take them from the model alone.
    pub fn chooses_types(&self) -> bool {
        self.object.layout() == Layout::V10
    }

    fn set_flag(&mut self, flag: i32, is_on: bool) {
        let object = &self.object;
        let slot = if is_on { slot::SET_FLAG } else { slot::CLEAR_FLAG };
        // SAFETY: the method takes a number.
        unsafe { call!(object.implementation(), object.layout(), slot, (flag => i32)) }
    }

    /// Allows half precision. Only where the library [chooses types](Config::chooses_types).
    pub fn allow_half(&mut self) {
        if self.chooses_types() {
            self.set_flag(0, true);
        }
    }

    /// Whether matrices are multiplied in TF32, with 10 bits of mantissa. On by default.
    pub fn set_tf32(&mut self, is_on: bool) {
        self.set_flag(6, is_on);
    }

    /// Makes a plan that later versions of the same major version run, too.
    pub fn set_version_compatible(&mut self) {
        self.set_flag(flag(self.object.layout(), 13, 12), true);
    }

    /// Leaves the lean runtime out of a version-compatible plan: it is then run by one that is installed.
    pub fn exclude_lean_runtime(&mut self) {
        self.set_flag(flag(self.object.layout(), 14, 13), true);
    }

    /// The device memory that tactics may take, in bytes.
    pub fn set_workspace(&mut self, size: usize) {
        let object = &self.object;
        // SAFETY: the method takes which memory is meant, of which 0 is the workspace, and a size.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_MEMORY_POOL_LIMIT, (0 => i32, size => usize)
            );
        }
    }

    /// How much time goes into the search for tactics, from 0 to 5.
    pub fn set_optimization_level(&mut self, level: i32) {
        let object = &self.object;
        // SAFETY: the method takes a number.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_BUILDER_OPTIMIZATION_LEVEL, (level => i32)
            );
        }
    }

    /// Makes a plan for all GPUs from Ampere on.
    pub fn set_ampere_plus(&mut self) {
        let object = &self.object;
        // SAFETY: the method takes a number, of which 1 means that.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_HARDWARE_COMPATIBILITY_LEVEL, (1 => i32)
            );
        }
    }

    /// The compute capabilities that a plan of TensorRT for RTX is made for, such as 89; `None` for other products, `false` if
    /// one is refused.
    pub fn set_compute_capabilities(&mut self, capabilities: &[i32]) -> Option<bool> {
        let object = &self.object;
        let layout = object.layout();
        slot::SET_COMPUTE_CAPABILITY.place(layout)?;
        // SAFETY: the methods take a count, and a capability and its index, and return a bool.
        Some(unsafe {
            let implementation = object.implementation();
            call!(
                implementation, layout, slot::SET_NB_COMPUTE_CAPABILITIES, (capabilities.len() as i32 => i32) -> bool
            ) && (0..).zip(capabilities).all(|(index, capability)| {
                call!(
                    implementation, layout, slot::SET_COMPUTE_CAPABILITY,
                    (*capability => i32, index => i32) -> bool
                )
            })
        })
    }

    /// Adds a profile. `None` if the library refuses it, else its number.
    pub fn add_profile(&mut self, profile: &Profile) -> Option<i32> {
        let object = &self.object;
        // SAFETY: the method takes a profile of the same builder and returns a number.
        let number = unsafe {
            call!(
                object.implementation(), object.layout(), slot::ADD_OPTIMIZATION_PROFILE,
                (profile.as_ptr() => *mut c_void) -> i32
            )
        };
        (number >= 0).then_some(number)
    }

    /// Begins with the times of an earlier build, or with none. `false` if the bytes are refused.
    pub fn set_timing_cache(&mut self, bytes: &[u8]) -> bool {
        let object = &self.object;
        // SAFETY: the method takes bytes, which it copies, and returns a cache that is the caller's, or null.
        let cache = unsafe {
            let cache = call!(
                object.implementation(), object.layout(), slot::CREATE_TIMING_CACHE,
                (bytes.as_ptr().cast() => *const c_void, bytes.len() => usize) -> *mut c_void
            );
            Owned::new(cache, object.library())
        };
        let Some(cache) = cache else { return false };
        // SAFETY: the method takes a cache by reference, which lives as long as this, and whether one of another GPU is taken.
        let is_set = unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_TIMING_CACHE,
                (cache.as_ptr() => *mut c_void, false => bool) -> bool
            )
        };
        self.caches.push(cache);
        is_set
    }

    /// The times, with those of builds that used this config.
    pub fn timing_cache(&self) -> Option<HostMemory> {
        let object = &self.object;
        // SAFETY: the method takes nothing and returns a cache of the config's, or null; that has an implementation, whose method
        // returns memory that is the caller's, or null.
        unsafe {
            let cache =
                call!(object.implementation(), object.layout(), slot::GET_TIMING_CACHE, () -> *mut c_void);
            if cache.is_null() {
                return None;
            }
            let memory =
                call!(implementation(cache), object.layout(), timing_cache::SERIALIZE, () -> *mut c_void);
            Owned::new(memory, object.library()).map(HostMemory)
        }
    }

    /// Sets what is told how far a build is, and may end it.
    pub fn set_progress(&mut self, progress: Box<dyn Progress>) {
        let monitor = Monitor::new(progress);
        let object = &self.object;
        // SAFETY: the method takes a monitor, which lives as long as this.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_PROGRESS_MONITOR,
                (monitor.as_ptr() => *mut c_void)
            );
        }
        self.monitor = Some(monitor);
    }

    /// Allows 8-bit integers, with ranges from these batches. `false` where the library does not
    /// [choose types](Config::chooses_types).
    pub fn calibrate(&mut self, batches: Box<dyn Batches>) -> bool {
        if !self.chooses_types() {
            return false;
        }
        self.set_flag(1, true);
        let calibrator = Calibrator::new(batches);
        let object = &self.object;
        // SAFETY: the method takes a calibrator, which lives as long as this.
        unsafe {
            call!(
                object.implementation(), object.layout(), slot::SET_INT8_CALIBRATOR,
                (calibrator.as_ptr() => *mut c_void)
            );
        }
        self.calibrator = Some(calibrator);
        true
    }

    /// The profile whose best shape the calibration has.
    pub fn set_calibration_profile(&mut self, profile: &Profile) -> bool {
        let object = &self.object;
        // SAFETY: the method takes a profile of the same builder and returns a bool.
        self.chooses_types()
            && unsafe {
                call!(
                    object.implementation(), object.layout(), slot::SET_CALIBRATION_PROFILE,
                    (profile.as_ptr() => *mut c_void) -> bool
                )
            }
    }
}

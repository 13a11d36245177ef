//! The ranges of shapes that a plan is made for.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use super::Builder;
use crate::object::{call, implementation};
use crate::slots::profile as slot;
use crate::{Dims, Selector};

/// The least, the most and the best shape of each input. It belongs to its builder.
#[derive(Debug)]
pub struct Profile {
    object: NonNull<c_void>,
    builder: Builder,
}

impl Profile {
    pub(crate) fn new(object: *mut c_void, builder: Builder) -> Option<Profile> {
        Some(Profile { object: NonNull::new(object)?, builder })
    }

    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.object.as_ptr()
    }

    /// Sets a shape of an input. `false` if it contradicts the others.
    pub fn set_shape(&mut self, input: &CStr, selector: Selector, dims: &Dims) -> bool {
        let layout = self.builder.object().layout();
        // SAFETY: the profile lives as long as its builder; the method takes a name, which shape is meant and the shape, which it
        // copies, and returns a bool.
        unsafe {
            call!(
                implementation(self.object.as_ptr()), layout, slot::SET_DIMENSIONS,
                (input.as_ptr() => *const c_char, selector as i32 => i32, dims => *const Dims) -> bool
            )
        }
    }

    /// Sets values of an input that is a shape tensor. `false` if they contradict the others, or do not fit the library's numbers.
    pub fn set_values(&mut self, input: &CStr, selector: Selector, values: &[i64]) -> bool {
        let layout = self.builder.object().layout();
        let count = values.len() as i32;
        // SAFETY: as above; the methods take values of 32 or 64 bits, which they copy.
        unsafe {
            let object = implementation(self.object.as_ptr());
            if slot::SET_SHAPE_VALUES.place(layout).is_none() {
                return call!(
                    object, layout, slot::SET_SHAPE_VALUES_V2,
                    (input.as_ptr() => *const c_char, selector as i32 => i32, values.as_ptr() => *const i64, count => i32) -> bool
                );
            }
            let Ok(values) =
                values.iter().map(|value| i32::try_from(*value)).collect::<Result<Vec<i32>, _>>()
            else {
                return false;
            };
            call!(
                object, layout, slot::SET_SHAPE_VALUES,
                (input.as_ptr() => *const c_char, selector as i32 => i32, values.as_ptr() => *const i32, count => i32) -> bool
            )
        }
    }

    /// Whether the shapes that are set fit each other.
    pub fn is_valid(&self) -> bool {
        let layout = self.builder.object().layout();
        // SAFETY: as above; the method takes nothing and returns a bool.
        unsafe { call!(implementation(self.object.as_ptr()), layout, slot::IS_VALID, () -> bool) }
    }
}

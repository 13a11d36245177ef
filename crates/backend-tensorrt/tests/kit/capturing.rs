//! Simulated devices whose streams capture runs of the double.

#![allow(unsafe_code, reason = "calls the double, and implements a trait that takes addresses as they are")]

use std::any::Any;
use std::ffi::c_void;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hippocamp_device::testing::TestDriver;
use hippocamp_device::{Device, DeviceError, Driver, Graph, Mark, Stream};
use hippocamp_tensor::{Allocator, PlacedBufferMut, PlacedSlice};
use libloading::os::unix::Library;

/// A driver of one simulated device.
#[derive(Debug)]
pub(crate) struct CapturingDriver {
    inner: Arc<TestDriver>,
    double: Arc<Double>,
}

/// The functions of the double that record and replay, and how often it has replayed.
#[derive(Debug)]
pub(crate) struct Double {
    library: Library,
    pub(crate) launches: AtomicUsize,
    pub(crate) captures: AtomicUsize,
}

impl CapturingDriver {
    /// For the double that is opened from this file.
    pub(crate) fn new(library: &Path) -> (Arc<CapturingDriver>, Arc<Double>) {
        let library = simulated(library);
        let double = Arc::new(Double { library, launches: 0.into(), captures: 0.into() });
        let inner = TestDriver::new(1, 1 << 30);
        (Arc::new(CapturingDriver { inner, double: Arc::clone(&double) }), double)
    }
}

impl Driver for CapturingDriver {
    fn devices(&self) -> Vec<Device> {
        self.inner.devices()
    }

    fn memory(&self, id: i32) -> Option<Arc<dyn Allocator>> {
        self.inner.memory(id)
    }

    fn pinned(&self) -> Option<Arc<dyn Allocator>> {
        self.inner.pinned()
    }

    fn stream(&self, id: i32) -> Result<Arc<dyn Stream>, DeviceError> {
        Ok(Arc::new(CapturingStream { inner: self.inner.stream(id)?, double: Arc::clone(&self.double) }))
    }

    fn address(&self, slice: PlacedSlice<'_>) -> Option<u64> {
        self.inner.address(slice)
    }
}

/// The double in that file, which takes the handles of streams for those of simulated ones, whose work is done late.
pub(crate) fn simulated(double: &Path) -> Library {
    // SAFETY: the double does nothing when it is opened, and the function has this type.
    unsafe {
        let double = Library::new(double).unwrap();
        double.get::<extern "C" fn()>(c"double_streams_are_simulated").unwrap()();
        double
    }
}

#[derive(Debug)]
struct CapturingStream {
    inner: Arc<dyn Stream>,
    double: Arc<Double>,
}

impl Stream for CapturingStream {
    fn device(&self) -> i32 {
        self.inner.device()
    }

    fn raw(&self) -> *mut c_void {
        self.inner.raw()
    }

    fn allocator(self: Arc<Self>) -> Arc<dyn Allocator> {
        Arc::clone(&self.inner).allocator()
    }

    unsafe fn adopt(
        self: Arc<Self>,
        address: u64,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Box<dyn PlacedBufferMut>, DeviceError> {
        // SAFETY: the caller's word.
        unsafe { Arc::clone(&self.inner).adopt(address, len, owner) }
    }

    fn wait_for(&self, slice: PlacedSlice<'_>) -> Result<(), DeviceError> {
        self.inner.wait_for(slice)
    }

    fn used(&self, slice: PlacedSlice<'_>) -> Result<(), DeviceError> {
        self.inner.used(slice)
    }

    fn mark(&self) -> Result<Box<dyn Mark>, DeviceError> {
        self.inner.mark()
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        self.inner.synchronize()
    }

    fn make_current(&self) -> Result<(), DeviceError> {
        self.inner.make_current()
    }

    fn capture(
        &self,
        work: &mut dyn FnMut() -> Result<(), DeviceError>,
    ) -> Result<Box<dyn Graph>, DeviceError> {
        self.double.captures.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the functions have these types.
        unsafe {
            let begin = self.double.library.get::<extern "C" fn()>(c"double_begin_capture").unwrap();
            let end = self.double.library.get::<extern "C" fn() -> usize>(c"double_end_capture").unwrap();
            begin();
            let done = work();
            let number = end();
            done.map(|()| Box::new(Captured { number, double: Arc::clone(&self.double) }) as Box<dyn Graph>)
        }
    }
}

type Launch = unsafe extern "C" fn(usize, *mut c_void) -> bool;

#[derive(Debug)]
struct Captured {
    number: usize,
    double: Arc<Double>,
}

impl Graph for Captured {
    fn launch(&self, stream: &dyn Stream) -> Result<(), DeviceError> {
        self.double.launches.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the function has this type.
        let launch = unsafe { self.double.library.get::<Launch>(c"double_launch") }.unwrap();
        // SAFETY: the stream is alive, and the memory of the captured run is kept by its instance.
        if unsafe { launch(self.number, stream.raw()) } {
            return Ok(());
        }
        let reason = "the double does not replay".into();
        Err(DeviceError::Failed { device: stream.device(), operation: "launch a graph", reason })
    }
}

//! Streams: queues of work for one device, which backends share with their engines.

use std::any::Any;
use std::error::Error;
use std::ffi::c_void;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hippocamp_tensor::{Allocator, MemoryError, Place, PlacedBufferMut, PlacedSlice};

/// A queue of work for one device, which runs in its order and beside other streams. An engine takes it by its raw handle, so
/// that its kernels and the copies of this crate need no waits between each other.
///
/// The memory that [`Stream::allocator`] hands out belongs to the stream: copies to it are queued on this stream, so an engine
/// that works on the stream may read it without waiting, and the owner need not call
/// [`finish`](PlacedBufferMut::finish). For memory of other streams, [`Stream::wait_for`] orders the stream's later work
/// behind what is pending there, and [`Stream::used`] orders what follows there behind the work of this stream.
///
/// A buffer may be dropped while work on its own stream still uses it: the memory is given back in the order of the stream.
/// Work on another stream has to be announced by [`Stream::used`], or be waited for.
#[allow(unsafe_code, reason = "an implementor takes the addresses of others as they are")]
pub trait Stream: Send + Sync + Debug {
    /// The id of the device.
    fn device(&self) -> i32;

    /// The handle as the vendor's libraries take it: a `CUstream`, which is also a `cudaStream_t`. It is valid while this
    /// object lives. Null for a device that has no such handle.
    fn raw(&self) -> *mut c_void;

    /// The allocator of device memory that belongs to this stream. It keeps the stream alive.
    fn allocator(self: Arc<Self>) -> Arc<dyn Allocator>;

    /// Takes over `len` bytes of the device's memory at `address` that something else allocated. `owner` frees them when it
    /// is dropped, which is once neither the buffer nor a copy from it is needed any more. Pending writes to the memory are
    /// on this stream, or complete.
    ///
    /// # Errors
    /// If the device reports an error.
    ///
    /// # Safety
    /// The memory is valid until `owner` is dropped, is on this stream's device, and is used by nobody else but to read it.
    unsafe fn adopt(
        self: Arc<Self>,
        address: u64,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Box<dyn PlacedBufferMut>, DeviceError>;

    /// Orders the later work of this stream behind what is pending for the buffer of `slice`, without making the caller wait.
    /// Needed before the stream's work accesses memory that does not belong to the stream. Does nothing for host memory.
    ///
    /// # Errors
    /// If the device reports an error.
    fn wait_for(&self, slice: PlacedSlice<'_>) -> Result<(), DeviceError>;

    /// Announces that the work queued on this stream so far uses the buffer of `slice`: later accesses to the buffer through
    /// its traits, and its end, come after that. Needed where a stream's work accesses memory that does not belong to the
    /// stream, pinned memory included, unless the caller waits for the work.
    ///
    /// # Errors
    /// If the device reports an error.
    fn used(&self, slice: PlacedSlice<'_>) -> Result<(), DeviceError>;

    /// As [`Stream::used`], of several slices.
    ///
    /// # Errors
    /// If the device reports an error.
    fn used_all(&self, slices: &[PlacedSlice<'_>]) -> Result<(), DeviceError> {
        slices.iter().try_for_each(|slice| self.used(*slice))
    }

    /// The point behind all work that was queued on the stream so far.
    ///
    /// # Errors
    /// If the device reports an error.
    fn mark(&self) -> Result<Box<dyn Mark>, DeviceError>;

    /// Waits until all work that was queued on the stream is complete. The thread looks again and again for some
    /// milliseconds, and then sleeps.
    ///
    /// # Errors
    /// If the device reports an error, also one of an earlier operation that nobody has waited for.
    fn synchronize(&self) -> Result<(), DeviceError>;

    /// Makes the device the current one of the calling thread, for libraries that work on the current device. From then on the
    /// thread may also allocate, and make other such calls, while another thread captures a graph.
    ///
    /// # Errors
    /// If the device reports an error.
    fn make_current(&self) -> Result<(), DeviceError>;

    /// Records what `work` queues on this stream as a graph, instead of executing it. Captures in this process run one at a
    /// time. `work` must not allocate from the stream, synchronise it, or use [`Stream::wait_for`] and [`Stream::used`].
    ///
    /// # Errors
    /// The error of `work`, or of the device if what was queued cannot be captured. The stream is usable afterwards.
    fn capture(
        &self,
        work: &mut dyn FnMut() -> Result<(), DeviceError>,
    ) -> Result<Box<dyn Graph>, DeviceError>;

    /// Ends a capture that an engine began on this stream and did not end because it failed, and drops what was captured. The
    /// stream is usable afterwards. Does nothing if there is no capture.
    fn abandon_capture(&self) {}
}

/// Waits for this caller's turn to capture a graph, which ends when the guard is dropped. Every capture in this process takes
/// a turn, those of engines too: their captures forbid calls of other threads, and fail because of such calls.
/// [`Stream::capture`] takes its turn itself.
pub fn capture_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A point in the work of a stream.
pub trait Mark: Send + Debug {
    /// As [`Stream::synchronize`], up to this point: work that was queued behind it is not waited for.
    ///
    /// # Errors
    /// If the device reports an error, also one of an earlier operation that nobody has waited for.
    fn wait(&self) -> Result<(), DeviceError>;
}

/// Work that was captured on a stream, and that is queued by one call.
pub trait Graph: Send + Debug {
    /// Queues the work on `stream`, which has to be of the same device. Runs of one graph never overlap.
    ///
    /// # Errors
    /// If the device reports an error.
    fn launch(&self, stream: &dyn Stream) -> Result<(), DeviceError>;
}

/// A device reported an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// The device can no longer be used by this process: it has fallen off the bus, or a kernel has destroyed its context.
    Lost {
        /// The id of the device.
        device: i32,
        /// The driver's message.
        reason: Box<str>,
    },
    /// The memory of the device is exhausted.
    OutOfMemory {
        /// The id of the device.
        device: i32,
        /// The requested size in bytes, 0 if it is unknown.
        size: usize,
    },
    /// An operation failed.
    Failed {
        /// The id of the device.
        device: i32,
        /// The operation that failed.
        operation: &'static str,
        /// The driver's message.
        reason: Box<str>,
    },
    /// There is no such device, or its driver does not have this operation.
    Unsupported {
        /// The id of the device.
        device: i32,
        /// The operation that the driver does not have.
        operation: &'static str,
    },
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceError::Lost { device, reason } => write!(f, "device {device} is lost: {reason}"),
            DeviceError::OutOfMemory { device, size: 0 } => write!(f, "device {device} is out of memory"),
            DeviceError::OutOfMemory { device, size } => {
                write!(f, "device {device} has no room for {size} bytes")
            }
            DeviceError::Failed { device, operation, reason } => {
                write!(f, "device {device} failed to {operation}: {reason}")
            }
            DeviceError::Unsupported { device, operation } => {
                write!(f, "no driver can {operation} on device {device}")
            }
        }
    }
}

impl Error for DeviceError {}

impl From<DeviceError> for MemoryError {
    /// The same error as everything reports it that takes memory of any place; a backend makes its answer of that.
    fn from(error: DeviceError) -> MemoryError {
        let reason = error.to_string().into();
        match error {
            DeviceError::OutOfMemory { device, size } => {
                MemoryError::OutOfMemory { place: Place::Device(device), size }
            }
            DeviceError::Lost { device, reason } => MemoryError::Lost { device, reason },
            DeviceError::Failed { device, .. } | DeviceError::Unsupported { device, .. } => {
                MemoryError::Device { device, reason }
            }
        }
    }
}

//! One request with its response, and the number of bytes that the server holds for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};

use hippocamp_access_log::AccessRecord;

use crate::body::BodyError;
use crate::connection::Connection;

/// The estimated overhead of a request in bytes: an HTTP/2 stream with its task and headers.
const REQUEST: usize = 16 << 10;

/// The state in which the body is not read to its end.
const READING: u8 = 0;
const WHOLE: u8 = 1;
/// The state in which the response was sent or dropped.
const ENDED: u8 = 2;

/// A request whose response is not complete. Bytes that are held for it are counted here and in the server's total.
pub struct Exchange {
    pub(crate) connection: Arc<Connection>,
    /// Its line in the access log, if there is such a log.
    pub(crate) access: Option<Arc<AccessRecord>>,
    held: AtomicUsize,
    state: AtomicU8,
    too_slow: AtomicBool,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Exchange {
    pub(crate) fn begin(
        connection: Arc<Connection>,
        patient: bool,
        access: Option<Arc<AccessRecord>>,
    ) -> Open {
        connection.begin(patient);
        let (state, too_slow) = (AtomicU8::new(READING), AtomicBool::new(false));
        Open(Arc::new(Exchange { connection, access, held: AtomicUsize::new(0), state, too_slow }))
    }

    /// Counts bytes as held until they are released or the request is answered. Returns an error if the server's limit would
    /// be exceeded.
    pub fn hold(&self, bytes: usize) -> Result<(), BodyError> {
        // The overhead of the request is counted with its first bytes.
        let all = if self.held.load(Relaxed) == 0 { bytes + REQUEST } else { bytes };
        let connection = &self.connection;
        if !connection.network.held.hold(connection.thread(), all) {
            return Err(self.no_room());
        }
        self.held.fetch_add(all, Relaxed);
        Ok(())
    }

    /// Counts bytes of a response that exist already, even beyond the limit.
    pub(crate) fn hold_answer(&self, bytes: usize) {
        self.connection.network.held.hold_anyway(self.connection.thread(), bytes);
        self.held.fetch_add(bytes, Relaxed);
    }

    /// Subtracts bytes that are no longer held.
    pub fn release(&self, bytes: usize) {
        self.connection.network.held.release(self.connection.thread(), bytes);
        self.held.fetch_sub(bytes, Relaxed);
    }

    /// Counts bytes as held until the [`Charge`] is dropped. Returns an error if the server's limit would be exceeded.
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, BodyError> {
        self.hold(bytes)?;
        Ok(Charge { exchange: Arc::clone(self), bytes })
    }

    /// Returns an error if announced bytes could not be held. It counts nothing, because announced bytes take no memory.
    pub(crate) fn has_room_for(&self, bytes: u64) -> Result<(), BodyError> {
        if self.connection.network.held.has_room_for(bytes) { Ok(()) } else { Err(self.no_room()) }
    }

    #[cold]
    fn no_room(&self) -> BodyError {
        let network = &self.connection.network;
        network.counts.no_room.fetch_add(1, Relaxed);
        BodyError::NoRoom { limit: network.limits.held_bytes }
    }

    /// Notes that the body was read to its end.
    pub(crate) fn came_whole(&self) {
        if self.state.load(Relaxed) == READING {
            self.connection.came_whole(true);
            if self.state.compare_exchange(READING, WHOLE, SeqCst, SeqCst).is_err() {
                self.connection.came_whole(false);
            }
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.state.load(Relaxed) == WHOLE
    }

    pub(crate) fn came_too_slowly(&self) {
        self.too_slow.store(true, Relaxed);
    }

    /// Whether reading the body failed because it arrived too slowly.
    pub fn was_too_slow(&self) -> bool {
        self.too_slow.load(Relaxed)
    }
}

/// References to the exchange may outlive the response; its bytes count until the last one is dropped.
impl Drop for Exchange {
    fn drop(&mut self) {
        let held = *self.held.get_mut();
        if held > 0 {
            self.connection.network.held.release(self.connection.thread(), held);
        }
    }
}

/// Ends the exchange when it is dropped.
#[derive(Debug)]
pub(crate) struct Open(pub(crate) Arc<Exchange>);

impl Drop for Open {
    fn drop(&mut self) {
        let was = self.0.state.swap(ENDED, SeqCst);
        self.0.connection.end(was == WHOLE);
        if let Some(access) = &self.0.access {
            access.finish();
        }
    }
}

/// Bytes that are counted as held until this is dropped.
#[derive(Debug)]
pub struct Charge {
    exchange: Arc<Exchange>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.exchange.release(self.bytes);
    }
}

//! Graphs: the work of a stream, captured once and queued by one call.

use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::Arc;

use cudarc::driver::sys::{CUgraph, CUgraphExec, CUstream, CUstreamCaptureMode_enum};

use super::gpu::Gpu;
use super::stream::CudaStream;
use crate::{DeviceError, Graph, Stream, capture_turn};

/// A captured graph, ready to be launched.
#[derive(Debug)]
struct CudaGraph {
    gpu: Arc<Gpu>,
    executable: CUgraphExec,
}

// SAFETY: a graph may be used by any thread, one at a time, which `&mut` or one owner ensures: it is not `Sync`.
unsafe impl Send for CudaGraph {}

pub(super) fn capture(
    stream: &CudaStream,
    work: &mut dyn FnMut() -> Result<(), DeviceError>,
) -> Result<Box<dyn Graph>, DeviceError> {
    let gpu = &stream.gpu;
    let functions = gpu.functions;
    gpu.stay()?;
    let _turn = capture_turn();
    // Calls of other threads are not refused while this thread captures.
    let mode = CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL as c_int;
    // SAFETY: the stream is alive.
    gpu.check("begin a capture", unsafe { (functions.begin_capture)(stream.stream, mode) })?;
    let done = work();
    let mut graph: CUgraph = null_mut();
    // SAFETY: the stream is alive; null is written if nothing could be captured.
    let status = unsafe { (functions.end_capture)(stream.stream, &raw mut graph) };
    let _graph = Captured { gpu, graph };
    done?;
    gpu.check("capture its work", status)?;
    let mut executable = null_mut();
    // SAFETY: the graph is alive.
    let status = unsafe { (functions.instantiate_graph)(&raw mut executable, graph, 0) };
    gpu.check("instantiate a graph", status)?;
    Ok(Box::new(CudaGraph { gpu: Arc::clone(gpu), executable }))
}

/// Ends a capture that somebody else began and left, whatever it has.
pub(super) fn abandon(stream: &CudaStream) {
    let Ok((_, _entered)) = stream.gpu.enter() else { return };
    let mut graph: CUgraph = null_mut();
    // SAFETY: the stream is alive; null is written if nothing could be captured. Without a capture this is an error, and no harm.
    unsafe { (stream.gpu.functions.end_capture)(stream.stream, &raw mut graph) };
    drop(Captured { gpu: &stream.gpu, graph });
}

/// What was captured, from which an executable graph is made.
struct Captured<'a> {
    gpu: &'a Gpu,
    graph: CUgraph,
}

impl Drop for Captured<'_> {
    fn drop(&mut self) {
        if !self.graph.is_null() {
            // SAFETY: the graph is alive, and an executable one does not need it.
            unsafe { (self.gpu.functions.destroy_graph)(self.graph) };
        }
    }
}

impl Graph for CudaGraph {
    fn launch(&self, stream: &dyn Stream) -> Result<(), DeviceError> {
        let (_, _entered) = self.gpu.enter()?;
        let raw: CUstream = stream.raw().cast();
        // SAFETY: both handles are alive.
        self.gpu.check("launch a graph", unsafe { (self.gpu.functions.launch_graph)(self.executable, raw) })
    }
}

impl Drop for CudaGraph {
    fn drop(&mut self) {
        if let Ok((_, _entered)) = self.gpu.enter() {
            // SAFETY: the handle is alive. A run that was queued is completed.
            unsafe { (self.gpu.functions.destroy_executable_graph)(self.executable) };
        }
    }
}

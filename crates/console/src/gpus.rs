//! The figures of the GPUs.

use hippocamp_core::InferenceServer;

/// Of one GPU at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gpu {
    pub(crate) id: i32,
    /// The share of the last moments in which a kernel ran, 0 to 1; negative if it is not known.
    pub(crate) busy: f32,
    pub(crate) memory_used: u64,
    pub(crate) memory_total: u64,
}

/// Of all GPUs; empty where there is none, or where their figures are not wanted.
pub(crate) fn now(server: &InferenceServer) -> Box<[Gpu]> {
    let settings = server.settings();
    if !settings.metrics.gpu {
        return Box::default();
    }
    let devices = &settings.devices;
    let figures = devices.gpus().map(|gpu| {
        let figures = devices.figures(gpu.id).unwrap_or_default();
        Gpu {
            id: gpu.id,
            busy: figures.utilization.map_or(-1.0, |share| share as f32),
            memory_used: figures.memory_used.unwrap_or(0),
            memory_total: figures.memory_total.unwrap_or(gpu.memory),
        }
    });
    figures.collect()
}

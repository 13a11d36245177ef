//! The figures of the GPUs, and what this process does with them.

use std::time::{Duration, Instant};

use hippocamp_device::{Device, DeviceUse, Devices, Figures, PinnedUse, Transfers};
use hippocamp_metrics::{Kind, Page};

/// What the driver told of the GPUs at the last scrape. Nothing is read unless somebody scrapes.
#[derive(Debug)]
pub(crate) struct Gpus {
    /// The energy that each GPU had consumed when the server started, in joules.
    energy_before: Vec<f64>,
    last: Option<(Instant, Vec<Option<Figures>>)>,
}

/// A gauge of a GPU: name, help, and how to read it.
type Gauge = (&'static str, &'static str, fn(&Figures) -> Option<f64>);

const GAUGES: [Gauge; 5] = [
    ("nv_gpu_utilization", "GPU utilization rate [0.0 - 1.0)", |figures| figures.utilization),
    ("nv_gpu_memory_total_bytes", "GPU total memory, in bytes", |figures| {
        figures.memory_total.map(|bytes| bytes as f64)
    }),
    ("nv_gpu_memory_used_bytes", "GPU used memory, in bytes", |figures| {
        figures.memory_used.map(|bytes| bytes as f64)
    }),
    ("nv_gpu_power_usage", "GPU power usage in watts", |figures| figures.power_usage),
    ("nv_gpu_power_limit", "GPU power management limit in watts", |figures| figures.power_limit),
];

/// A figure of what this process does with a GPU: name, help, and how to read it.
type Used<T> = (&'static str, &'static str, fn(T) -> u64);

/// A direction of copies, as a label and how to read it.
type Direction = (&'static str, fn(&DeviceUse) -> Transfers);

const DIRECTIONS: [Direction; 4] = [
    ("from_host", |of| of.from_host),
    ("to_host", |of| of.to_host),
    ("within", |of| of.within),
    ("between", |of| of.between),
];

impl Gpus {
    /// Reads what the GPUs have consumed until now, if they are to be on the page.
    pub(crate) fn new(devices: &Devices, wanted: bool) -> Gpus {
        let energy = |gpu: &Device| devices.figures(gpu.id).and_then(|figures| figures.energy).unwrap_or(0.0);
        Gpus { energy_before: devices.gpus().filter(|_| wanted).map(energy).collect(), last: None }
    }

    /// The figures of each GPU, read anew if the last ones are older than an interval; `None` for a GPU that does not tell any.
    fn figures(&mut self, devices: &Devices, interval: Duration) -> &[Option<Figures>] {
        let fresh = self.last.as_ref().is_some_and(|(at, _)| at.elapsed() < interval);
        if !fresh {
            let read = devices.gpus().map(|gpu| devices.figures(gpu.id)).collect();
            self.last = Some((Instant::now(), read));
        }
        self.last.as_ref().map_or(&[], |(_, figures)| figures)
    }

    /// Writes what the driver tells. A figure that a GPU does not have is left out.
    pub(super) fn write(&mut self, page: &mut Page, devices: &Devices, interval: Duration) {
        if devices.gpus().next().is_none() {
            return;
        }
        let figures = self.figures(devices, interval).to_vec();
        let told: Vec<(&Device, &Figures)> = devices
            .gpus()
            .zip(&figures)
            .filter_map(|(gpu, figures)| Some((gpu, figures.as_ref()?)))
            .collect();
        for (name, help, of) in GAUGES {
            let mut family = page.family(name, help, Kind::Gauge);
            for (gpu, figures) in &told {
                if let Some(value) = of(figures) {
                    family.sample(&[("gpu_uuid", gpu.uuid.as_str())], value);
                }
            }
        }
        let help = "GPU energy consumption in joules since the server started";
        let mut family = page.family("nv_energy_consumption", help, Kind::Counter);
        for ((gpu, figures), before) in devices.gpus().zip(&figures).zip(&self.energy_before) {
            if let Some(energy) = figures.as_ref().and_then(|figures| figures.energy) {
                family.sample(&[("gpu_uuid", gpu.uuid.as_str())], (energy - before).max(0.0));
            }
        }
    }
}

/// What this process does with the GPUs.
pub(super) fn write_use(page: &mut Page, devices: &Devices) {
    let used: Vec<(&Device, DeviceUse)> =
        devices.gpus().filter_map(|gpu| Some((gpu, devices.device_use(gpu.id)?))).collect();
    let of: [Used<Transfers>; 2] = [
        ("nv_gpu_copies", "Number of copies of tensors to, from and within a GPU", |of| of.copies),
        ("nv_gpu_copied_bytes", "Bytes of tensors copied to, from and within a GPU", |of| of.bytes),
    ];
    for (name, help, read) in of {
        let mut family = page.family(name, help, Kind::Counter);
        for (gpu, of) in &used {
            for (direction, transfers) in DIRECTIONS {
                let labels = [("gpu_uuid", gpu.uuid.as_str()), ("direction", direction)];
                family.sample(&labels, read(transfers(of)));
            }
        }
    }
    let pools: [Used<&DeviceUse>; 2] = [
        (
            "nv_gpu_memory_pool_bytes",
            "Memory that the pool for tensors has taken from a GPU, in bytes",
            |of| of.pool_reserved,
        ),
        ("nv_gpu_memory_pool_used_bytes", "Memory of the pool that tensors use, in bytes", |of| of.pool_used),
    ];
    for (name, help, read) in pools {
        let mut family = page.family(name, help, Kind::Gauge);
        for (gpu, of) in &used {
            family.sample(&[("gpu_uuid", gpu.uuid.as_str())], read(of));
        }
    }
    // Triton without a pool tells zeros, too.
    let PinnedUse { used, total } = devices.pinned_use().unwrap_or_default();
    let help = "Pinned memory pool total memory size, in bytes";
    page.family("nv_pinned_memory_pool_total_bytes", help, Kind::Gauge).sample(&[], total);
    let help = "Pinned memory pool used memory size, in bytes";
    page.family("nv_pinned_memory_pool_used_bytes", help, Kind::Gauge).sample(&[], used);
}

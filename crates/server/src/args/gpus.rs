//! Flags about the GPUs.

use std::collections::BTreeMap;
use std::str::FromStr;

use clap::Args;
use hippocamp_device::GpuSettings;

#[derive(Debug, Args)]
#[command(next_help_heading = "GPUs")]
pub(crate) struct GpusArgs {
    /// How many bytes of free memory a GPU's pool keeps for reuse: GPU:BYTES, 64 MB each by default. The pool grows beyond that
    /// when tensors need it, and gives the rest back to the GPU. May be given several times.
    #[arg(long, value_name = "GPU:BYTES", value_parser = pool_size)]
    pub(crate) cuda_memory_pool_byte_size: Vec<(i32, u64)>,

    /// How many bytes of the host's memory may be pinned for copies to and from GPUs. They are taken as needed. Where they do
    /// not suffice, copies go through ordinary memory, which takes longer.
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    pub(crate) pinned_memory_pool_byte_size: u64,

    /// The least compute capability of a GPU; weaker ones are left out, with a line in the log.
    #[arg(long, value_name = "MAJOR.MINOR", default_value = "6.0")]
    pub(crate) min_supported_compute_capability: ComputeCapability,

    /// The largest share of a GPU's memory, 0 to 1, that may be in use, by whomever, once a model is loaded there: GPU:SHARE.
    /// A load that leaves more in use fails. May be given several times; there is no limit by default.
    #[arg(long, value_name = "GPU:SHARE", value_parser = load_limit)]
    pub(crate) model_load_gpu_limit: Vec<(i32, f64)>,
}

/// The size of a pool, as `GPU:BYTES`.
fn pool_size(text: &str) -> Result<(i32, u64), String> {
    of_gpu(text, |bytes| bytes.parse().ok())
        .ok_or_else(|| format!("'<GPU>:<bytes>' was expected, such as 0:67108864. Got {text}"))
}

/// The limit of loads, as `GPU:SHARE`.
fn load_limit(text: &str) -> Result<(i32, f64), String> {
    of_gpu(text, |share| share.parse().ok().filter(|share| (0.0..=1.0).contains(share))).ok_or_else(|| {
        format!("'<GPU>:<share>' was expected, the share from 0 to 1, such as 0:0.8. Got {text}")
    })
}

/// A value for one GPU.
fn of_gpu<T>(text: &str, value: impl FnOnce(&str) -> Option<T>) -> Option<(i32, T)> {
    let (gpu, of) = text.split_once(':')?;
    let gpu = gpu.trim().parse().ok().filter(|gpu| *gpu >= 0)?;
    Some((gpu, value(of.trim())?))
}

/// A compute capability, as `MAJOR.MINOR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ComputeCapability(u32, u32);

impl FromStr for ComputeCapability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        match (major.parse(), minor.parse()) {
            (Ok(major), Ok(minor)) => Ok(ComputeCapability(major, minor)),
            _ => Err(format!("a compute capability such as 7.5 was expected. Got {text}")),
        }
    }
}

impl GpusArgs {
    pub(crate) fn settings(&self) -> GpuSettings {
        let ComputeCapability(major, minor) = self.min_supported_compute_capability;
        GpuSettings {
            min_compute_capability: (major, minor),
            memory_pool_byte_size: self.cuda_memory_pool_byte_size.iter().copied().collect(),
            pinned_pool_byte_size: self.pinned_memory_pool_byte_size,
        }
    }

    /// The share of each GPU's memory that may be in use after a load, by the id of the GPU.
    pub(crate) fn load_limits(&self) -> BTreeMap<i32, f64> {
        self.model_load_gpu_limit.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Args;

    fn args(flags: &[&str]) -> Result<GpusArgs, String> {
        let all = ["hippocamp", "--model-repository=m"].into_iter().chain(flags.iter().copied());
        Args::try_parse_from(all).map(|args| args.gpus).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_device_crate() {
        let args = args(&[]).unwrap();
        assert_eq!(args.settings(), GpuSettings::default());
        assert!(args.load_limits().is_empty());
    }

    #[test]
    fn each_gpu_has_its_sizes() {
        let given = args(&[
            "--cuda-memory-pool-byte-size=0:1000",
            "--cuda-memory-pool-byte-size=1:0",
            "--pinned-memory-pool-byte-size=5",
            "--min-supported-compute-capability=7.5",
            "--model-load-gpu-limit=1:0.8",
        ])
        .unwrap();
        let settings = given.settings();
        assert_eq!([0, 1, 2].map(|id| settings.pool_byte_size(id)), [1000, 0, 64 << 20]);
        assert_eq!((settings.pinned_pool_byte_size, settings.min_compute_capability), (5, (7, 5)));
        assert_eq!(given.load_limits(), BTreeMap::from([(1, 0.8)]));
    }

    #[test]
    fn what_is_no_size_of_a_gpu_is_refused() {
        for flag in [
            "--cuda-memory-pool-byte-size=5",
            "--cuda-memory-pool-byte-size=0:x",
            "--cuda-memory-pool-byte-size=-1:5",
            "--model-load-gpu-limit=0:1.5",
            "--model-load-gpu-limit=0:nan",
            "--min-supported-compute-capability=a",
        ] {
            let (_, value) = flag.split_once('=').unwrap();
            let error = args(&[flag]).unwrap_err();
            assert!(error.contains(&format!("Got {value}")), "{error}");
        }
    }
}

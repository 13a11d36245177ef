//! The command line of `hippocamp plan`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory, FromArgMatches, Parser};

use crate::shapes::ShapeRange;

const EXAMPLES: &str = "Examples:\n  \
    hippocamp plan resnet50.onnx -o models/resnet50/1/model.plan --max-batch 32 --fp16\n  \
    hippocamp plan face.onnx --shapes input:1x3x320x320..8x3x320x320..32x3x320x320\n  \
    hippocamp plan bert.onnx --shapes ids:1x16..8x64 mask:1x16..8x64 --shapes ids:1x65..8x512 mask:1x65..8x512\n  \
    hippocamp plan face.onnx --max-batch 32 --int8 pictures/ --scale 0.0078431 --mean 127.5 --calibration-cache face.calibration\n  \
    hippocamp plan face.onnx --max-batch 8 --compute-capability 8.9,12.0    for GeForce GPUs, by TensorRT for RTX, without one here\n\n\
    It needs a library with a builder: TensorRT 10 or 11 ('pip install tensorrt-cu13', or NVIDIA's packages libnvinfer and\n\
    libnvonnxparsers), or TensorRT for RTX ('pip install tensorrt-rtx-cu13-libs'). The lean runtime only runs plans.\n\
    A plan runs with the version of TensorRT and on the kind of GPU that it was built with and on, so build it where it is served;\n\
    --version-compatible and --hardware-compatible loosen that. Put it into the version's folder as model.plan: its config.pbtxt is\n\
    completed from it.";

/// Builds a TensorRT plan from an ONNX model.
///
/// TensorRT tries kernels on the GPU and takes minutes for some models. Progress goes to standard error.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "hippocamp plan",
    bin_name = "hippocamp plan",
    max_term_width = 110,
    styles = Styles::styled().header(AnsiColor::Yellow.on_default().bold()).literal(AnsiColor::Green.on_default()),
    after_help = EXAMPLES
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct PlanArgs {
    /// The model. Weights in files beside it are found.
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,

    /// Where the plan is written. By default beside the model, with the ending .plan.
    #[arg(long, short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The shapes of inputs whose sizes vary, as INPUT:MIN..OPT..MAX: the least, the one that it is made fastest for, and the largest.
    /// Each use of the flag makes one optimisation profile; the server takes the one that fits a batch best. For a shape tensor
    /// these are its values.
    #[arg(long, value_name = "INPUT:MIN..OPT..MAX", num_args = 1.., action = clap::ArgAction::Append, help_heading = "Shapes")]
    shapes: Vec<ShapeRange>,

    /// The shapes by uses of the flag.
    #[arg(skip)]
    pub(crate) profiles: Vec<Vec<ShapeRange>>,

    /// The largest batch, where only the first dimension varies: as --shapes with 1, half of it, and all of it for each input.
    #[arg(long, value_name = "N", help_heading = "Shapes", value_parser = clap::value_parser!(i64).range(1..))]
    pub max_batch: Option<i64>,

    /// Allows half precision (TensorRT 10; later versions take types from the model).
    #[arg(long, help_heading = "Types")]
    pub fp16: bool,

    /// Allows 8-bit integers, with ranges that come of running the pictures in this folder (TensorRT 10, with a GPU).
    #[arg(long, value_name = "FOLDER", help_heading = "Types")]
    pub int8: Option<PathBuf>,

    /// With --int8: what is subtracted from each value of a picture, which is from 0 to 255. One number, or one for each of red,
    /// green and blue.
    #[arg(
        long,
        value_name = "N|N,N,N",
        default_value = "0",
        help_heading = "Types",
        allow_hyphen_values = true
    )]
    pub mean: Channels,

    /// With --int8: what the difference is multiplied by.
    #[arg(
        long,
        value_name = "N|N,N,N",
        default_value = "1",
        help_heading = "Types",
        allow_hyphen_values = true
    )]
    pub scale: Channels,

    /// With --int8: the order of channels is blue, green, red.
    #[arg(long, help_heading = "Types")]
    pub bgr: bool,

    /// With --int8: reads the ranges from this file if it is there, and writes them to it if not.
    #[arg(long, value_name = "FILE", help_heading = "Types")]
    pub calibration_cache: Option<PathBuf>,

    /// Multiplies in FP32 to the last bit, instead of TF32.
    #[arg(long, help_heading = "Types")]
    pub no_tf32: bool,

    /// Makes a plan that later versions of the same major version run, too. It brings the lean runtime of this version, which
    /// is code: the server runs it with --backend-config=tensorrt,version-compatible=true.
    #[arg(long, help_heading = "Where it runs")]
    pub version_compatible: bool,

    /// With --version-compatible: leaves the lean runtime out; the server's own is used.
    #[arg(long, requires = "version_compatible", help_heading = "Where it runs")]
    pub exclude_lean_runtime: bool,

    /// Makes a plan for all GPUs from Ampere on, which is slower than one for the GPU that is here.
    #[arg(long, help_heading = "Where it runs")]
    pub hardware_compatible: bool,

    /// For TensorRT for RTX: the kinds of GPUs, such as 8.9,12.0. By default the one that is here.
    #[arg(long, value_name = "N.N,N.N", value_delimiter = ',', help_heading = "Where it runs")]
    pub compute_capability: Vec<Capability>,

    /// The device memory that a kernel may take, in MiB. By default all there is.
    #[arg(long, value_name = "MIB", help_heading = "The build")]
    pub workspace: Option<usize>,

    /// How long kernels are searched for, from 0 to 5. By default the library's own, 3.
    #[arg(long, value_name = "0..5", value_parser = clap::value_parser!(i32).range(0..=5), help_heading = "The build")]
    pub optimization_level: Option<i32>,

    /// Keeps the times of kernels in this file, which makes further builds on the same kind of GPU faster.
    #[arg(long, value_name = "FILE", help_heading = "The build")]
    pub timing_cache: Option<PathBuf>,

    /// The GPU that kernels are tried on.
    #[arg(long, value_name = "ID", default_value_t = 0, help_heading = "The build")]
    pub gpu: i32,

    /// TensorRT's library, if another one than the first that is found.
    #[arg(long, value_name = "FILE", env = "HIPPOCAMP_TENSORRT_LIBRARY", help_heading = "The build")]
    pub library: Option<PathBuf>,

    /// The library that reads ONNX. By default the one beside TensorRT's.
    #[arg(long, value_name = "FILE", help_heading = "The build")]
    pub parser: Option<PathBuf>,

    /// Shows what the library logs.
    #[arg(long, short = 'v', help_heading = "The build")]
    pub verbose: bool,
}

/// A number for each channel of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channels(pub(crate) [f32; 3]);

impl FromStr for Channels {
    type Err = String;

    fn from_str(text: &str) -> Result<Channels, String> {
        let numbers =
            text.split(',').map(|number| number.trim().parse().ok().filter(|n: &f32| n.is_finite()));
        match numbers.collect::<Option<Vec<f32>>>().as_deref() {
            Some([one]) => Ok(Channels([*one; 3])),
            Some([red, green, blue]) => Ok(Channels([*red, *green, *blue])),
            _ => Err("expected one number, or three".to_owned()),
        }
    }
}

/// A compute capability, as TensorRT numbers them: 8.9 is 89.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability(pub(crate) i32);

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Capability, String> {
        let parts = text.trim().split_once('.').and_then(|(major, minor)| {
            Some((major.parse::<u8>().ok()?, minor.parse::<u8>().ok().filter(|minor| *minor < 10)?))
        });
        let (major, minor) = parts.ok_or("expected a compute capability such as 8.9")?;
        Ok(Capability(i32::from(major) * 10 + i32::from(minor)))
    }
}

impl PlanArgs {
    /// Where the plan is written.
    pub(crate) fn output(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| self.model.with_extension("plan"))
    }

    /// Reads the command line, whose first argument is the program's name.
    ///
    /// # Errors
    /// What clap says of it, also for `--help`.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<PlanArgs, clap::Error> {
        let matches = PlanArgs::command().try_get_matches_from(arguments)?;
        let mut args = PlanArgs::from_arg_matches(&matches)?;
        let uses = matches.get_occurrences::<ShapeRange>("shapes");
        args.profiles = uses.into_iter().flatten().map(|ranges| ranges.cloned().collect()).collect();
        Ok(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        PlanArgs::command().debug_assert();
    }

    #[test]
    fn each_use_of_shapes_is_a_profile() {
        let line = "plan m.onnx --shapes a:1..2 b:3 --shapes a:4 --max-batch 8";
        let args = PlanArgs::read(line.split(' ').map(OsString::from)).unwrap();
        let inputs =
            args.profiles.iter().map(|ranges| ranges.iter().map(|range| &*range.input).collect::<Vec<_>>());
        assert_eq!(inputs.collect::<Vec<_>>(), [vec!["a", "b"], vec!["a"]]);
        assert_eq!((args.max_batch, args.output()), (Some(8), PathBuf::from("m.plan")));
        assert!(PlanArgs::read(["plan", "m", "--exclude-lean-runtime"].map(OsString::from)).is_err());
    }

    #[test]
    fn numbers_of_channels_and_capabilities() {
        assert_eq!("1,2,3".parse(), Ok(Channels([1.0, 2.0, 3.0])));
        assert_eq!("-0.5".parse(), Ok(Channels([-0.5; 3])));
        assert!("1,2".parse::<Channels>().is_err() && "NaN".parse::<Channels>().is_err());
        assert_eq!("12.0".parse(), Ok(Capability(120)));
        assert!("89".parse::<Capability>().is_err() && "8.10".parse::<Capability>().is_err());
    }
}

//! `hippocamp plan`: the builder of TensorRT plans.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use hippocamp_device::{Devices, GpuSettings};
use hippocamp_tensorrt_plan::{PlanArgs, build_plan};

/// Builds a plan with the arguments after the program's name.
pub(super) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args = PlanArgs::read(args).unwrap_or_else(|error| error.exit());
    let devices = Devices::find(&GpuSettings::default());
    match build_plan(&args, &crate::tensorrt::folders(), &devices) {
        Ok(built) => {
            drop(writeln!(
                std::io::stdout(),
                "{}: {} bytes, {} profiles, by {} in {:.1} s",
                built.path.display(),
                built.size,
                built.profiles,
                built.library,
                built.took.as_secs_f64()
            ));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            drop(writeln!(std::io::stderr(), "hippocamp plan: {failure:#}"));
            ExitCode::FAILURE
        }
    }
}

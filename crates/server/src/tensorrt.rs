//! The backend for TensorRT plans, and where its libraries are looked for.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use hippocamp_backend::Backend;
use hippocamp_backend_tensorrt::{Settings, TensorRtBackend};
use hippocamp_device::Devices;

use crate::args::Args;
use crate::python::Pythons;

/// The environment variable that names the library's path.
const VARIABLE: &str = "HIPPOCAMP_TENSORRT_LIBRARY";

/// Where packages of systems and NVIDIA's own archives put libraries.
const SYSTEM: [&str; 7] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/tensorrt/lib",
    "/usr/local/tensorrt/targets/x86_64-linux-gnu/lib",
    "/opt/tensorrt/lib",
];

/// The folders of Python's packages, those that can do more first.
const PACKAGES: [&str; 4] =
    ["tensorrt_libs", "tensorrt_lean_libs", "tensorrt_dispatch_libs", "tensorrt_rtx_libs"];

/// The backend, which opens the library when the first plan is loaded.
pub(crate) fn backend(args: &Args, devices: &Devices) -> anyhow::Result<Vec<Arc<dyn Backend>>> {
    let named = env::var(VARIABLE).ok().filter(|path| !path.is_empty());
    let named = named.iter().map(|path| ("library", path.as_str()));
    let options = args.models.backend_settings("tensorrt");
    // What is given last holds.
    let settings = Settings::new(folders()).with_options(named.chain(options))?;
    Ok(vec![Arc::new(TensorRtBackend::new(settings, devices.clone()))])
}

/// The folders that there are: beside the executable, those of the loader, those of the system, and those of Python's packages.
pub(crate) fn folders() -> Vec<PathBuf> {
    let executable = env::current_exe().and_then(|path| path.canonicalize()).ok();
    let beside = executable.as_deref().and_then(|path| path.parent());
    let own = beside.into_iter().flat_map(|folder| [folder.to_owned(), folder.join("lib")]);
    let of_loader = env::var_os("LD_LIBRARY_PATH");
    let of_loader = of_loader.iter().flat_map(env::split_paths).filter(|folder| folder.is_absolute());
    let of_python = Pythons::of_process().package_folders().into_iter();
    let of_python = of_python.flat_map(|folder| PACKAGES.map(|package| folder.join(package)));
    let all = own.chain(of_loader).chain(SYSTEM.map(PathBuf::from)).chain(of_python);
    all.filter(|folder| folder.is_dir()).collect()
}

//! Compares executions by the backend with a bare loop over the same library, in one process: the least that a C++ program could
//! do, which loads the model and calls its `forward`, with the library's own number of threads or with one, as the backend has it here.
//!
//! ```text
//! cargo bench -p hippocamp-backend-pytorch --bench bare -- THREADS SECONDS [MODEL.pt DIMS]
//! ```
//!
//! Prints requests a second and CPU time a request for each, in turns, and the ratios as medians of the rounds. A model that is
//! given has one input and one output of FP32, and is batched; DIMS are those of a request, such as `1,3,224,224`. Needs g++.

#![allow(clippy::unwrap_used, reason = "a bench fails where it cannot go on")]
#![allow(clippy::print_stdout, reason = "prints its result")]
#![allow(unsafe_code, reason = "the bare loop calls the library")]

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{Batch, Delivery, Device, ModelInstance, NewInstance, Request, channel};
use hippocamp_batching::testing::{Rate, measure, report};
use kit::script::Script;
use kit::{Folder, input, load_folder, numbers};
use libloading::Library;

/// A model, and a request to it.
struct Case {
    name: String,
    file: Vec<u8>,
    shape: Vec<i64>,
}

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number =
        |index: usize, default: u64| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (threads, seconds) = (number(0, 4) as usize, number(1, 2));
    let case = match arguments.get(2..) {
        Some([model, dims]) => Case {
            name: model.clone(),
            file: std::fs::read(model).unwrap(),
            shape: dims.split(',').map(|dim| dim.parse().unwrap()).collect(),
        },
        _ => Case {
            name: "two operations on 64 numbers".into(),
            file: Script::new("x: Tensor -> Tensor", "return torch.add(torch.mul(x, 2), 1)").encode(),
            shape: vec![1, 64],
        },
    };
    compare(&case, threads, Duration::from_secs(seconds));
}

fn compare(case: &Case, threads: usize, time: Duration) {
    println!("{}, {threads} threads", case.name);
    let folder = Folder::new();
    folder.file("model.pt", &case.file);
    let path = folder.path("model.pt");
    let text = "max_batch_size: 8 input { name: \"x\" data_type: TYPE_FP32 dims: [ DIMS ] } \
                output { name: \"y\" data_type: TYPE_FP32 dims: -1 } dynamic_batching { } \
                parameters { key: \"INTRA_OP_THREAD_COUNT\" value { string_value: \"1\" } }";
    let dims: Vec<String> = case.shape[1..].iter().map(ToString::to_string).collect();
    let loaded = load_folder(folder, &text.replace("DIMS", &dims.join(", "))).unwrap();
    let bare = Bare::new(&path);
    let count = case.shape.iter().product::<i64>();
    let data = numbers((0..count).map(|i| (i % 255) as f32 / 255.));
    let mut rounds: Vec<[Rate; 3]> = Vec::new();
    for _ in 0..5 {
        let by_backend = measure(threads, time, || {
            let mut instance = loaded.model.new_instance(&loaded.spec(Device::Cpu)).unwrap();
            let data = data.clone();
            move || execute(&mut instance, &case.shape, &data)
        });
        let by_own = measure(threads, time, || || bare.run(&data, &case.shape));
        let by_same = measure(threads, time, || {
            bare.threads(1);
            || bare.run(&data, &case.shape)
        });
        rounds.push([by_backend, by_own, by_same]);
    }
    let names = ["backend", "bare, the library's threads", "bare, one thread each"];
    print!("{}", report(names, &rounds));
}

fn execute(instance: &mut NewInstance, shape: &[i64], data: &Bytes) {
    let (response, receiver) = channel(Delivery::Once, Instant::now(), std::sync::Arc::default());
    let inputs = [input(shape, data.clone())].into_iter().collect();
    let mut batch = Batch::new();
    batch.push(Request::new(inputs, shape[0] as usize, response));
    instance.execute(&mut batch);
    drop(receiver);
}

/// The model in `bare.cpp`.
struct Bare {
    library: Library,
    module: *mut c_void,
}

// SAFETY: modules that keep nothing may be run by any number of threads.
unsafe impl Sync for Bare {}

impl Bare {
    fn new(model: &Path) -> Bare {
        let made = std::env::temp_dir().join(format!("bare-{}.so", std::process::id()));
        let folder = kit::library().parent().unwrap().to_owned();
        let status = Command::new("g++")
            .args([
                "-std=c++20",
                "-O2",
                "-shared",
                "-fPIC",
                "-fvisibility=hidden",
                "-w",
                "-Wl,--allow-shlib-undefined",
            ])
            .arg(format!("-isystem{}", folder.join("../include").display()))
            .arg(format!("-isystem{}", folder.join("../include/torch/csrc/api/include").display()))
            .args([
                Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/bare.cpp")),
                Path::new("-o"),
                &made,
            ])
            .args([format!("-L{}", folder.display()), "-ltorch_cpu".into(), "-lc10".into()])
            .status();
        assert!(status.unwrap().success());
        // SAFETY: it is the file that was just made, whose libraries are open.
        let library = unsafe {
            let flags = libloading::os::unix::RTLD_LAZY | libloading::os::unix::RTLD_LOCAL;
            Library::from(libloading::os::unix::Library::open(Some(&made), flags).unwrap())
        };
        std::fs::remove_file(&made).unwrap();
        let path = CString::new(model.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: the function has this type in bare.cpp.
        let module = unsafe {
            let load: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char) -> *mut c_void> =
                library.get(b"bare_load").unwrap();
            load(path.as_ptr())
        };
        Bare { library, module }
    }

    fn threads(&self, count: i32) {
        // SAFETY: the function has this type in bare.cpp.
        unsafe {
            let set: libloading::Symbol<'_, unsafe extern "C" fn(c_int)> =
                self.library.get(b"bare_threads").unwrap();
            set(count);
        }
    }

    fn run(&self, data: &Bytes, shape: &[i64]) {
        // SAFETY: the function has this type in bare.cpp, and the data are as many as the shape says.
        unsafe {
            let run: libloading::Symbol<
                '_,
                unsafe extern "C" fn(*mut c_void, *const f32, *const i64, usize) -> u64,
            > = self.library.get(b"bare_run").unwrap();
            #[expect(clippy::cast_ptr_alignment, reason = "a vector's bytes are aligned for numbers")]
            let data = data.as_ptr().cast::<f32>();
            assert!(run(self.module, data, shape.as_ptr(), shape.len()) > 0);
        }
    }
}

//! Where instances are placed on a machine with GPUs, by what their backend says it can use.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::sync::{Arc, Barrier, Mutex};

use bytes::Bytes;
use hippocamp_backend::{
    Backend, BackendFacts, Batch, Device, Error, ExecutionTimes, FailureReason, GpuSupport, InstanceSpec,
    Model, ModelInstance, ModelSource, NewInstance, Response, Result, count_execution,
};
use hippocamp_core::{
    ControlMode, InferInput, InferRequest, InferenceServer, LoadOverrides, MetricsSettings, Settings,
};
use hippocamp_device::testing::TestDriver;
use hippocamp_device::{Device as Found, DeviceKind, Devices};
use hippocamp_model_config::ModelConfig;
use hippocamp_tensor::DataType;

/// Notes where its instances are.
#[derive(Clone, Debug)]
struct Placed {
    gpus: GpuSupport,
    instances: Arc<Mutex<Vec<(usize, Device)>>>,
    /// Met by instances in each execution, so that several execute.
    meeting: Option<Arc<Barrier>>,
}

impl Backend for Placed {
    fn name(&self) -> &'static str {
        "placed"
    }

    fn facts(&self) -> BackendFacts {
        BackendFacts { gpus: self.gpus, cpu_instances: 3, ..BackendFacts::PLAIN }
    }

    fn load(&self, _: &ModelSource) -> Result<Box<dyn Model>> {
        Ok(Box::new(self.clone()))
    }
}

impl Model for Placed {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        self.instances.lock().unwrap().push((spec.index, spec.device));
        Ok(NewInstance::bound(Answering(self.meeting.clone())))
    }
}

struct Answering(Option<Arc<Barrier>>);

impl ModelInstance for Answering {
    fn execute(&mut self, batch: &mut Batch) {
        if let Some(meeting) = &self.0 {
            meeting.wait();
        }
        let times = ExecutionTimes::starting(batch.started());
        count_execution(batch, &times);
        for request in batch.drain(..) {
            if matches!(&request.inputs[0], Some(input) if input.data.as_contiguous() == Some(&[1, 0, 0, 0]))
            {
                request.fail(Error::internal("one is too many"), FailureReason::Backend);
            } else {
                request.succeed(Response::default(), &times);
            }
        }
    }
}

fn gpu(id: i32, compute_capability: (u32, u32)) -> Found {
    Found {
        kind: DeviceKind::Gpu,
        id,
        name: "test".to_owned(),
        uuid: String::new(),
        bus_id: String::new(),
        memory: 1 << 30,
        compute_capability,
    }
}

/// Two GPUs, of which the second is old.
fn machine() -> Devices {
    [gpu(0, (9, 0)), gpu(1, (6, 1))].into_iter().collect()
}

const NEWER: GpuSupport = GpuSupport::From(7, 0);
const ANY: GpuSupport = GpuSupport::From(0, 0);

/// Where the instances are of a model whose config says that of its groups; or why it does not load.
async fn placed(groups: &str, gpus: GpuSupport, devices: Devices, cpu_fallback: bool) -> Result<Vec<Device>> {
    load(groups, gpus, Settings { cpu_fallback, devices, ..Settings::default() }).await
}

async fn load(groups: &str, gpus: GpuSupport, settings: Settings) -> Result<Vec<Device>> {
    let repository = tempfile::tempdir().unwrap();
    let folder = repository.path().join("m");
    fs::create_dir_all(folder.join("1")).unwrap();
    let tensors = "input { name: \"a\" data_type: TYPE_INT32 dims: 1 } output { name: \"o\" data_type: TYPE_INT32 dims: 1 }";
    fs::write(folder.join("config.pbtxt"), format!("backend: \"placed\" {tensors} {groups}")).unwrap();
    let settings = Settings {
        repositories: vec![repository.path().into()],
        control_mode: ControlMode::Explicit,
        ..settings
    };
    let backend = Placed { gpus, instances: Arc::default(), meeting: None };
    let server = InferenceServer::new(settings, vec![Arc::new(backend.clone())]);
    server.load("m", LoadOverrides::default()).await?;
    let mut instances = std::mem::take(&mut *backend.instances.lock().unwrap());
    instances.sort_by_key(|(index, _)| *index);
    Ok(instances.into_iter().map(|(_, device)| device).collect())
}

const GPU0: Device = Device::Gpu(0);
const GPU1: Device = Device::Gpu(1);

#[tokio::test]
async fn what_names_no_kind_is_on_every_gpu_that_its_backend_can_use() {
    for groups in ["", "instance_group { kind: KIND_AUTO }"] {
        assert_eq!(placed(groups, NEWER, machine(), false).await.unwrap(), [GPU0]);
        assert_eq!(placed(groups, ANY, machine(), false).await.unwrap(), [GPU0, GPU1]);
        let on_cpu = [Device::Cpu; 3];
        assert_eq!(placed(groups, GpuSupport::None, machine(), false).await.unwrap(), on_cpu);
        assert_eq!(placed(groups, ANY, Devices::none(), false).await.unwrap(), on_cpu);
    }
}

#[tokio::test]
async fn a_kind_and_gpus_are_taken_as_they_are_written() {
    let of = |groups: &'static str| placed(groups, ANY, machine(), false);
    assert_eq!(of("instance_group { kind: KIND_GPU }").await.unwrap(), [GPU0, GPU1]);
    assert_eq!(of("instance_group { kind: KIND_GPU gpus: 1 count: 2 }").await.unwrap(), [GPU1, GPU1]);
    assert_eq!(of("instance_group { gpus: 1 }").await.unwrap(), [GPU1]);
    assert_eq!(of("instance_group { kind: KIND_CPU count: 1 }").await.unwrap(), [Device::Cpu]);
    let both = "instance_group [ { kind: KIND_CPU count: 1 }, { kind: KIND_GPU gpus: 0 } ]";
    assert_eq!(of(both).await.unwrap(), [Device::Cpu, GPU0]);
}

#[tokio::test]
async fn a_gpu_that_cannot_be_used_is_refused_or_replaced() {
    let old = "instance_group { kind: KIND_GPU gpus: 1 count: 1 }";
    let error = placed(old, NEWER, machine(), false).await.unwrap_err();
    let expected =
        "instance group m_0 of model m specifies invalid or unsupported gpu id 1. Supported GPUs are: 0";
    assert!(error.message().contains(expected), "{error}");
    assert_eq!(placed(old, NEWER, machine(), true).await.unwrap(), [Device::Cpu]);
    let any = "instance_group { kind: KIND_GPU count: 1 }";
    for (gpus, devices, why) in [
        (GpuSupport::None, machine(), "server does not support GPUs"),
        (ANY, Devices::none(), "server does not support GPUs"),
        (GpuSupport::From(10, 0), machine(), "no GPUs are available"),
    ] {
        let error = placed(any, gpus, devices.clone(), false).await.unwrap_err();
        let expected = format!("instance group m_0 of model m has kind KIND_GPU but {why}");
        assert!(error.message().contains(&expected), "{error}");
        assert_eq!(placed(any, gpus, devices, true).await.unwrap(), [Device::Cpu]);
    }
}

#[tokio::test]
async fn a_load_is_refused_that_leaves_more_of_a_gpu_in_use_than_its_limit() {
    let driver = TestDriver::new(2, 1000);
    let limited = || Settings {
        devices: Devices::of(driver.clone()),
        model_load_gpu_limits: [(0, 0.5)].into(),
        ..Settings::default()
    };
    let on = |gpu| format!("instance_group {{ kind: KIND_GPU gpus: {gpu} }}");
    let within = driver.device(0).allocate(500).unwrap();
    assert_eq!(load(&on(0), ANY, limited()).await.unwrap(), [GPU0]);
    let beyond = driver.device(0).allocate(1).unwrap();
    let error = load(&on(0), ANY, limited()).await.unwrap_err();
    let expected = "can not create model 'm': memory limit set for GPU 0 has exceeded, model loading is rejected. 501 of 1000 \
                    bytes would be in use, and --model-load-gpu-limit is 0.5";
    assert!(error.message().contains(expected), "{error}");
    assert_eq!(load(&on(1), ANY, limited()).await.unwrap(), [GPU1], "the other one has no limit");
    assert_eq!(
        load("instance_group { kind: KIND_CPU count: 1 }", ANY, limited()).await.unwrap(),
        [Device::Cpu]
    );
    drop((within, beyond));
    assert_eq!(load(&on(0), ANY, limited()).await.unwrap(), [GPU0]);
}

#[tokio::test]
async fn the_metrics_page_has_what_the_driver_tells() {
    let driver = TestDriver::new(2, 1000);
    let page = |gpu| {
        let metrics = MetricsSettings { gpu, ..MetricsSettings::default() };
        let settings = Settings { devices: Devices::of(driver.clone()), metrics, ..Settings::default() };
        InferenceServer::new(settings, Vec::new()).metrics_page()
    };
    let _memory = driver.device(1).allocate(300).unwrap();
    let told = page(true);
    for line in [
        "# TYPE nv_gpu_memory_total_bytes gauge\nnv_gpu_memory_total_bytes{gpu_uuid=\"GPU-test-0\"} 1000\n",
        "nv_gpu_memory_used_bytes{gpu_uuid=\"GPU-test-0\"} 0\nnv_gpu_memory_used_bytes{gpu_uuid=\"GPU-test-1\"} 300\n",
        "nv_gpu_copies{gpu_uuid=\"GPU-test-0\",direction=\"from_host\"} 0\n",
        "nv_pinned_memory_pool_total_bytes 0\n",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    assert!(!told.contains("nv_gpu_power_usage"), "it has no power");
    assert!(!page(false).contains("nv_gpu_memory_used"), "switched off");
}

#[tokio::test]
async fn a_gpu_that_is_not_there_is_told_with_those_that_are() {
    let seven = "instance_group { kind: KIND_GPU gpus: [ 0, 7 ] }";
    let error = placed(seven, ANY, machine(), false).await.unwrap_err();
    let expected = "config: instance_group[0].gpus[1]: instance group m_0 of model m specifies invalid or unsupported gpu id 7. \
                    Supported GPUs are: 0, 1 (--cpu-fallback would run it on the CPU)";
    assert!(error.message().contains(expected), "{error}");
    assert_eq!(placed(seven, ANY, machine(), true).await.unwrap(), [GPU0], "what is there is used");
    let auto = placed("instance_group { gpus: [ 0, 7 ] count: 2 }", ANY, machine(), false).await.unwrap();
    assert_eq!(auto, [Device::Cpu; 2], "KIND_AUTO is on the CPU where not all of them can be used");
}

#[tokio::test]
async fn a_model_whose_gpus_are_lost_is_not_ready() {
    let driver = TestDriver::new(2, 1000);
    let repository = tempfile::tempdir().unwrap();
    let tensors = "input { name: \"a\" data_type: TYPE_INT32 dims: 1 } output { name: \"o\" data_type: TYPE_INT32 dims: 1 }";
    for (name, groups) in [
        ("first", "instance_group { kind: KIND_GPU gpus: 0 }"),
        ("both", "instance_group { kind: KIND_GPU }"),
        ("mixed", "instance_group [ { kind: KIND_GPU gpus: 0 }, { kind: KIND_CPU } ]"),
        ("cpu", "instance_group { kind: KIND_CPU }"),
    ] {
        let folder = repository.path().join(name);
        fs::create_dir_all(folder.join("1")).unwrap();
        fs::write(folder.join("config.pbtxt"), format!("backend: \"placed\" {tensors} {groups}")).unwrap();
    }
    let settings = Settings {
        repositories: vec![repository.path().into()],
        devices: Devices::of(driver.clone()),
        ..Settings::default()
    };
    let backend = Placed { gpus: ANY, instances: Arc::default(), meeting: None };
    let server = InferenceServer::new(settings, vec![Arc::new(backend)]);
    assert!(server.load_repositories().await.is_empty());
    server.begin_serving();
    let ready = async || {
        let mut ready = Vec::new();
        for name in ["first", "both", "mixed", "cpu"] {
            ready.push(server.is_model_ready(name, None).await);
        }
        (server.is_ready(), ready)
    };
    assert_eq!(ready().await, (true, vec![true; 4]));
    driver.device(0).lose("GPU is lost");
    assert_eq!(ready().await, (false, vec![false, true, true, true]));
    driver.device(1).lose("GPU is lost");
    assert_eq!(ready().await, (false, vec![false, false, true, true]));
    assert!(server.is_live());
}

/// The value of the sample with these labels; `None` if there is no such line.
fn sample(page: &str, name: &str, labels: &str) -> Option<u64> {
    let begin = format!("{name}{{{labels}}} ");
    page.lines().find_map(|line| line.strip_prefix(&begin)).map(|value| value.parse().unwrap())
}

/// A repository of models with these instance groups.
fn of_groups<const N: usize>(models: [(&str, &str); N]) -> tempfile::TempDir {
    let repository = tempfile::tempdir().unwrap();
    let tensors = "input { name: \"a\" data_type: TYPE_INT32 dims: 1 } output { name: \"o\" data_type: TYPE_INT32 dims: 1 }";
    for (name, group) in models {
        let folder = repository.path().join(name);
        fs::create_dir_all(folder.join("1")).unwrap();
        let config = format!("backend: \"placed\" {tensors} instance_group {{ {group} }}");
        fs::write(folder.join("config.pbtxt"), config).unwrap();
    }
    repository
}

/// Has the model execute two requests, and waits for their ends.
async fn ask_at_once(server: &InferenceServer, model: &str, numbers: [i32; 2]) {
    let asked = numbers.map(|number| {
        let data = Bytes::copy_from_slice(&number.to_le_bytes());
        let input =
            InferInput { name: "a", data_type: Some(DataType::Int32), shape: [1].into(), data: data.into() };
        let request = InferRequest::new([input].into_iter().collect());
        server.model(model, None).unwrap().infer(request).unwrap()
    });
    for answer in asked {
        drop(answer.only().await);
    }
}

#[tokio::test]
async fn what_a_model_does_is_counted_for_each_of_its_gpus() {
    let repository = of_groups([("both", "kind: KIND_GPU"), ("second", "kind: KIND_GPU gpus: 1 count: 2")]);
    let settings = Settings {
        repositories: vec![repository.path().into()],
        devices: Devices::of(TestDriver::new(2, 1000)),
        ..Settings::default()
    };
    let meeting = Some(Arc::new(Barrier::new(2)));
    let backend = Placed { gpus: ANY, instances: Arc::default(), meeting };
    let server = InferenceServer::new(settings, vec![Arc::new(backend)]);
    assert!(server.load_repositories().await.is_empty());
    server.begin_serving();
    // Each of the instances executes one of two.
    for (model, numbers) in [("both", [7, 7]), ("both", [7, 1]), ("second", [7, 7])] {
        ask_at_once(&server, model, numbers).await;
    }
    let page = server.metrics_page();
    let both = |name: &str, gpu: &str| sample(&page, name, &format!("{gpu}model=\"both\",version=\"1\""));
    let gpus = ["gpu_uuid=\"GPU-test-0\",", "gpu_uuid=\"GPU-test-1\","];
    for gpu in gpus {
        assert_eq!(both("nv_inference_exec_count", gpu), Some(2), "{gpu}");
        assert_eq!(both("nv_inference_count", gpu), Some(2), "{gpu}");
        assert_eq!(
            both("nv_inference_pending_request_count", gpu),
            None,
            "they wait for no GPU in particular"
        );
    }
    assert_eq!(both("nv_inference_exec_count", ""), Some(0), "what was executed on no GPU");
    assert_eq!(both("nv_inference_pending_request_count", ""), Some(0));
    assert_eq!(gpus.map(|gpu| both("nv_model_instances_lost", gpu)), [None; 2], "they are counted once");
    assert_eq!(both("nv_model_instances_lost", ""), Some(0));
    let succeeded = gpus.map(|gpu| both("nv_inference_request_success", gpu).unwrap());
    assert_eq!(succeeded.iter().sum::<u64>(), 3);
    let failed = |gpu: &str| {
        let labels = format!("{gpu}model=\"both\",reason=\"BACKEND\",version=\"1\"");
        let after = format!("{gpu}model=\"both\",version=\"1\",reason=\"BACKEND\"");
        let name = "nv_inference_request_failure";
        sample(&page, name, &labels).or_else(|| sample(&page, name, &after)).unwrap()
    };
    let on_gpus: u64 = gpus.map(failed).iter().sum();
    assert_eq!((on_gpus, failed("")), (1, 0));
    let second = "gpu_uuid=\"GPU-test-1\",model=\"second\",version=\"1\"";
    assert_eq!(sample(&page, "nv_inference_count", second), Some(2), "its only GPU");
    assert_eq!(sample(&page, "nv_inference_count", "model=\"second\",version=\"1\""), None);
    let whole = server.model("both", None).unwrap().statistics.snapshot();
    assert_eq!((whole.success.count, whole.fail.count, whole.execution_count), (3, 1, 4));
}

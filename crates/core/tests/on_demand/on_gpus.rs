//! Models whose memory is on a GPU, and has little to do with their files.

use std::fs;
use std::sync::Arc;

use hippocamp_backend::{
    Backend, BackendFacts, Batch, Error, ExecutionTimes, GpuSupport, InstanceSpec, Model, ModelInstance,
    ModelSource, NewInstance, Response, Result,
};
use hippocamp_core::{ControlMode, InferenceServer, Settings};
use hippocamp_device::Devices;
use hippocamp_device::testing::{TestDevice, TestDriver, TestMemory};
use hippocamp_model_config::ModelConfig;

use crate::kit::{Scales, Server};

/// Takes ten times as many bytes of the device as the model's file has.
#[derive(Clone, Debug)]
struct Swelling {
    device: Arc<TestDevice>,
    bytes: usize,
}

impl Backend for Swelling {
    fn name(&self) -> &'static str {
        "weighing"
    }

    fn facts(&self) -> BackendFacts {
        BackendFacts { gpus: GpuSupport::From(0, 0), ..BackendFacts::PLAIN }
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let file = fs::metadata(source.version_directory.join("model")).map_or(0, |file| file.len());
        Ok(Box::new(Swelling { bytes: 10 * file as usize, ..self.clone() }))
    }
}

impl Model for Swelling {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        let memory = self.device.allocate(self.bytes).map_err(Error::from)?;
        Ok(NewInstance::bound(Holding { _memory: memory }))
    }
}

struct Holding {
    _memory: TestMemory,
}

impl ModelInstance for Holding {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.drain(..) {
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }
}

#[tokio::test]
async fn what_the_last_load_took_of_a_gpu_counts() {
    // There is room for a model more than the budget has.
    let driver = TestDriver::new(1, 320);
    let device = Arc::clone(driver.device(0));
    let server = {
        let repository = tempfile::tempdir().unwrap();
        let settings = Settings {
            repositories: vec![repository.path().into()],
            control_mode: ControlMode::None,
            lazy_load: true,
            lazy_load_memory_budget: 250,
            devices: Devices::of(driver.clone()),
            ..Settings::default()
        };
        let backend = Swelling { device: Arc::clone(&device), bytes: 0 };
        let core = InferenceServer::new(settings, vec![Arc::new(backend)]);
        Server { core, scales: Arc::new(Scales::default()), repository }
    };
    for name in ["a", "b", "c"] {
        server.add(name, 10, "instance_group { kind: KIND_GPU gpus: 0 }");
    }
    server.start().await;
    let held = |server: &Server| server.metric("nv_model_memory_used_bytes");

    server.ask("a").await.unwrap();
    assert_eq!(held(&server), 100, "what it took, not what its file has");
    server.ask("b").await.unwrap();
    // Nobody knew that this one takes as much.
    server.ask("c").await.unwrap();
    server.until("the oldest goes", |server| server.serving() == ["b", "c"]).await;
    server.until("its memory is back", |server| held(server) == 200).await;

    server.ask("a").await.unwrap();
    assert_eq!(server.serving(), ["a", "c"], "room for it was made before");
    server.until("all is released", |server| held(server) == 200).await;
    assert_eq!(device.allocated(), 200);
}

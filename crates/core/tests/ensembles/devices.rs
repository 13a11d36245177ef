//! Ensembles whose steps run on a device: what is transferred, and what happens when its memory is full.

use std::sync::Arc;

use hippocamp_backend::{Backend, Code};
use hippocamp_batching::conformance::DeviceBackend;
use hippocamp_core::{InferInput, InferRequest};
use hippocamp_device::testing::{TestDriver, Transfers};
use hippocamp_device::{Devices, Driver};
use hippocamp_tensor::{DataType, Place, PlacedBuffer, TensorData};
use smallvec::SmallVec;

use crate::kit::{ONE, Server, bytes, input, numbers, output};

const LIMIT: usize = 1 << 20;

/// `first` and `last` run on the device, `between` on the CPU. `stays` goes through both on the device, `leaves` through all.
async fn server(driver: &Arc<TestDriver>) -> (Server, DeviceBackend) {
    let backend = DeviceBackend::new(driver, 0);
    let on_cpu = crate::kit::Scripted::backend("on_cpu", |_, request| {
        let sum: i32 = input(request, 0).iter().sum();
        let outputs = [output(0, &[1], &[sum * 2])].into_iter().collect();
        Ok(hippocamp_backend::Response { outputs, ..hippocamp_backend::Response::default() })
    });
    let devices = Devices::of(Arc::clone(driver) as Arc<dyn Driver>);
    let backends = vec![Arc::new(backend.clone()) as Arc<dyn Backend>, on_cpu];
    let server = Server::with(backends, |settings| settings.devices = devices);
    for (name, backend) in [("first", "on_device"), ("between", "on_cpu"), ("last", "on_device")] {
        server.write(name, &format!("name: \"{name}\" backend: \"{backend}\" {ONE}"), Some(1));
        server.load(name).await.unwrap();
    }
    for (name, models) in [("stays", &["first", "last"][..]), ("leaves", &["first", "between", "last"])] {
        let last = models.len() - 1;
        let steps = models.iter().enumerate().map(|(n, model)| {
            let from = if n == 0 { "IN".to_owned() } else { format!("t{n}") };
            let to = if n == last { "OUT".to_owned() } else { format!("t{}", n + 1) };
            format!(
                "step {{ model_name: \"{model}\" model_version: -1 input_map {{ key: \"IN\" value: \"{from}\" }} \
                 output_map {{ key: \"OUT\" value: \"{to}\" }} }} "
            )
        });
        let steps: String = steps.collect();
        let config =
            format!("name: \"{name}\" platform: \"ensemble\" {ONE} ensemble_scheduling {{ {steps} }}");
        server.write(name, &config, Some(1));
        server.load(name).await.unwrap();
    }
    (server, backend)
}

#[tokio::test]
async fn a_tensor_that_stays_on_its_device_is_transferred_zero_times() {
    let driver = TestDriver::new(1, LIMIT);
    let device = driver.device(0);
    let (server, _) = server(&driver).await;

    let memory = device.allocate_with(&bytes(&[40])).unwrap();
    let data = TensorData::from(Arc::new(memory) as Arc<dyn PlacedBuffer>);
    let given = InferInput { name: "IN", data_type: Some(DataType::Int32), shape: [1].into(), data };
    let output_place = Place::Device(0);
    let request = InferRequest { output_place, ..InferRequest::new(SmallVec::from_iter([given])) };
    let response = server.core.model("stays", None).unwrap().infer(request).unwrap().only().await.unwrap();
    assert_eq!(response.outputs[0].data.place(), Place::Device(0));
    assert_eq!(device.transfers(), Transfers::default());
    assert_eq!(numbers(&response.outputs[0].data.to_host().unwrap()), [42]);
    assert_eq!(device.transfers(), Transfers { to_host: 1, ..Transfers::default() }, "when it was asked for");

    assert_eq!(server.number("stays", 1).await.unwrap(), 3);
    assert_eq!(
        device.transfers(),
        Transfers { from_host: 1, to_host: 2, ..Transfers::default() },
        "the client's input and its output, and nothing between the steps"
    );
}

#[tokio::test]
async fn a_tensor_leaves_the_device_for_a_step_on_the_cpu_and_comes_back() {
    let driver = TestDriver::new(1, LIMIT);
    let (server, _) = server(&driver).await;
    assert_eq!(server.number("leaves", 4).await.unwrap(), 11);
    let expected = Transfers { from_host: 2, to_host: 2, ..Transfers::default() };
    assert_eq!(driver.device(0).transfers(), expected);
}

#[tokio::test]
async fn a_full_device_refuses_a_request_and_its_instance_is_kept() {
    let driver = TestDriver::new(1, LIMIT);
    let device = driver.device(0);
    let (server, backend) = server(&driver).await;
    assert_eq!(backend.instances_made(), 2);
    assert_eq!(server.number("stays", 1).await.unwrap(), 3);
    for turn in 0..3 {
        device.set_limit(device.allocated());
        for model in ["first", "stays"] {
            let error = server.number(model, 1).await.unwrap_err();
            assert_eq!(error.code(), Code::Unavailable, "{error:?}");
            let text = "model 'first': the memory of device 0 has no room for 4 bytes";
            assert!(error.message().ends_with(text), "{error:?}");
        }
        device.set_limit(LIMIT);
        assert_eq!(server.number("stays", turn).await.unwrap(), turn + 2, "nothing has to be done about it");
    }
    assert_eq!(backend.instances_made(), 2, "no instance was made anew");
}

//! Tensors for models on a device, which are written straight to pinned memory.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(dead_code, reason = "each test uses a part of the kit")]

mod kit;

use std::sync::Arc;

use hippocamp_backend::{ModelInstance, Response, WantedOutputs};
use hippocamp_device::Driver;
use hippocamp_device::testing::{TestDriver, Transfers};
use hippocamp_tensor::Place;
use kit::{Loaded, bmp, load, strings};

const PIPELINE: &str = r#"
outputs = ["planes", "size"]

[[step]]
op = "decode"
input = "raw"
output = "picture"
size = "size"

[[step]]
op = "tensor"
input = "picture"
output = "planes"
"#;

/// A pipeline on a machine with that driver.
fn loaded(driver: &Arc<TestDriver>) -> Loaded {
    let mut loaded = load("max_batch_size: 4", PIPELINE).unwrap();
    loaded.model = loaded.model.with_pinned_memory(driver.pinned());
    loaded
}

/// The answer to a request of two pictures that wants its outputs there; of pictures of different sizes an error.
fn ask(
    loaded: &Loaded,
    instance: &mut dyn ModelInstance,
    place: Place,
    heights: [u32; 2],
) -> Option<Response> {
    let pictures = heights.map(|height| bmp(height as usize, 9, height));
    let (mut request, receiver) = loaded.request(&[strings(&[2, 1], &pictures)], &Arc::default());
    request.outputs = WantedOutputs::all_at(place, 2);
    [request].into_iter().collect::<hippocamp_backend::Batch>().execute_on(instance);
    kit::answer(receiver).ok()
}

#[test]
fn a_tensor_for_a_device_is_written_to_pinned_memory() {
    let driver = TestDriver::new(1, 1 << 20);
    let pinned = driver.pinned_memory();
    let loaded = loaded(&driver);
    let mut instance = loaded.instance();
    let mut ask = |place, heights| ask(&loaded, &mut *instance, place, heights);
    let host = ask(Place::Host, [5, 5]).unwrap();
    for place in [Place::Device(0), Place::Host, Place::Pinned] {
        let response = ask(place, [5, 5]).unwrap();
        let expected = if place == Place::Host { Place::Host } else { Place::Pinned };
        assert_eq!(response.outputs[0].data.place(), expected);
        for (one, other) in response.outputs.iter().zip(&host.outputs) {
            assert_eq!(one.shape, other.shape);
            assert_eq!(one.data.to_host().unwrap(), other.data.to_host().unwrap());
        }
        assert!(
            ask(place, [5, 6]).is_none(),
            "a request whose pictures differ fails, and leaves nothing behind"
        );
    }
    assert_eq!(pinned.transfers(), Transfers::default(), "it is written in place");
    drop((host, instance));
    assert_eq!(pinned.allocated(), 0);
}

#[test]
fn pinned_memory_that_is_full_is_done_without() {
    let driver = TestDriver::new(1, 0);
    let loaded = loaded(&driver);
    let response = ask(&loaded, &mut *loaded.instance(), Place::Device(0), [5, 5]).unwrap();
    assert_eq!(response.outputs[0].data.place(), Place::Host);
}

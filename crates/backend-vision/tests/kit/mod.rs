//! Loads pipelines from text, and makes images for them.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Batch, Delivery, Device, Event, InputTensor, InstanceSpec, Model, ModelInstance, Observers, Request,
    Response, ResponseReceiver, Result, channel,
};
use hippocamp_backend_vision::VisionModel;
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults, parse, validate};
use hippocamp_statistics::{Counters, ModelStatistics};
use hippocamp_tensor::{Shape, push_element};
use image::{DynamicImage, ImageFormat, RgbImage};

pub(crate) struct Loaded {
    pub(crate) model: VisionModel,
    pub(crate) config: Arc<ModelConfig>,
    pub(crate) interface: Arc<Interface>,
}

/// Loads a pipeline with a config, as the server does.
pub(crate) fn load(config: &str, pipeline: &str) -> Result<Loaded> {
    let mut config = parse(&format!("backend: \"vision\" {config}"), "config.pbtxt").unwrap().config;
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    let model = VisionModel::from_text("m".into(), "1/pipeline.toml", pipeline)?;
    model.complete_config(&mut config, 4)?;
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    validate(&config, None, "config.pbtxt", "m").unwrap();
    model.check_config(&config)?;
    let interface = Arc::new(Interface::new(&config).unwrap());
    Ok(Loaded { model, config: Arc::new(config), interface })
}

/// The error of loading.
pub(crate) fn refused(config: &str, pipeline: &str) -> String {
    load(config, pipeline).err().expect("it was to be refused").reason()
}

impl Loaded {
    pub(crate) fn instance(&self) -> Box<dyn ModelInstance> {
        let spec = InstanceSpec {
            name: "m_0_0".into(),
            index: 0,
            device: Device::Cpu,
            config: Arc::clone(&self.config),
            interface: Arc::clone(&self.interface),
        };
        self.model.new_instance(&spec).unwrap().into_box()
    }

    pub(crate) fn request(
        &self,
        inputs: &[InputTensor],
        statistics: &Arc<ModelStatistics>,
    ) -> (Request, ResponseReceiver) {
        let (response, receiver) = channel(Delivery::Once, Instant::now(), Observers::counting(statistics));
        let rows = inputs[0].shape.first().copied().unwrap_or(1) as usize;
        let batch_size = if self.interface.max_batch_size > 0 { rows } else { 1 };
        let request = Request::new(inputs.iter().cloned().map(Some).collect(), batch_size, response);
        (request, receiver)
    }

    /// Executes requests as one batch. Returns the responses and the counters.
    pub(crate) fn run(&self, requests: &[Vec<InputTensor>]) -> (Vec<Result<Response>>, Counters) {
        let statistics = Arc::default();
        let pairs = requests.iter().map(|inputs| self.request(inputs, &statistics));
        let (mut batch, receivers): (Batch, Vec<_>) = pairs.unzip();
        self.instance().execute(&mut batch);
        assert!(batch.is_empty(), "every request is answered");
        (receivers.into_iter().map(answer).collect(), statistics.snapshot())
    }

    /// The outputs of one request.
    pub(crate) fn outputs(&self, inputs: Vec<InputTensor>) -> Vec<(Shape, Bytes)> {
        let (mut answers, _) = self.run(&[inputs]);
        let response = answers.remove(0).unwrap();
        response.outputs.into_iter().map(|output| (output.shape, output.data.to_host().unwrap())).collect()
    }

    /// The error of one request.
    pub(crate) fn error(&self, inputs: Vec<InputTensor>) -> String {
        self.run(&[inputs]).0.remove(0).unwrap_err().reason()
    }
}

pub(crate) fn answer(mut receiver: ResponseReceiver) -> Result<Response> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    match runtime.block_on(receiver.next()) {
        Some(Event::Response { response, last: true }) => Ok(response),
        Some(Event::Failed(error)) => Err(error),
        other => panic!("one answer was expected, got {other:?}"),
    }
}

/// A BYTES tensor.
pub(crate) fn strings(shape: &[i64], elements: &[impl AsRef<[u8]>]) -> InputTensor {
    let mut data = Vec::new();
    for element in elements {
        push_element(&mut data, element.as_ref());
    }
    InputTensor { shape: Shape::from(shape), data: Bytes::from(data).into() }
}

/// An image whose pixels tell which one it is.
pub(crate) fn picture(number: usize, width: u32, height: u32) -> RgbImage {
    let pixel = |x: u32, y: u32| [(x * 7) as u8, (y * 11) as u8, number as u8];
    RgbImage::from_fn(width, height, |x, y| image::Rgb(pixel(x, y)))
}

pub(crate) fn encoded(picture: RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::from(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn bmp(number: usize, width: u32, height: u32) -> Vec<u8> {
    encoded(picture(number, width, height), ImageFormat::Bmp)
}

/// Decodes FP32 elements.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    numbers.iter().map(|n| f32::from_le_bytes(*n)).collect()
}

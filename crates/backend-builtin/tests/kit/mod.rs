//! Loads models of the built-in backends from the text of a config.

#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Batch, Delivery, Device, Event, InputTensor, InstanceSpec, Model, ModelInstance, ModelSource, Observers,
    Request, ResponseReceiver, Result, channel,
};
use hippocamp_model_config::{DefaultFacts, Interface, ModelConfig, apply_defaults, parse, validate};
use hippocamp_statistics::{Counters, ModelStatistics};
use hippocamp_tensor::Shape;

pub(crate) struct Loaded {
    pub(crate) model: Box<dyn Model>,
    pub(crate) config: Arc<ModelConfig>,
    pub(crate) interface: Arc<Interface>,
}

/// Loads a model, as the server does.
pub(crate) fn load(text: &str) -> Result<Loaded> {
    let mut config = parse(text, "config.pbtxt").unwrap().config;
    apply_defaults(&mut config, "m", &DefaultFacts::default());
    validate(&config, None, "config.pbtxt", "m").unwrap();
    let config = Arc::new(config);
    let backends = hippocamp_backend_builtin::backends();
    let backend = backends.iter().find(|b| b.name() == config.backend).unwrap();
    let model = backend.load(&ModelSource {
        name: "m".into(),
        version: 1,
        model_directory: "m".into(),
        version_directory: "m/1".into(),
        config: Arc::clone(&config),
    })?;
    model.check_config(&config)?;
    let interface = Arc::new(Interface::new(&config).unwrap());
    Ok(Loaded { model, config, interface })
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

    /// A request for all outputs, and the receiver of its events.
    pub(crate) fn request(
        &self,
        inputs: Vec<Option<InputTensor>>,
        statistics: &Arc<ModelStatistics>,
    ) -> (Request, ResponseReceiver) {
        let delivery = if self.interface.decoupled { Delivery::Many } else { Delivery::Once };
        let (response, receiver) = channel(delivery, Instant::now(), Observers::counting(statistics));
        let rows = inputs.iter().flatten().next().and_then(|i| i.shape.first().copied());
        let batch_size = if self.interface.max_batch_size > 0 { rows.unwrap() as usize } else { 1 };
        let request = Request::new(inputs.into_iter().collect(), batch_size, response);
        (request, receiver)
    }

    /// The events of one request, and the counters.
    pub(crate) fn run(&self, inputs: Vec<Option<InputTensor>>) -> (Vec<Event>, Counters) {
        let statistics = Arc::default();
        let (request, mut receiver) = self.request(inputs, &statistics);
        let mut instance = self.instance();
        instance.execute(&mut Batch::from_iter([request]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let events = runtime.block_on(async {
            let mut events = Vec::new();
            while let Some(event) = receiver.next().await {
                events.push(event);
            }
            events
        });
        (events, statistics.snapshot())
    }

    /// The error of one request.
    pub(crate) fn error(&self, inputs: Vec<Option<InputTensor>>) -> String {
        match self.run(inputs).0.as_slice() {
            [Event::Failed(error)] => error.reason(),
            events => panic!("an error was expected, got {events:?}"),
        }
    }
}

/// An input.
#[expect(clippy::unnecessary_wraps, reason = "stands in lists beside inputs that are not")]
pub(crate) fn input(shape: &[i64], data: Bytes) -> Option<InputTensor> {
    Some(InputTensor { shape: Shape::from(shape), data: data.into() })
}

/// Encodes INT32 elements.
pub(crate) fn numbers<const N: usize>(values: [i32; N]) -> Bytes {
    values.into_iter().flat_map(i32::to_le_bytes).collect::<Vec<u8>>().into()
}

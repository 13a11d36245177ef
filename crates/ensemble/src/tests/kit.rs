//! Models that do what a test says, and ensembles of them.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Delivery, Error, Event, ExecutionTimes, InputTensor, Observers, OutputTensor, Parameters, Request,
    Response, ResponseReceiver, Result, channel,
};
use hippocamp_device::testing::{TestDevice, TestDriver};
use hippocamp_model_config::{Interface, ensemble_scheduling, parse};
use hippocamp_statistics::ModelStatistics;
use hippocamp_tensor::{PlacedBuffer, PlacedSlice, Shape, TensorData};
use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;

use crate::{Ensemble, StepModel};

type Act = dyn Fn(Request) + Send + Sync;

/// A model that passes its requests to a closure, on the thread that queues them.
pub(super) struct Fake {
    name: String,
    interface: Interface,
    pub(super) statistics: Arc<ModelStatistics>,
    observers: Arc<Observers>,
    act: Box<Act>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Fake {
    pub(super) fn new(name: &str, config: &str, act: impl Fn(Request) + Send + Sync + 'static) -> Arc<Fake> {
        let statistics = Arc::default();
        let observers = Observers::counting(&statistics);
        let (name, interface, act) = (name.to_owned(), interface(config), Box::new(act));
        Arc::new(Fake { name, interface, statistics, observers, act })
    }

    /// A model that answers inline with `f` of the first number of each input.
    pub(super) fn of(
        name: &str,
        config: &str,
        f: impl Fn(&[Option<i32>]) -> Vec<i32> + Send + Sync + 'static,
    ) -> Arc<Fake> {
        Fake::new(name, config, move |request| {
            let numbers = f(&numbers(&request));
            answer(request, &numbers);
        })
    }

    /// A model whose requests wait for the test to answer them.
    pub(super) fn held(name: &str, config: &str) -> (Arc<Fake>, Arc<Held>) {
        let held = Arc::new(Held::default());
        let here = Arc::clone(&held);
        let model = Fake::new(name, config, move |request| {
            here.requests.lock().push(request);
            here.came.notify_all();
        });
        (model, held)
    }
}

impl StepModel for Fake {
    fn name(&self) -> &str {
        &self.name
    }

    fn interface(&self) -> &Interface {
        &self.interface
    }

    fn observers(&self) -> &Arc<Observers> {
        &self.observers
    }

    fn visit_executing(&self, visit: &mut dyn FnMut(&str)) {
        visit(&self.name);
    }

    fn check(&self, _: &str, inputs: &[Option<InputTensor>]) -> Result<usize> {
        let batches = self.interface.max_batch_size > 0;
        let mut batch_size = 1;
        for (spec, input) in self.interface.inputs.iter().zip(inputs) {
            let Some(input) = input else {
                if spec.optional {
                    continue;
                }
                return Err(Error::invalid_arg(format!("'{}' lacks '{}'", self.name, spec.name)));
            };
            if !spec.dims.admits(input.shape.get(usize::from(batches)..).unwrap_or_default()) {
                return Err(Error::invalid_arg(format!("'{}' got {}", self.name, input.shape)));
            }
            if batches {
                batch_size = input.shape[0] as usize;
            }
        }
        Ok(batch_size)
    }

    fn enqueue(&self, request: Request) {
        (self.act)(request);
    }
}

/// Requests that wait for the test.
#[derive(Default)]
pub(super) struct Held {
    requests: Mutex<Vec<Request>>,
    came: Condvar,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.requests.lock().len()
    }

    /// Waits for that many requests and takes them.
    pub(super) fn take(&self, count: usize) -> Vec<Request> {
        let mut requests = self.requests.lock();
        while requests.len() < count {
            self.came.wait(&mut requests);
        }
        requests.drain(..count).collect()
    }

    pub(super) fn one(&self) -> Request {
        self.take(1).remove(0)
    }
}

pub(super) fn interface(config: &str) -> Interface {
    Interface::new(&parse(config, "config.pbtxt").unwrap().config).unwrap()
}

/// The config of INT32 inputs and outputs: `io("A,B", "C")`.
pub(super) fn io(inputs: &str, outputs: &str) -> String {
    let names = |list: &str| list.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let tensor =
        |kind: &str, name: &str| format!("{kind} {{ name: \"{name}\" data_type: TYPE_INT32 dims: 1 }} ");
    let inputs: String = names(inputs).iter().map(|name| tensor("input", name)).collect();
    let outputs: String = names(outputs).iter().map(|name| tensor("output", name)).collect();
    inputs + &outputs
}

/// The config of a step: `step("m", "X=a,Y=b", "Z=c")`.
pub(super) fn step(model: &str, inputs: &str, outputs: &str) -> String {
    let map = |field: &str, list: &str| {
        let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(key, value)| format!("{field} {{ key: \"{key}\" value: \"{value}\" }} "));
        pairs.collect::<Vec<_>>().concat()
    };
    let (inputs, outputs) = (map("input_map", inputs), map("output_map", outputs));
    format!("step {{ model_name: \"{model}\" model_version: -1 {inputs}{outputs}}} ")
}

/// Builds an ensemble `ens`; models are found by name.
pub(super) fn ensemble(io: &str, steps: &str, models: &[&Arc<Fake>]) -> Result<Ensemble> {
    let config = format!("name: \"ens\" {io} ensemble_scheduling {{ {steps} }}");
    let config = parse(&config, "config.pbtxt").unwrap().config;
    let scheduling = ensemble_scheduling(&config).unwrap();
    let of_step = scheduling.step.iter().map(|step| {
        let model = models.iter().find(|model| model.name == step.model_name).unwrap();
        Arc::clone(model) as Arc<dyn StepModel>
    });
    let interface = Interface::new(&config).unwrap();
    Ensemble::build(&"ens".into(), scheduling, &interface, of_step.collect()).map(|(ensemble, _)| ensemble)
}

/// A device whose memory is host memory.
pub(super) fn device() -> &'static Arc<TestDevice> {
    static DRIVER: LazyLock<Arc<TestDriver>> = LazyLock::new(|| TestDriver::new(1, usize::MAX));
    DRIVER.device(0)
}

/// A number in memory: even ones are host memory, odd ones are on the device, so that each test meets both.
pub(super) fn data(number: i32) -> TensorData {
    if number % 2 == 0 {
        return Bytes::copy_from_slice(&number.to_le_bytes()).into();
    }
    let memory = device().allocate_with(&number.to_le_bytes()).unwrap();
    TensorData::from(Arc::new(memory) as Arc<dyn PlacedBuffer>)
}

/// Which memory it is.
pub(super) fn address(data: &TensorData) -> usize {
    match data.as_one_slice().unwrap() {
        PlacedSlice::Host(bytes) => bytes.as_ptr() as usize,
        PlacedSlice::Placed { buffer, start, .. } => std::ptr::from_ref(buffer).cast::<u8>() as usize + start,
    }
}

pub(super) fn tensor(number: i32) -> InputTensor {
    InputTensor { shape: Shape::from([1]), data: data(number) }
}

/// A client's request.
pub(super) fn request(inputs: &[Option<i32>], delivery: Delivery) -> (Request, ResponseReceiver) {
    let now = Instant::now();
    let (response, receiver) = channel(delivery, now, Arc::default());
    let request = Request::new(inputs.iter().map(|number| number.map(tensor)).collect(), 1, response);
    (request, receiver)
}

pub(super) fn number(bytes: &[u8]) -> i32 {
    i32::from_le_bytes(bytes[..4].try_into().unwrap())
}

pub(super) fn numbers(request: &Request) -> SmallVec<[Option<i32>; 4]> {
    let inputs = request.inputs.iter();
    inputs.map(|input| input.as_ref().map(|input| number(&input.data.to_host().unwrap()))).collect()
}

/// A response with these numbers as outputs, of which those that the request does not ask for are left out.
pub(super) fn response(request: &Request, numbers: &[i32]) -> Response {
    let outputs = numbers.iter().enumerate().filter(|(index, _)| request.outputs.contains(*index));
    let outputs = outputs.map(|(index, number)| OutputTensor {
        index,
        shape: Shape::from([1]),
        data: data(*number),
        data_type: None,
    });
    Response { outputs: outputs.collect(), parameters: Parameters::default() }
}

pub(super) fn answer(request: Request, numbers: &[i32]) {
    let response = response(&request, numbers);
    request.succeed(response, &ExecutionTimes::now());
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The numbers of a response with the indices of the ensemble's outputs.
pub(super) fn outputs(response: &Response) -> Vec<(usize, i32)> {
    let mut outputs: Vec<_> =
        response.outputs.iter().map(|o| (o.index, number(&o.data.to_host().unwrap()))).collect();
    outputs.sort_unstable();
    outputs
}

/// Receives all events of a request.
pub(super) fn events(mut receiver: ResponseReceiver) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = block_on(receiver.next()) {
        events.push(event);
    }
    events
}

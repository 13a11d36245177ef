//! Requests, instances and answers for the checks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use hippocamp_device::testing::TestDriver;
use hippocamp_tensor::{PlacedBuffer, TensorData};

use crate::conformance::{Example, Subject};
use hippocamp_backend::{
    Batch, Delivery, Event, InputTensor, InstanceSpec, ModelInstance, NewInstance, Observers, Request,
    RequestContext, ResponseReceiver, WantedOutputs, channel,
};
use hippocamp_statistics::{Counters, ModelStatistics};

/// How long a check waits for an answer before it says that none came. Reached only by a backend that forgot a request.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) type Outcome<T = ()> = Result<T, String>;

/// Requests to one model version, with counters of their own.
pub(super) struct Trial<'a> {
    subject: &'a Subject<'a>,
    pub(super) statistics: Arc<ModelStatistics>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(subject: &'a Subject<'a>) -> Self {
        Trial { subject, statistics: Arc::default() }
    }

    pub(super) fn delivery(&self) -> Delivery {
        if self.subject.interface.decoupled { Delivery::Many } else { Delivery::Once }
    }

    /// A request with these inputs, and the end where its answer arrives.
    pub(super) fn request(
        &self,
        inputs: &[Option<InputTensor>],
        rows: usize,
        wanted: WantedOutputs,
    ) -> (Request, ResponseReceiver) {
        let now = Instant::now();
        let (response, receiver) = channel(
            self.delivery(),
            RequestContext::with_id("conformance".into(), now),
            Observers::counting(&self.statistics),
        );
        let request =
            Request { outputs: wanted, ..Request::new(inputs.iter().cloned().collect(), rows, response) };
        (request, receiver)
    }

    /// A request for all outputs.
    pub(super) fn ask(&self, example: &Example, rows: usize) -> (Request, ResponseReceiver) {
        self.request(&example.inputs, rows, WantedOutputs::ALL)
    }

    /// Executes a request for all outputs on its own and waits for its answer.
    pub(super) fn run_alone(
        &self,
        instance: &mut dyn ModelInstance,
        inputs: &[Option<InputTensor>],
        rows: usize,
    ) -> Outcome<Vec<Event>> {
        let (request, receiver) = self.request(inputs, rows, WantedOutputs::ALL);
        Batch::from_iter([request]).execute_on(instance);
        answer(receiver)
    }

    pub(super) fn counters(&self) -> Counters {
        self.statistics.snapshot()
    }
}

impl Subject<'_> {
    pub(super) fn instance(&self, index: usize) -> Outcome<Box<dyn ModelInstance>> {
        let spec = InstanceSpec {
            name: format!("{}_0_{index}", self.config.name),
            index,
            device: self.device,
            config: Arc::clone(&self.config),
            interface: Arc::clone(&self.interface),
        };
        self.model
            .new_instance(&spec)
            .map(NewInstance::into_box)
            .map_err(|e| format!("no instance could be made: {e:?}"))
    }

    /// Row counts that fill one execution, different ones if possible: 1, 2, 3, ... and what is left.
    pub(super) fn mixed_rows(&self) -> Vec<usize> {
        let mut left = self.max_rows();
        let mut rows = Vec::new();
        for wish in 1.. {
            if left == 0 {
                break;
            }
            rows.push(wish.min(left));
            left -= wish.min(left);
        }
        rows
    }

    /// Whether several requests can be executed together.
    pub(super) fn has_batches(&self) -> bool {
        self.interface.max_batch_size > 1
    }
}

/// All events of an answer, up to its last.
pub(super) fn answer(mut receiver: ResponseReceiver) -> Outcome<Vec<Event>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| format!("the check could not wait for an answer: {e}"))?;
    runtime.block_on(async {
        let mut events = Vec::new();
        loop {
            match tokio::time::timeout(PATIENCE, receiver.next()).await {
                Ok(Some(event)) => events.push(event),
                Ok(None) => return Ok(events),
                Err(_) => {
                    return Err(format!(
                        "no last answer within {PATIENCE:?}, but {} before it",
                        events.len()
                    ));
                }
            }
        }
    })
}

/// The same inputs, each cut into several segments at places that fit no element.
pub(super) fn in_segments(inputs: &[Option<InputTensor>]) -> Vec<Option<InputTensor>> {
    changed(inputs, |content| {
        content.chunks(content.len().div_ceil(3).max(3)).map(Bytes::copy_from_slice).collect()
    })
}

/// The same inputs, each in one piece at an odd address.
pub(super) fn unaligned(inputs: &[Option<InputTensor>]) -> Vec<Option<InputTensor>> {
    changed(inputs, |content| {
        let mut bytes = BytesMut::with_capacity(content.len() + 2);
        let skip = if (bytes.as_ptr() as usize).is_multiple_of(2) { 1 } else { 2 };
        bytes.resize(skip, 0);
        bytes.extend_from_slice(content);
        bytes.freeze().slice(skip..).into()
    })
}

/// The same inputs, each in the memory of a device that the backend does not know.
pub(super) fn on_device(inputs: &[Option<InputTensor>]) -> Vec<Option<InputTensor>> {
    let driver = TestDriver::new(1, usize::MAX);
    changed(inputs, |content| {
        let memory = driver.device(0).allocate_with(content).expect("the device has no limit");
        TensorData::from(Arc::new(memory) as Arc<dyn PlacedBuffer>)
    })
}

fn changed(
    inputs: &[Option<InputTensor>],
    change: impl Fn(&Bytes) -> TensorData,
) -> Vec<Option<InputTensor>> {
    let change = |input: &InputTensor| InputTensor {
        shape: input.shape.clone(),
        data: change(&input.data.to_host().expect("an example is in host memory")),
    };
    inputs.iter().map(|input| input.as_ref().map(&change)).collect()
}

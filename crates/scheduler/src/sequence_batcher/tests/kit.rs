//! A batcher under test, a client of it, and a model that sums up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hippocamp_backend::{
    Batch, Code, CorrelationId, Delivery, Error, Event, ExecutionTimes, InputTensor, Observers, OutputTensor,
    Request, Response, ResponseReceiver, Sequence, channel,
};
use hippocamp_model_config::{Interface, parse};
use hippocamp_statistics::ModelStatistics;
use hippocamp_tensor::Shape;
use parking_lot::Mutex;
use smallvec::smallvec;

use crate::sequence_batcher::clock::Clock;
use crate::sequence_batcher::direct::Next;
use crate::sequence_batcher::{SequenceBatcher, SequencePolicy, Shared, rows};

/// All controls, in the order in which their inputs stand behind `x`.
pub(super) const CONTROLS: &str = r#"
    control_input { name: "start" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
    control_input { name: "ready" control { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } }
    control_input { name: "end" control { kind: CONTROL_SEQUENCE_END int32_false_true: [ 0, 1 ] } }
    control_input { name: "id" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }"#;

pub(super) const STATE: &str = r#"
    state { input_name: "sum" output_name: "sum_next" data_type: TYPE_INT32 dims: 1
            initial_state { name: "zero" data_type: TYPE_INT32 dims: 1 zero_data: true } }"#;

/// Positions of what the batcher adds behind the one input of the client.
pub(super) const START: usize = 1;
pub(super) const READY: usize = 2;
pub(super) const END: usize = 3;
pub(super) const ID: usize = 4;
pub(super) const SUM: usize = 5;

/// The policy of a model with an input `x` [-1], an output `y` [1], and this `sequence_batching`.
pub(super) fn policy(max_batch_size: u32, batching: &str) -> SequencePolicy {
    policy_of(max_batch_size, "dims: -1", batching).unwrap()
}

pub(super) fn policy_of(max_batch_size: u32, x: &str, batching: &str) -> Result<SequencePolicy, Error> {
    policy_of_type("TYPE_INT32", max_batch_size, x, batching)
}

/// The same with an input `x` of that type.
pub(super) fn policy_of_type(
    x_type: &str,
    max_batch_size: u32,
    x: &str,
    batching: &str,
) -> Result<SequencePolicy, Error> {
    let idle =
        if batching.contains("max_sequence_idle") { "" } else { "max_sequence_idle_microseconds: 1000000" };
    let text = format!(
        r#"name: "m" max_batch_size: {max_batch_size}
           input {{ name: "x" data_type: {x_type} {x} }}
           output {{ name: "y" data_type: TYPE_INT32 dims: 1 }}
           sequence_batching {{ {idle} {batching} }}"#
    );
    let config = parse(&text, "config.pbtxt").unwrap().config;
    let interface = Interface::new(&config).unwrap();
    let mut no_file = |file: &str| Err(Error::not_found(format!("no file {file}")));
    Ok(SequencePolicy::from_config(&config, &interface, &mut no_file)?.expect("sequences"))
}

/// The batcher, the time, and the counters.
pub(super) struct Bench {
    pub(super) batcher: SequenceBatcher,
    pub(super) statistics: Arc<ModelStatistics>,
    time: Arc<Mutex<Instant>>,
}

impl Bench {
    pub(super) fn new(policy: SequencePolicy, instances: usize) -> Bench {
        let time = Arc::new(Mutex::new(Instant::now()));
        let shared = Shared::new(policy, instances, Clock::Set(Arc::clone(&time)));
        let batcher = SequenceBatcher { shared: Arc::new(shared) };
        Bench { batcher, statistics: Arc::default(), time }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.batcher.shared
    }

    /// Lets time pass; nobody acts on it by itself.
    pub(super) fn pass(&self, time: Duration) {
        *self.time.lock() += time;
    }

    /// What the reaper does when it looks.
    pub(super) fn reap(&self) -> Option<Duration> {
        let now = *self.time.lock();
        let mut state = self.shared().state.lock();
        let next = state.sequences.reap(now);
        self.shared().settle(state);
        next.map(|next| next.saturating_duration_since(now))
    }

    /// A request that brings `value`.
    pub(super) fn request(&self, sequence: Option<Sequence>, value: i32) -> (Request, ResponseReceiver) {
        let now = *self.time.lock();
        let (response, receiver) = channel(Delivery::Once, now, Observers::counting(&self.statistics));
        let request =
            Request { sequence, queued: now, ..Request::new(smallvec![Some(tensor(value))], 1, response) };
        (request, receiver)
    }

    /// Pushes a request, as the scheduler does.
    pub(super) fn push(&self, request: Request) -> Result<(), Error> {
        self.batcher.push(request).map_err(|refused| {
            let (request, error) = *refused;
            request.response.withdraw();
            error
        })
    }

    /// Sends a request of a sequence of a number. `flags` has `S` for START and `E` for END.
    pub(super) fn send(&self, id: u64, flags: &str, value: i32) -> ResponseReceiver {
        let (request, receiver) = self.request(Some(sequence(id, flags)), value);
        self.push(request).unwrap();
        receiver
    }

    /// The error that a request is answered with at once.
    pub(super) fn refused(&self, sequence: Option<Sequence>) -> String {
        let (request, _receiver) = self.request(sequence, 0);
        self.push(request).unwrap_err().reason()
    }

    /// Pushes a request, and tells which instances are woken by it.
    pub(super) fn woken_by(&self, request: Request) -> Vec<usize> {
        let now = *self.time.lock();
        let mut state = self.shared().state.lock();
        state.sequences.push(request, now).map_err(|refused| refused.1).unwrap();
        let woken = state.sequences.woken.to_vec();
        self.shared().settle(state);
        woken
    }

    /// The next batch of an instance; nothing if it would wait, or if it would end.
    pub(super) fn pull(&self, instance: usize) -> Batch {
        self.try_pull(instance).1
    }

    pub(super) fn try_pull(&self, instance: usize) -> (Next, Batch) {
        let (mut rows, mut batch) = (Vec::new(), Batch::new());
        let now = *self.time.lock();
        let mut state = self.shared().state.lock();
        let next = state.sequences.look(instance, now);
        if let Next::Execute(count) = next {
            state.sequences.take_batch(instance, count, &mut rows, now);
        }
        self.shared().settle(state);
        rows::fill(self.shared(), &mut rows, &mut batch);
        let state = self.shared().state.lock();
        assert_eq!(state.sequences.waiting, state.sequences.count_waiting());
        drop(state);
        (next, batch)
    }

    /// Pulls a batch and answers it with the running sums of its implicit state. Returns what it was.
    pub(super) fn run(&self, instance: usize) -> Vec<String> {
        let mut batch = self.pull(instance);
        let rows = batch.iter().map(describe).collect();
        batch.drain(..).for_each(answer_with_sum);
        rows
    }
}

pub(super) fn sequence(id: u64, flags: &str) -> Sequence {
    let (start, end) = (flags.contains('S'), flags.contains('E'));
    Sequence { correlation_id: CorrelationId::Number(id), start, end }
}

pub(super) fn tensor(value: i32) -> InputTensor {
    InputTensor { shape: Shape::from([1, 1]), data: Bytes::copy_from_slice(&value.to_le_bytes()).into() }
}

/// The number in an input, whatever its width.
pub(super) fn number(request: &Request, input: usize) -> i64 {
    let input = request.inputs[input].as_ref().expect("an input");
    let bytes = input.data.to_host().unwrap();
    let mut number = [0; 8];
    number[..bytes.len()].copy_from_slice(&bytes);
    i64::from_le_bytes(number)
}

/// What a request tells the model: `7:S3` is value 3 of sequence 7, which starts; `-` a row without a request.
pub(super) fn describe(request: &Request) -> String {
    if number(request, READY) == 0 {
        assert!(request.is_null());
        return "-".to_owned();
    }
    let flag = |input, letter| if number(request, input) == 1 { letter } else { "" };
    let (start, end) = (flag(START, "S"), flag(END, "E"));
    format!("{}:{start}{end}{}", number(request, ID), number(request, 0))
}

/// Answers with the state and the value added up, and gives the sum back as the next state.
pub(super) fn answer_with_sum(request: Request) {
    let before = request.inputs.get(SUM).map_or(0, |_| number(&request, SUM));
    let sum = (before + number(&request, 0)) as i32;
    answer(request, sum);
}

pub(super) fn answer(request: Request, sum: i32) {
    let mut response = Response::default();
    let has_state = request.inputs.len() > SUM;
    for index in [0, 1] {
        if (index == 0 || has_state) && request.outputs.contains(index) {
            let data = Bytes::copy_from_slice(&sum.to_le_bytes());
            response.outputs.push(OutputTensor {
                index,
                shape: Shape::from([1, 1]),
                data: data.into(),
                data_type: None,
            });
        }
    }
    request.succeed(response, &ExecutionTimes::now());
}

/// The answer that is there now: the sum, or the error's code.
pub(super) fn answered(mut receiver: ResponseReceiver) -> Option<Result<i32, Code>> {
    match event(&mut receiver)? {
        Event::Response { response, last: true } => {
            let [output] = response.outputs.as_slice() else { panic!("one output: {response:?}") };
            assert_eq!(output.index, 0, "states are the server's own");
            Some(Ok(i32::from_le_bytes(output.data.to_host().unwrap()[..].try_into().unwrap())))
        }
        Event::Failed(error) => Some(Err(error.code())),
        event => panic!("one answer: {event:?}"),
    }
}

/// The event that is there now.
pub(super) fn event(receiver: &mut ResponseReceiver) -> Option<Event> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            biased;
            event = receiver.next() => Some(event.expect("an event")),
            () = std::future::ready(()) => None,
        }
    })
}

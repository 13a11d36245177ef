//! With threads: instances that wait, and the one that ends idle sequences.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use hippocamp_backend::{
    Batch, Code, Device, InstanceSpec, Model, ModelInstance, NewInstance, Request, ResponseReceiver, Result,
};
use hippocamp_model_config::ModelConfig;
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use smallvec::SmallVec;

use super::kit::{Bench, CONTROLS, ID, STATE, answer, answer_with_sum, answered, number, policy};
use crate::queue::{Pulled, Puller};
use crate::sequence_batcher::SequenceBatcher;
use crate::{Cores, InstancePlan, Scheduler, SequencePolicy};

#[test]
fn instances_wait_for_requests_and_end_when_the_batcher_closes() {
    for strategy in ["direct { }", "oldest { max_candidate_sequences: 4 }"] {
        let policy = policy(4, &format!("{strategy} {CONTROLS} {STATE}"));
        let batcher = Arc::new(SequenceBatcher::new(policy, 2));
        let instances = [0, 1].map(|instance| {
            let batcher = Arc::clone(&batcher);
            thread::spawn(move || {
                let mut batch = Batch::new();
                while batcher.pull(Puller { instance, ..Puller::ANY }, &mut batch) != Pulled::Closed {
                    batch.drain(..).for_each(answer_with_sum);
                }
            })
        });
        // Only for its requests.
        let bench = Bench::new(super::kit::policy(4, STATE), 1);
        let mut answers = Vec::new();
        for step in 0..20 {
            for id in 1..=20 {
                let flags = match step {
                    0 => "S",
                    19 => "E",
                    _ => "",
                };
                let (request, answer) = bench.request(Some(super::kit::sequence(id, flags)), 1);
                batcher.push(request).map_err(|refused| refused.1).unwrap();
                answers.push((step, answer));
            }
        }
        batcher.close();
        for instance in instances {
            instance.join().unwrap();
        }
        for (step, answer) in answers {
            assert_eq!(answered(answer), Some(Ok(step + 1)));
        }
    }
}

/// The sequences of a thread, which it sends in turns: the values of each, from START to END.
fn sequences() -> impl Strategy<Value = Vec<Vec<i32>>> {
    vec(vec(0..100i32, 2..20), 1..6)
}

/// Sends the sequences of the nth thread. Returns the sum that has to answer each request: it tells which ones of its sequence were
/// executed before.
fn send(batcher: &SequenceBatcher, thread: usize, sequences: &[Vec<i32>]) -> Vec<(i32, ResponseReceiver)> {
    let bench = Bench::new(policy(4, STATE), 1);
    let mut answers = Vec::new();
    for step in 0..sequences.iter().map(Vec::len).max().unwrap_or_default() {
        for (n, values) in sequences.iter().enumerate().filter(|(_, values)| step < values.len()) {
            let flags = match step {
                0 => "S",
                _ if step + 1 == values.len() => "E",
                _ => "",
            };
            let sequence = super::kit::sequence((thread * 10 + n + 1) as u64, flags);
            let (request, answer) = bench.request(Some(sequence), values[step]);
            batcher.push(request).map_err(|refused| refused.1).unwrap();
            answers.push((values[..=step].iter().sum(), answer));
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sequences_of_many_threads_keep_their_order(
        direct: bool,
        instances in 1usize..5,
        max_batch_size in 1u32..6,
        threads in vec(sequences(), 8),
    ) {
        let strategy = if direct { "direct { }" } else { "oldest { max_candidate_sequences: 4 }" };
        let patient = "max_sequence_idle_microseconds: 600000000";
        let policy = policy(max_batch_size, &format!("{patient} {strategy} {CONTROLS} {STATE}"));
        let batcher = &SequenceBatcher::new(policy, instances);
        let sums: Vec<(i32, ResponseReceiver)> = thread::scope(|scope| {
            for instance in 0..instances {
                scope.spawn(move || {
                    let mut batch = Batch::new();
                    while batcher.pull(Puller { instance, ..Puller::ANY }, &mut batch) != Pulled::Closed {
                        batch.drain(..).for_each(answer_with_sum);
                    }
                });
            }
            let clients: Vec<_> = threads
                .iter()
                .enumerate()
                .map(|(thread, sequences)| scope.spawn(move || send(batcher, thread, sequences)))
                .collect();
            let sums = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
            batcher.close();
            sums
        });
        for (sum, answer) in sums {
            prop_assert_eq!(answered(answer), Some(Ok(sum)));
        }
    }
}

/// Needs as many executions as a request says; panics at 13.
struct Stepwise {
    /// Its executions end on another thread, after they have returned.
    late: bool,
}

impl Model for Stepwise {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(StepwiseInstance { late: self.late, steps: Arc::default() }))
    }
}

/// How often an instance has executed the request of each sequence.
type Steps = Mutex<HashMap<i64, i64>>;

struct StepwiseInstance {
    late: bool,
    steps: Arc<Steps>,
}

impl ModelInstance for StepwiseInstance {
    fn execute(&mut self, batch: &mut Batch) {
        let steps = Arc::clone(&self.steps);
        if self.late {
            let mut batch = batch.finish_later();
            thread::spawn(move || step(&steps, &mut batch));
        } else {
            step(&steps, batch);
        }
    }
}

/// Answers the requests that have had enough steps, and leaves the others.
fn step(steps: &Steps, batch: &mut SmallVec<[Request; 8]>) {
    for mut request in std::mem::take(batch) {
        if request.is_null() {
            continue;
        }
        let wanted = number(&request, 0);
        assert_ne!(wanted, 13);
        let mut steps = steps.lock();
        let steps = steps.entry(number(&request, ID)).or_default();
        *steps += 1;
        if *steps < wanted {
            request.reschedule();
            batch.push(request);
        } else {
            let steps = *steps as i32;
            answer(request, steps);
        }
    }
}

fn start(policy: SequencePolicy, instances: usize, late: bool) -> Scheduler {
    let spec = |index| InstanceSpec {
        name: format!("m_{index}"),
        index,
        device: Device::Cpu,
        config: Arc::default(),
        interface: Arc::default(),
    };
    let model: Arc<dyn Model> = Arc::new(Stepwise { late });
    let plan = |index| InstancePlan {
        spec: spec(index),
        cores: Cores::default(),
        limited: None,
        stands_aside: None,
    };
    Scheduler::start_sequences(&model, (0..instances).map(plan).collect(), policy).unwrap().0
}

#[test]
fn requests_of_iterative_sequences_share_batches_step_by_step() {
    let strategies = ["direct { }", "oldest { max_candidate_sequences: 8 }"];
    for (strategy, late) in strategies.into_iter().flat_map(|each| [(each, false), (each, true)]) {
        let text = format!("{strategy} iterative_sequence: true {CONTROLS}");
        let scheduler = start(policy(4, &text), 2, late);
        let bench = Bench::new(policy(4, STATE), 1);
        let sent = (1..=40).filter(|steps| *steps != 13).map(|steps| {
            let (request, answer) = bench.request(None, steps);
            scheduler.enqueue(request).unwrap();
            (steps, answer)
        });
        let sent: Vec<_> = sent.collect();
        for (steps, answer) in sent {
            assert_eq!(wait(answer), Ok(steps));
        }
    }
}

#[test]
fn a_panic_ends_the_sequences_of_its_instance_and_no_others() {
    panics(false);
}

#[test]
fn so_does_a_panic_where_an_execution_ends_later() {
    panics(true);
}

fn panics(late: bool) {
    // A backtrace may take longer than a sequence is idle by default.
    let text = format!("direct {{ }} max_sequence_idle_microseconds: 600000000 {CONTROLS}");
    let scheduler = start(policy(1, &text), 2, late);
    let bench = Bench::new(policy(1, STATE), 1);
    let send = |id, flags, value| {
        let (request, answer) = bench.request(Some(super::kit::sequence(id, flags)), value);
        scheduler.enqueue(request).map(|()| wait(answer))
    };
    assert_eq!(send(1, "S", 1).unwrap(), Ok(1));
    assert_eq!(send(2, "S", 1).unwrap(), Ok(1));
    assert_eq!(send(1, "", 13).unwrap(), Err(Code::Internal));
    // It may have been queued before the batcher heard of the panic; then it is lost with the rest.
    match send(1, "", 1) {
        Ok(lost) => assert_eq!(lost, Err(Code::Internal)),
        Err(refused) => {
            assert!(refused.message().contains("must specify the START flag"), "{refused}");
        }
    }
    assert_eq!(send(2, "", 1).unwrap(), Ok(2), "another instance");
    assert_eq!(send(1, "S", 1).unwrap(), Ok(1), "the instance was made anew");
}

fn wait(answer: ResponseReceiver) -> Result<i32, Code> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let response = runtime.block_on(answer.only()).map_err(|error| error.code())?;
    Ok(i32::from_le_bytes(response.outputs[0].data.to_host().unwrap()[..].try_into().unwrap()))
}

#[test]
fn an_idle_sequence_makes_room_without_anybody_asking() {
    let text = format!("direct {{ }} {CONTROLS} {STATE} max_sequence_idle_microseconds: 1000");
    let batcher = SequenceBatcher::new(policy(1, &text), 1);
    let bench = Bench::new(policy(1, STATE), 1);
    let mut batch = Batch::new();
    for id in 1..=3 {
        // None of them ends; the pull of the next one waits until the reaper ended the one before.
        let (request, answer) = bench.request(Some(super::kit::sequence(id, "S")), 1);
        batcher.push(request).map_err(|refused| refused.1).unwrap();
        assert_eq!(batcher.pull(Puller { instance: 0, ..Puller::ANY }, &mut batch), Pulled::Batch(()));
        batch.drain(..).for_each(answer_with_sum);
        assert_eq!(answered(answer), Some(Ok(1)));
    }
    batcher.close();
    assert_eq!(batcher.pull(Puller { instance: 0, ..Puller::ANY }, &mut batch), Pulled::Closed);
}

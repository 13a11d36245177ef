//! Random interleavings against a simple model of what sequences are.
//!
//! The model knows nothing of slots: an id is either open or not, and the sum of a sequence is that of its executed
//! requests since its START. What an execution gets and what clients get has to agree with it.

use std::collections::HashMap;
use std::time::Duration;

use hippocamp_backend::{Batch, CorrelationId, Error, Event, FailureReason, Request, ResponseReceiver};
use proptest::prelude::*;

use super::kit::{
    Bench, CONTROLS, END, ID, READY, START, STATE, SUM, answer, answered, event, number, policy, sequence,
};
use crate::sequence_batcher::direct::Next;

#[derive(Clone, Debug)]
enum Step {
    Send {
        id: u64,
        start: bool,
        end: bool,
        value: i32,
        wide: bool,
    },
    /// Executes the next batch of an instance, if there is one.
    Run {
        instance: usize,
        outcome: Outcome,
    },
    /// The client of the nth request hangs up.
    Cancel(usize),
    Pass(Duration),
    Reap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    /// A panic: the instance is made anew.
    Lost,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        8 => Just(Outcome::Success),
        1 => Just(Outcome::Failure),
        1 => Just(Outcome::Lost),
    ];
    let send = (1u64..6, prop::bool::weighted(0.3), prop::bool::weighted(0.25), 0..100i32, any::<bool>());
    prop_oneof![
        10 => send.prop_map(|(id, start, end, value, wide)| Step::Send { id, start, end, value, wide }),
        8 => (0..2usize, outcome).prop_map(|(instance, outcome)| Step::Run { instance, outcome }),
        1 => (0..60usize).prop_map(Step::Cancel),
        1 => (0..1500u64).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        1 => Just(Step::Reap),
    ]
}

/// One request as the model sees it.
struct Sent {
    receiver: Option<ResponseReceiver>,
    /// The sequence that it belongs to: they are counted, because ids are used again.
    incarnation: usize,
    value: i32,
    /// What it was answered with: nothing yet, an error, or a sum.
    expected: Option<Result<i32, ()>>,
}

/// A sequence as the model sees it.
struct Incarnation {
    id: u64,
    sum: i32,
    /// The last request of it that was executed.
    last: Option<usize>,
    /// Accepted and not answered.
    outstanding: usize,
    last_used: Duration,
    /// Something happened to it whose time the batcher chooses: whether it is still open cannot be told.
    uncertain: bool,
    /// With the direct strategy: its instance and row.
    row: Option<(usize, usize)>,
}

struct World {
    bench: Bench,
    direct: bool,
    implicit: bool,
    max_batch_size: usize,
    now: Duration,
    sent: Vec<Sent>,
    incarnations: Vec<Incarnation>,
    open: HashMap<u64, usize>,
    /// What the model of `sequence` and of `dyna_sequence` keeps, by instance and by row or id.
    accumulators: HashMap<(usize, u64), i32>,
}

impl World {
    fn new(direct: bool, implicit: bool, instances: usize, max_batch_size: u32) -> World {
        let strategy = if direct { "direct { }" } else { "oldest { max_candidate_sequences: 3 }" };
        let state = if implicit { STATE } else { "" };
        let policy = policy(max_batch_size, &format!("{strategy} {CONTROLS} {state}"));
        World {
            bench: Bench::new(policy, instances),
            direct,
            implicit,
            max_batch_size: max_batch_size as usize,
            now: Duration::ZERO,
            sent: Vec::new(),
            incarnations: Vec::new(),
            open: HashMap::new(),
            accumulators: HashMap::new(),
        }
    }

    fn send(&mut self, id: u64, start: bool, end: bool, value: i32, wide: bool) {
        let flags = format!("{}{}", if start { "S" } else { "" }, if end { "E" } else { "" });
        let (mut request, receiver) = self.bench.request(Some(sequence(id, &flags)), value);
        request.context_mut().id = self.sent.len().to_string().into();
        if wide {
            let input = request.inputs[0].as_mut().unwrap();
            input.shape = hippocamp_tensor::Shape::from([1, 2]);
            let more = bytes::Bytes::from_static(&[0; 4]);
            input.data = [input.data.to_host().unwrap(), more].into_iter().collect();
        }
        self.forget_if_idle(id);
        let accepted = self.bench.push(request).is_ok();
        let open = self.open.get(&id).copied();
        match open {
            _ if start => assert!(accepted, "a START is always taken"),
            None => assert!(!accepted, "sequence {id} is not open"),
            Some(open) => assert!(accepted || self.incarnations[open].uncertain, "sequence {id} is open"),
        }
        if !accepted {
            self.open.remove(&id);
            return;
        }
        let uncertain = open.is_some_and(|open| self.incarnations[open].uncertain);
        let incarnation = match open {
            Some(open) if !(start && uncertain) => open,
            _ => self.begin(id),
        };
        self.incarnations[incarnation].uncertain |= uncertain;
        self.open.insert(id, incarnation);
        let known = &mut self.incarnations[incarnation];
        known.outstanding += 1;
        known.last_used = self.now;
        if end {
            self.open.remove(&id);
        }
        self.sent.push(Sent { receiver: Some(receiver), incarnation, value, expected: None });
    }

    fn begin(&mut self, id: u64) -> usize {
        self.incarnations.push(Incarnation {
            id,
            sum: 0,
            last: None,
            outstanding: 0,
            last_used: self.now,
            uncertain: false,
            row: None,
        });
        self.incarnations.len() - 1
    }

    /// A second without a request ends a sequence.
    fn forget_if_idle(&mut self, id: u64) {
        let idle = |known: &Incarnation| {
            known.outstanding == 0 && self.now >= known.last_used + Duration::from_secs(1)
        };
        if self.open.get(&id).is_some_and(|open| idle(&self.incarnations[*open])) {
            self.open.remove(&id);
        }
    }

    fn run(&mut self, instance: usize, outcome: Outcome) -> Next {
        let (next, mut batch) = self.bench.try_pull(instance);
        self.notice_refusals();
        if batch.is_empty() {
            return next;
        }
        self.check_batch(instance, &batch);
        if outcome == Outcome::Lost {
            self.bench.batcher.instance_lost(instance);
            self.lose(instance);
        }
        for (row, request) in batch.drain(..).enumerate() {
            if request.is_null() {
                answer(request, 0);
            } else {
                self.execute(instance, row, request, outcome);
            }
        }
        self.notice_refusals();
        next
    }

    fn check_batch(&self, instance: usize, batch: &Batch) {
        assert!(batch.len() <= self.max_batch_size, "no batch over its limit");
        assert!(!batch.iter().all(Request::is_null), "no batch for nobody");
        assert!(self.direct || !batch.iter().any(Request::is_null), "no null row without fixed rows");
        let mut ids = Vec::new();
        for request in batch.iter() {
            assert_eq!(number(request, READY) == 0, request.is_null());
            if !request.is_null() {
                assert!(!ids.contains(&number(request, ID)), "one request of each id, instance {instance}");
                ids.push(number(request, ID));
            }
        }
        let width = |request: &Request| request.inputs[0].as_ref().unwrap().shape[1];
        assert!(batch.iter().all(|request| width(request) == width(&batch[0])), "only what is alike");
    }

    fn execute(&mut self, instance: usize, row: usize, request: Request, outcome: Outcome) {
        let index: usize = request.id().parse().unwrap();
        let sent = &self.sent[index];
        let value = sent.value;
        assert!(sent.expected.is_none(), "request {index} is executed twice");
        let known = &mut self.incarnations[sent.incarnation];
        assert!(known.last.is_none_or(|last| last < index), "requests of a sequence keep their order");
        if self.direct {
            assert_eq!(*known.row.get_or_insert((instance, row)), (instance, row), "it keeps its row");
        }
        known.last = Some(index);
        let flags = request.sequence.as_ref().unwrap();
        let (start, end) = (flags.start, flags.end);
        assert_eq!(flags.correlation_id, CorrelationId::Number(known.id));
        assert_eq!((number(&request, START) == 1, number(&request, END) == 1), (start, end));
        assert_eq!(number(&request, ID), known.id as i64);
        if start {
            known.sum = 0;
        }
        if self.implicit {
            assert_eq!(number(&request, SUM), i64::from(known.sum), "its own state, or none at the start");
        }
        let key = (instance, if self.direct { row as u64 } else { known.id });
        let kept = self.accumulators.entry(key).or_default();
        if start {
            *kept = 0;
        }
        if outcome != Outcome::Success {
            request.fail(Error::internal("as the test wants"), FailureReason::Backend);
            self.answered(index, Err(()));
            return;
        }
        known.sum += value;
        let sum = known.sum;
        *kept += value;
        assert!(self.implicit || *kept == sum, "a model that keeps the sum itself is never mixed up");
        answer(request, sum);
        self.answered(index, Ok(sum));
    }

    fn answered(&mut self, index: usize, result: Result<i32, ()>) {
        let sent = &mut self.sent[index];
        sent.expected = Some(result);
        let known = &mut self.incarnations[sent.incarnation];
        known.outstanding -= 1;
        known.last_used = self.now;
        if let Some(receiver) = sent.receiver.take() {
            let got = answered(receiver).expect("an answer right after the execution");
            assert_eq!(got.map_err(|_| ()), result);
        }
    }

    /// Finds what was answered without being executed, which only a cancellation or a lost instance may cause.
    fn notice_refusals(&mut self) {
        for sent in &mut self.sent {
            if sent.expected.is_some() {
                continue;
            }
            let known = &mut self.incarnations[sent.incarnation];
            if !known.uncertain {
                continue;
            }
            let Some(receiver) = &mut sent.receiver else { continue };
            if let Some(event) = event(receiver) {
                assert!(matches!(event, Event::Failed(_)), "{event:?}");
                sent.receiver = None;
                sent.expected = Some(Err(()));
                known.outstanding -= 1;
                known.last_used = self.now;
            }
        }
    }

    fn lose(&mut self, instance: usize) {
        if self.implicit {
            return;
        }
        self.accumulators.retain(|(of, _), _| *of != instance);
        // Those of other instances are not concerned, where this model knows who is where.
        for known in &mut self.incarnations {
            known.uncertain |= known.row.is_none_or(|(of, _)| of == instance);
        }
    }

    fn cancel(&mut self, index: usize) {
        let Some(sent) = self.sent.get_mut(index) else { return };
        if sent.expected.is_none() && sent.receiver.take().is_some() {
            self.incarnations[sent.incarnation].uncertain = true;
        }
    }

    /// Lets everything that waits be executed, and looks for answers that are missing.
    fn finish(mut self, instances: usize) {
        self.bench.batcher.close();
        for _ in 0..=self.sent.len() {
            for instance in 0..instances {
                self.run(instance, Outcome::Success);
            }
        }
        for instance in 0..instances {
            assert_eq!(self.run(instance, Outcome::Success), Next::End);
        }
        assert_eq!(self.bench.batcher.pending(), 0);
        for (index, sent) in self.sent.iter().enumerate() {
            assert!(sent.expected.is_some() || sent.receiver.is_none(), "request {index} is lost");
        }
        let counters = self.bench.statistics.snapshot();
        let successes = self.sent.iter().filter(|sent| matches!(sent.expected, Some(Ok(_)))).count();
        assert_eq!(counters.success.count, successes as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn sequences_stay_what_they_are(
        direct: bool,
        implicit: bool,
        instances in 1..3usize,
        max_batch_size in 1..4u32,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(direct, implicit, instances, max_batch_size);
        for step in steps {
            match step {
                Step::Send { id, start, end, value, wide } => world.send(id, start, end, value, wide),
                Step::Run { instance, outcome } => drop(world.run(instance % instances, outcome)),
                Step::Cancel(index) => world.cancel(index),
                Step::Pass(time) => {
                    world.now += time;
                    world.bench.pass(time);
                }
                Step::Reap => drop(world.bench.reap()),
            }
        }
        world.finish(instances);
    }
}

/// What a test does to requests of iterative sequences.
#[derive(Clone, Debug)]
enum Iteration {
    Send { steps: usize },
    Run { outcome: Outcome },
    Cancel(usize),
}

fn iteration() -> impl Strategy<Value = Iteration> {
    prop_oneof![
        4 => (1..5usize).prop_map(|steps| Iteration::Send { steps }),
        6 => Just(Iteration::Run { outcome: Outcome::Success }),
        1 => Just(Iteration::Run { outcome: Outcome::Failure }),
        1 => Just(Iteration::Run { outcome: Outcome::Lost }),
        1 => (0..30usize).prop_map(Iteration::Cancel),
    ]
}

struct Iterated {
    receiver: Option<ResponseReceiver>,
    wanted: usize,
    done: usize,
    /// A client hung up, or the instance was lost: it may end at any time.
    uncertain: bool,
}

/// Executes a batch: each request is answered after as many steps as it wants.
fn iterate(bench: &Bench, sent: &mut [Iterated], outcome: Outcome) -> bool {
    let mut batch = bench.pull(0);
    let any = !batch.is_empty();
    if any && outcome == Outcome::Lost {
        bench.batcher.instance_lost(0);
        for request in sent.iter_mut() {
            request.uncertain |= request.done > 0;
        }
    }
    let mut again = Batch::new();
    for mut request in batch.drain(..).filter(|request| !request.is_null()) {
        let known = &mut sent[number(&request, 0) as usize];
        assert_eq!(number(&request, START) == 1, known.done == 0, "only the first step starts");
        known.done += 1;
        assert!(known.done <= known.wanted);
        if outcome != Outcome::Success {
            known.uncertain = true;
            request.fail(Error::internal("as the test wants"), FailureReason::Backend);
        } else if known.done < known.wanted {
            request.reschedule();
            again.push(request);
        } else {
            let steps = known.done as i32;
            answer(request, steps);
        }
    }
    bench.batcher.executed(&mut again);
    any
}

proptest! {
    #[test]
    fn iterative_requests_are_executed_as_often_as_they_want(
        direct: bool,
        steps in prop::collection::vec(iteration(), 1..80),
    ) {
        let strategy = if direct { "direct { }" } else { "oldest { max_candidate_sequences: 3 }" };
        let policy = policy(2, &format!("{strategy} iterative_sequence: true {CONTROLS}"));
        let bench = Bench::new(policy, 1);
        let mut sent: Vec<Iterated> = Vec::new();
        for step in steps {
            match step {
                Iteration::Send { steps } => {
                    let (request, receiver) = bench.request(None, sent.len() as i32);
                    bench.push(request).unwrap();
                    let receiver = Some(receiver);
                    sent.push(Iterated { receiver, wanted: steps, done: 0, uncertain: false });
                }
                Iteration::Run { outcome } => drop(iterate(&bench, &mut sent, outcome)),
                Iteration::Cancel(index) => {
                    if let Some(request) = sent.get_mut(index) {
                        request.receiver = None;
                        request.uncertain = true;
                    }
                }
            }
        }
        while iterate(&bench, &mut sent, Outcome::Success) {}
        prop_assert_eq!((bench.batcher.pending(), bench.reap()), (0, None));
        for request in sent {
            let Some(receiver) = request.receiver else { continue };
            match answered(receiver).expect("an answer") {
                Ok(steps) => prop_assert_eq!(steps as usize, request.wanted),
                Err(_) => prop_assert!(request.uncertain),
            }
        }
    }
}

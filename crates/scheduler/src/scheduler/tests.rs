//! Instances on their threads, with backends that answer, fail, forget and panic.

mod begun;
mod deferred_wake;
mod inline_execution;
mod late;
mod lost;
mod many_threads;
mod parked;
mod second_instance;
mod stands_aside;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hippocamp_backend::{
    Batch, Delivery, Device, Event, ExecutionTimes, FailureReason, InstanceSpec, ModelInstance, NewInstance,
    Observers, Outlet, Response, ResponseSender, ResponseSink,
};
use hippocamp_model_config::{Interface, ModelConfig};
use hippocamp_statistics::ModelStatistics;
use proptest::prelude::*;

use super::*;
use crate::kit::{Like, block_on, id, interface};
use crate::{BatchPolicy, Cores, LevelPolicy, QueuePolicies};

const MAX: usize = 4;

/// What an instance does with a request, by its id.
#[derive(Clone, Copy, Debug)]
enum Does {
    Succeed,
    Fail,
    Forget,
    /// With the whole batch.
    Panic,
}

#[derive(Debug)]
struct Script(Vec<Does>);

impl Model for Script {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(Script(self.0.clone())))
    }
}

impl ModelInstance for Script {
    fn execute(&mut self, batch: &mut Batch) {
        let size: usize = batch.iter().map(|r| r.batch_size).sum();
        if let Some(first) = batch.first() {
            first.response.executed(size, &ExecutionTimes::now());
        }
        for request in std::mem::take(batch) {
            match self.0[id(&request)] {
                Does::Succeed => request.succeed(Response::default(), &ExecutionTimes::now()),
                Does::Fail => request.fail(Error::internal("told to"), FailureReason::Backend),
                Does::Forget => {}
                Does::Panic => panic!("told to"),
            }
        }
    }
}

/// Notes whose last event came, in the order in which they came.
#[derive(Debug)]
struct Note {
    id: usize,
    cancelled: Arc<AtomicBool>,
    answered: Arc<Mutex<Vec<usize>>>,
}

impl ResponseSink for Note {
    fn deliver(&mut self, event: Event) {
        assert!(event.is_last());
        self.answered.lock().unwrap().push(self.id);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }
}

fn plans(count: usize, limiter: Option<&Arc<crate::RateLimiter>>) -> Vec<InstancePlan> {
    let demand = crate::Demand {
        resources: vec![crate::ResourceDemand { name: "R".to_owned(), count: 1, global: true }],
        ..crate::Demand::default()
    };
    let mut registered = limiter.map(|limiter| limiter.register(&vec![demand; count]).unwrap().into_iter());
    let plan = |index| InstancePlan {
        spec: InstanceSpec {
            name: format!("script_{index}"),
            index,
            device: Device::Cpu,
            config: Arc::new(ModelConfig::default()),
            interface: Arc::new(Interface::default()),
        },
        cores: Cores::default(),
        limited: registered.as_mut().and_then(|all| all.next().flatten()),
        stands_aside: None,
    };
    (0..count).map(plan).collect()
}

#[derive(Clone, Debug)]
struct Sent {
    batch: usize,
    does: Does,
    cancels: bool,
    timeout: Option<Duration>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let does = prop_oneof![
        12 => Just(Does::Succeed),
        2 => Just(Does::Fail),
        2 => Just(Does::Forget),
        1 => Just(Does::Panic),
    ];
    let timeout = prop_oneof![3 => Just(None), 1 => Just(Some(Duration::from_micros(1)))];
    (1..=MAX, does, prop::bool::weighted(0.15), timeout).prop_map(|(batch, does, cancels, timeout)| Sent {
        batch,
        does,
        cancels,
        timeout,
    })
}

fn settings(preserve_ordering: bool, delay: Duration, max_queue_size: Option<usize>) -> QueueSettings {
    let default = LevelPolicy { allow_timeout_override: true, max_queue_size, ..LevelPolicy::default() };
    QueueSettings {
        batching: BatchPolicy::dynamic(MAX, vec![MAX], delay, &interface(MAX as u32)),
        policies: QueuePolicies { default, ..QueuePolicies::default() },
        preserve_ordering,
        hold: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_request_is_answered_once_whatever_the_instances_do(
        instances in 1usize..4,
        ordered in any::<bool>(),
        limited in any::<bool>(),
        delay in 0u64..200,
        max_queue_size in prop::option::of(1usize..20),
        requests in prop::collection::vec(sent(), 0..80),
    ) {
        let model: Arc<dyn Model> = Arc::new(Script(requests.iter().map(|sent| sent.does).collect()));
        let limiter = limited.then(|| crate::RateLimiter::new(vec![]));
        let settings = settings(ordered, Duration::from_micros(delay), max_queue_size);
        let (scheduler, stopped) =
            Scheduler::start(&model, plans(instances, limiter.as_ref()), settings).unwrap();
        let statistics = Arc::new(ModelStatistics::default());
        let answered = Arc::new(Mutex::new(Vec::new()));
        for (id, sent) in requests.iter().enumerate() {
            let like = Like { id, batch: sent.batch, timeout: sent.timeout, ..Like::default() };
            let (mut request, _) = like.make();
            let cancelled = Arc::new(AtomicBool::new(false));
            let note = Note { id, cancelled: Arc::clone(&cancelled), answered: Arc::clone(&answered) };
            let outlet = Outlet::to_sink(Delivery::Once, Box::new(note));
            request.response = ResponseSender::new(outlet, request.queued, Observers::counting(&statistics));
            scheduler.enqueue(request).unwrap();
            cancelled.store(sent.cancels, Ordering::SeqCst);
        }
        drop(scheduler);
        block_on(stopped.wait());
        let mut answered = std::mem::take(&mut *answered.lock().unwrap());
        if ordered && max_queue_size.is_none() && requests.iter().all(|sent| sent.timeout.is_none() && !sent.cancels) {
            prop_assert!(answered.is_sorted(), "{:?}", answered);
        }
        answered.sort_unstable();
        prop_assert_eq!(answered, (0..requests.len()).collect::<Vec<_>>());
        let counters = statistics.snapshot();
        prop_assert_eq!(counters.success.count + counters.fail.count, requests.len() as u64);
        prop_assert_eq!(counters.failures.iter().sum::<u64>(), counters.fail.count);
        prop_assert!(counters.batches.keys().all(|size| (1..=MAX as u64).contains(size)));
    }
}

/// Executes when it is told to, and tells how many requests it got.
#[derive(Debug)]
struct Gate {
    started: std::sync::mpsc::Sender<usize>,
    open: Arc<Mutex<std::sync::mpsc::Receiver<()>>>,
}

impl Model for Gate {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(Gate { started: self.started.clone(), open: Arc::clone(&self.open) }))
    }
}

impl ModelInstance for Gate {
    fn execute(&mut self, batch: &mut Batch) {
        self.started.send(batch.len()).unwrap();
        self.open.lock().unwrap().recv().unwrap();
        for request in batch.drain(..) {
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }
}

/// A model of two instances that need the same resource.
#[test]
fn who_gives_up_while_the_instance_waits_for_resources_is_not_executed() {
    let (started, executions) = std::sync::mpsc::channel();
    let (open, gate) = std::sync::mpsc::channel();
    let model: Arc<dyn Model> = Arc::new(Gate { started, open: Arc::new(Mutex::new(gate)) });
    let limiter = crate::RateLimiter::new(vec![]);
    let (scheduler, stopped) =
        Scheduler::start(&model, plans(2, Some(&limiter)), QueueSettings::single()).unwrap();
    let statistics = Arc::new(ModelStatistics::default());
    let make = || Like { statistics: Arc::clone(&statistics), ..Like::default() }.make();
    let (first, to_first) = make();
    scheduler.enqueue(first).unwrap();
    assert_eq!(executions.recv().unwrap(), 1);
    let (second, to_second) = make();
    scheduler.enqueue(second).unwrap();
    assert_eq!(scheduler.pending(), 1, "it waits in the queue until there are resources");
    drop(to_second);
    open.send(()).unwrap();
    block_on(to_first.only()).unwrap();
    let (third, to_third) = make();
    scheduler.enqueue(third).unwrap();
    assert_eq!(executions.recv().unwrap(), 1);
    open.send(()).unwrap();
    block_on(to_third.only()).unwrap();
    drop(scheduler);
    block_on(stopped.wait());
    let counters = statistics.snapshot();
    assert_eq!((counters.success.count, counters.failures[FailureReason::Canceled as usize]), (2, 1));
}

#[test]
fn a_batch_grows_until_there_are_resources_for_it() {
    let (started, executions) = std::sync::mpsc::channel();
    let (open, gate) = std::sync::mpsc::channel();
    let model: Arc<dyn Model> = Arc::new(Gate { started, open: Arc::new(Mutex::new(gate)) });
    let limiter = crate::RateLimiter::new(vec![]);
    let settings = settings(false, Duration::ZERO, None);
    let (scheduler, stopped) = Scheduler::start(&model, plans(3, Some(&limiter)), settings).unwrap();
    let mut receivers = Vec::new();
    let mut send = || {
        let (request, receiver) = Like::default().make();
        scheduler.enqueue(request).unwrap();
        receivers.push(receiver);
    };
    send();
    assert_eq!(executions.recv().unwrap(), 1);
    // Two instances are free, and could take these at once if they had what the first one has.
    (0..=MAX).for_each(|_| send());
    for size in [MAX, 1] {
        open.send(()).unwrap();
        assert_eq!(executions.recv().unwrap(), size);
    }
    open.send(()).unwrap();
    drop(scheduler);
    block_on(stopped.wait());
    for receiver in receivers {
        block_on(receiver.only()).unwrap();
    }
}

#[test]
fn the_clock_holds_no_scheduler() {
    let model: Arc<dyn Model> = Arc::new(Script(vec![Does::Succeed]));
    let (scheduler, stopped) =
        Scheduler::start(&model, plans(1, None), settings(false, Duration::ZERO, None)).unwrap();
    let (request, receiver) = Like { timeout: Some(Duration::from_hours(1)), ..Like::default() }.make();
    scheduler.enqueue(request).unwrap();
    block_on(receiver.only()).unwrap();
    let batcher = Arc::downgrade(&scheduler.batcher);
    drop(scheduler);
    block_on(stopped.wait());
    assert_eq!(Arc::strong_count(&model), 1);
    assert!(batcher.upgrade().is_none());
}

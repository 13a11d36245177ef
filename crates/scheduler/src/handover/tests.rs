//! Handover of instances to other settings while requests come and wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use hippocamp_backend::{
    Batch, Delivery, Device, Error, Event, ExecutionTimes, InstanceSpec, ModelInstance, NewInstance, Outlet,
    Request, Response, ResponseSender, ResponseSink,
};
use hippocamp_model_config::{Interface, ModelConfig};
use parking_lot::{Condvar, RwLock};
use proptest::prelude::*;

use super::*;
use crate::kit::{Like, block_on};
use crate::{BatchPolicy, Cores, LevelPolicy, QueuePolicies};

/// Counts its instances, and answers with success.
#[derive(Debug, Default)]
struct Counting {
    made: AtomicUsize,
    /// Of those that were made.
    alive: Arc<AtomicUsize>,
    /// The indices of instances that are not to be made.
    refused: Vec<usize>,
    /// Whether instances may execute inline.
    movable: bool,
    gate: Arc<Gate>,
}

impl Counting {
    fn instance(&self, spec: &InstanceSpec) -> Result<Counted> {
        if self.refused.contains(&spec.index) {
            return Err(Error::internal("told to fail"));
        }
        self.made.fetch_add(1, Ordering::SeqCst);
        self.alive.fetch_add(1, Ordering::SeqCst);
        Ok(Counted(Arc::clone(&self.alive), Arc::clone(&self.gate)))
    }
}

/// Executions wait while it is shut.
#[derive(Debug, Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut shut = self.shut.lock();
        while *shut {
            self.opened.wait(&mut shut);
        }
    }

    fn set(&self, shut: bool) {
        *self.shut.lock() = shut;
        self.opened.notify_all();
    }
}

struct Counted(Arc<AtomicUsize>, Arc<Gate>);

impl Model for Counting {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        let instance = self.instance(spec)?;
        Ok(if self.movable { NewInstance::movable(instance) } else { NewInstance::bound(instance) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ModelInstance for Counted {
    fn execute(&mut self, batch: &mut Batch) {
        self.1.pass();
        for request in batch.drain(..) {
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }
}

/// Notes each success by the request's id.
#[derive(Debug)]
struct Note(usize, Arc<Mutex<Vec<usize>>>);

impl ResponseSink for Note {
    fn deliver(&mut self, event: Event) {
        assert!(matches!(event, Event::Response { last: true, .. }), "{event:?}");
        self.1.lock().push(self.0);
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

fn request(id: usize, answered: &Arc<Mutex<Vec<usize>>>) -> Request {
    let (mut request, _) = Like { id, ..Like::default() }.make();
    let outlet = Outlet::to_sink(Delivery::Once, Box::new(Note(id, Arc::clone(answered))));
    request.response = ResponseSender::new(outlet, request.queued, Arc::default());
    request
}

fn plans(devices: &[Device]) -> Vec<InstancePlan> {
    let plan = |(index, device): (usize, &Device)| InstancePlan {
        spec: InstanceSpec {
            name: format!("m_{index}"),
            index,
            device: *device,
            config: Arc::new(ModelConfig::default()),
            interface: Arc::new(Interface::default()),
        },
        cores: Cores::default(),
        limited: None,
        stands_aside: None,
    };
    devices.iter().enumerate().map(plan).collect()
}

fn cpus(count: usize) -> Vec<InstancePlan> {
    plans(&vec![Device::Cpu; count])
}

fn settings(ordered: bool, timed: bool) -> QueueSettings {
    let level =
        LevelPolicy { default_timeout: timed.then_some(Duration::from_mins(10)), ..LevelPolicy::default() };
    QueueSettings {
        batching: BatchPolicy::single(),
        policies: QueuePolicies { default: level, ..QueuePolicies::default() },
        preserve_ordering: ordered,
        hold: 0,
    }
}

/// A model, and a scheduler of so many instances.
fn start(counting: Counting, count: usize) -> (Arc<Counting>, Arc<dyn Model>, Arc<Scheduler>, Stopped) {
    let counting = Arc::new(counting);
    let model: Arc<dyn Model> = Arc::clone(&counting) as _;
    let (scheduler, stopped) = Scheduler::start(&model, cpus(count), QueueSettings::single()).unwrap();
    (counting, model, Arc::new(scheduler), stopped)
}

#[test]
fn only_missing_instances_are_made_and_only_surplus_ones_end() {
    let (counting, model, first, ended) = start(Counting::default(), 2);
    let (second, second_ended) =
        Scheduler::prepare_handover(&first, &model, cpus(3), QueueSettings::single()).unwrap();
    second.take_over();
    block_on(ended.wait());
    assert_eq!(counting.made.load(Ordering::SeqCst), 3);
    assert_eq!(counting.alive.load(Ordering::SeqCst), 3);
    let (third, third_ended) =
        Scheduler::prepare_handover(&second, &model, cpus(1), QueueSettings::single()).unwrap();
    third.take_over();
    block_on(second_ended.wait());
    assert_eq!(counting.made.load(Ordering::SeqCst), 3);
    assert_eq!(counting.alive.load(Ordering::SeqCst), 1);
    drop((first, second, third));
    block_on(third_ended.wait());
    assert_eq!(counting.alive.load(Ordering::SeqCst), 0);
}

#[test]
fn an_instance_goes_on_only_where_it_is() {
    let (counting, model, first, ended) = start(Counting::default(), 2);
    let wanted = plans(&[Device::Gpu(0), Device::Cpu]);
    let (second, _) = Scheduler::prepare_handover(&first, &model, wanted, QueueSettings::single()).unwrap();
    second.take_over();
    block_on(ended.wait());
    assert_eq!(counting.made.load(Ordering::SeqCst), 3, "the one of the GPU");
    assert_eq!(counting.alive.load(Ordering::SeqCst), 2);
}

#[test]
fn what_fails_to_begin_changes_nothing() {
    let (counting, model, first, ended) = start(Counting { refused: vec![2], ..Counting::default() }, 1);
    let error = Scheduler::prepare_handover(&first, &model, cpus(3), QueueSettings::single()).unwrap_err();
    assert_eq!(error.message(), "told to fail");
    assert_eq!(counting.alive.load(Ordering::SeqCst), 1, "what was made for it has ended");
    let (prepared, prepared_ended) =
        Scheduler::prepare_handover(&first, &model, cpus(2), QueueSettings::single()).unwrap();
    drop(prepared);
    block_on(prepared_ended.wait());
    let answered = Arc::default();
    first.enqueue(request(7, &answered)).unwrap();
    drop(first);
    block_on(ended.wait());
    assert_eq!(*answered.lock(), [7]);
    assert_eq!(counting.alive.load(Ordering::SeqCst), 0);
}

#[test]
fn what_waits_is_executed_before_and_what_comes_late_is_handed_on() {
    let (counting, model, first, _ended) = start(Counting::default(), 1);
    counting.gate.set(true);
    let answered = Arc::default();
    for id in 0..5 {
        first.enqueue(request(id, &answered)).unwrap();
    }
    let (second, _) = Scheduler::prepare_handover(&first, &model, cpus(1), QueueSettings::single()).unwrap();
    second.take_over();
    second.enqueue(request(5, &answered)).unwrap();
    first.enqueue(request(6, &answered)).unwrap();
    assert_eq!(second.pending(), 2, "the one to the old is there, too");
    // Two at once: the instance passes through the one in the middle.
    let (third, ended) =
        Scheduler::prepare_handover(&second, &model, cpus(1), QueueSettings::single()).unwrap();
    third.take_over();
    first.enqueue(request(7, &answered)).unwrap();
    counting.gate.set(false);
    drop((first, second, third));
    block_on(ended.wait());
    assert_eq!(*answered.lock(), (0..8).collect::<Vec<_>>());
    assert_eq!(counting.made.load(Ordering::SeqCst), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Clients on several threads, some with a scheduler that was replaced long ago, while settings and counts change.
    #[test]
    fn each_request_is_answered_exactly_once(
        edits in prop::collection::vec((1..5usize, any::<bool>(), any::<bool>()), 1..12),
        clients in 1..4usize,
        movable: bool,
    ) {
        let (counting, model, first, ended) = start(Counting { movable, ..Counting::default() }, 2);
        let current = RwLock::new(Arc::clone(&first));
        let mut stopped = vec![ended];
        let answered: Arc<Mutex<Vec<usize>>> = Arc::default();
        let sent = AtomicUsize::new(0);
        let done = AtomicUsize::new(0);
        thread::scope(|scope| {
            for client in 0..clients {
                let (current, first, answered) = (&current, &first, &answered);
                let (sent, done) = (&sent, &done);
                scope.spawn(move || {
                    while done.load(Ordering::SeqCst) == 0 {
                        let id = sent.fetch_add(1, Ordering::SeqCst);
                        let held = Arc::clone(&current.read());
                        let scheduler = if client == 0 { first } else { &held };
                        drop(scheduler.execute_or_enqueue(request(id, answered)).unwrap());
                        while answered.lock().len() + 64 < sent.load(Ordering::SeqCst) {
                            thread::yield_now();
                        }
                    }
                });
            }
            for (count, ordered, timed) in &edits {
                let before = sent.load(Ordering::SeqCst);
                let old = Arc::clone(&current.read());
                let (next, ended) = Scheduler::prepare_handover(&old, &model, cpus(*count), settings(*ordered, *timed)).unwrap();
                next.take_over();
                *current.write() = next;
                stopped.push(ended);
                while sent.load(Ordering::SeqCst) < before + 8 {
                    thread::yield_now();
                }
            }
            done.store(1, Ordering::SeqCst);
        });
        drop((first, current));
        for stopped in stopped {
            block_on(stopped.wait());
        }
        let mut answered = answered.lock().clone();
        answered.sort_unstable();
        prop_assert_eq!(answered, (0..sent.load(Ordering::SeqCst)).collect::<Vec<_>>());
        prop_assert_eq!(counting.alive.load(Ordering::SeqCst), 0);
        let mut counts = [2].into_iter().chain(edits.iter().map(|(count, ..)| *count));
        let mut before = counts.next().unwrap_or(0);
        let mut made = before;
        for count in counts {
            made += count.saturating_sub(before);
            before = count;
        }
        prop_assert_eq!(counting.made.load(Ordering::SeqCst), made);
    }

    /// Order is kept from one queue to the next, whatever the instances do.
    #[test]
    fn responses_keep_their_order_across_schedulers(counts in prop::collection::vec(1..4usize, 2..8)) {
        let (counting, model, first, _ended) = start(Counting::default(), 1);
        let (mut current, _) = Scheduler::prepare_handover(&first, &model, cpus(2), settings(true, false)).unwrap();
        current.take_over();
        let answered = Arc::default();
        let mut next_id = 0;
        let mut last = None;
        let mut enqueue = |scheduler: &Scheduler, count: usize| {
            for id in next_id..next_id + count {
                scheduler.enqueue(request(id, &answered)).unwrap();
            }
            next_id += count;
        };
        for count in counts {
            // While it is shut, instances that were made anew are idle, and the others have something to do before.
            counting.gate.set(true);
            enqueue(&current, 20);
            let (next, ended) = Scheduler::prepare_handover(&current, &model, cpus(count), settings(true, false)).unwrap();
            next.take_over();
            enqueue(&next, 5);
            counting.gate.set(false);
            current = next;
            last = Some(ended);
        }
        drop((first, current));
        block_on(last.unwrap().wait());
        let answered = answered.lock().clone();
        prop_assert_eq!(answered, (0..next_id).collect::<Vec<_>>());
    }
}

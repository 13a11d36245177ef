//! Many threads that accept requests for the same few instances.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use hippocamp_backend::{MovableInstance, ResponseReceiver};
use hippocamp_per_thread::parts;

use super::*;

/// As many as there are cores on a machine for which this is made.
const THREADS: usize = 8;

/// Counts the executions that run at the same time, and panics over requests of some ids.
#[derive(Clone, Debug, Default)]
struct Concurrent {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    executed: Arc<Mutex<Vec<usize>>>,
    panics_every: Option<usize>,
    /// It has extra instances for threads that meet.
    has_extra: bool,
    /// Counts the instances that are there, the model among them.
    there: Arc<()>,
}

impl Model for Concurrent {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::movable(self.clone()))
    }

    fn extra_instance(&self, _: &InstanceSpec) -> Option<MovableInstance> {
        self.has_extra.then(|| Box::new(self.clone()) as MovableInstance)
    }
}

impl ModelInstance for Concurrent {
    fn execute(&mut self, batch: &mut Batch) {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let ids: Vec<_> = batch.iter().map(id).collect();
        self.executed.lock().unwrap().extend(&ids);
        // Somebody else gets a turn in the middle of some executions.
        if ids.iter().any(|id| id % 7 == 0) {
            thread::yield_now();
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        let panics = |id: &usize| self.panics_every.is_some_and(|every| id.is_multiple_of(every));
        assert!(!ids.iter().any(panics), "told to");
        for request in batch.drain(..) {
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }
}

/// What a thread does with its requests.
#[derive(Clone, Debug)]
struct Client {
    requests: usize,
    /// How many of its requests are on the way at the same time.
    concurrency: usize,
    /// Every so many requests it does not accept the task of executing.
    queues_every: usize,
    /// Every so many requests it is gone before the answer.
    leaves_every: usize,
}

fn client() -> impl Strategy<Value = Client> {
    (50usize..200, 1usize..6, 2usize..20, 5usize..50).prop_map(
        |(requests, concurrency, queues_every, leaves_every)| Client {
            requests,
            concurrency,
            queues_every,
            leaves_every,
        },
    )
}

impl Client {
    /// Sends its requests, whose ids begin at `from`, and waits for each answer. Returns the ids that it left.
    fn run(&self, scheduler: &Scheduler, statistics: &Arc<ModelStatistics>, from: usize) -> Vec<usize> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let wait = |receiver: ResponseReceiver| {
            let answer = async { tokio::time::timeout(Duration::from_mins(1), receiver.only()).await };
            runtime.block_on(answer).expect("a request was forgotten")
        };
        let mut sent = std::collections::VecDeque::new();
        let mut left = Vec::new();
        for n in 0..self.requests {
            let id = from + n;
            let (request, receiver) =
                Like { id, statistics: Arc::clone(statistics), ..Like::default() }.make();
            if n % self.queues_every == 0 {
                scheduler.enqueue(request).unwrap();
            } else {
                drop(scheduler.execute_or_enqueue(request).unwrap());
            }
            if n % self.leaves_every == 0 {
                left.push(id);
            } else {
                sent.push_back(receiver);
            }
            if sent.len() >= self.concurrency {
                drop(sent.pop_front().map(wait));
            }
        }
        for receiver in sent {
            drop(wait(receiver));
        }
        left
    }
}

/// Has all clients send their requests at the same time, and looks what became of these.
fn execute_all(
    model: &Concurrent,
    instances: usize,
    most: usize,
    settings: QueueSettings,
    clients: &[Client],
) -> Result<(), TestCaseError> {
    let shared: Arc<dyn Model> = Arc::new(model.clone());
    let (scheduler, stopped) = Scheduler::start(&shared, plans(instances, None), settings).unwrap();
    let statistics = Arc::new(ModelStatistics::default());
    let left: Vec<usize> = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter()
            .enumerate()
            .map(|(n, client)| {
                let (scheduler, statistics) = (&scheduler, &statistics);
                scope.spawn(move || client.run(scheduler, statistics, n * 1000))
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let sent: usize = clients.iter().map(|client| client.requests).sum();
    drop((scheduler, shared));
    block_on(stopped.wait());
    prop_assert_eq!(
        Arc::strong_count(&model.there),
        1,
        "every instance has gone before the end is signalled"
    );
    prop_assert!(model.most.load(Ordering::SeqCst) <= most);
    let mut executed = model.executed.lock().unwrap().clone();
    executed.sort_unstable();
    let mut expected: Vec<usize> =
        clients.iter().enumerate().flat_map(|(n, client)| n * 1000..n * 1000 + client.requests).collect();
    // Nobody may have executed those whose client was gone.
    expected.retain(|id| !left.contains(id) || executed.binary_search(id).is_ok());
    prop_assert_eq!(executed, expected);
    let counters = statistics.snapshot();
    prop_assert_eq!(counters.success.count + counters.fail.count, sent as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_request_is_executed_once_and_no_more_at_once_than_there_may_be_instances(
        instances in 1usize..4,
        panics_every in prop::option::of(20usize..200),
        has_extra: bool,
        clients in prop::collection::vec(client(), THREADS),
    ) {
        let model = Concurrent { panics_every, has_extra, ..Concurrent::default() };
        let most = if has_extra { instances + parts() } else { instances };
        execute_all(&model, instances, most, QueueSettings::single(), &clients)?;
    }

    #[test]
    fn every_request_of_a_batch_is_executed_once_and_by_two_at_once_at_most_where_there_is_one_instance(
        instances in 1usize..3,
        panics_every in prop::option::of(20usize..200),
        has_extra: bool,
        clients in prop::collection::vec(client(), THREADS),
    ) {
        let model = Concurrent { panics_every, has_extra, ..Concurrent::default() };
        let most = if has_extra { 2 } else { instances };
        execute_all(&model, instances, most, settings(false, Duration::ZERO, None), &clients)?;
    }

    #[test]
    fn each_thread_gets_its_responses_in_order_where_order_is_preserved(
        instances in 1usize..4,
        delay in 0u64..50,
        counts in prop::collection::vec(20usize..100, THREADS),
    ) {
        let model: Arc<dyn Model> = Arc::new(Concurrent::default());
        let settings = settings(true, Duration::from_micros(delay), None);
        let (scheduler, stopped) = Scheduler::start(&model, plans(instances, None), settings).unwrap();
        let answered = Arc::new(Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for (n, count) in counts.iter().enumerate() {
                let (scheduler, answered) = (&scheduler, &answered);
                scope.spawn(move || {
                    for id in n * 1000..n * 1000 + count {
                        let (mut request, _) = Like { id, ..Like::default() }.make();
                        let note = Note { id, cancelled: Arc::default(), answered: Arc::clone(answered) };
                        let outlet = Outlet::to_sink(Delivery::Once, Box::new(note));
                        request.response = ResponseSender::new(outlet, request.queued, Arc::default());
                        drop(scheduler.execute_or_enqueue(request).unwrap());
                    }
                });
            }
        });
        drop(scheduler);
        block_on(stopped.wait());
        let answered = answered.lock().unwrap().clone();
        prop_assert_eq!(answered.len(), counts.iter().sum::<usize>());
        for n in 0..THREADS {
            let of_thread: Vec<_> = answered.iter().filter(|id| *id / 1000 == n).collect();
            prop_assert!(of_thread.is_sorted(), "{:?}", of_thread);
        }
    }
}

//! Instances that begin a batch before they have finished the one before.

use std::sync::mpsc::{Receiver, Sender, channel};

use hippocamp_backend::{Code, ResponseReceiver};

use super::*;

/// What an instance was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Begin(Vec<usize>),
    Execute(Vec<usize>),
    Finish,
}

/// A model whose instances tell what they are asked to do, and wait in each call until the test lets them go on.
#[derive(Debug)]
struct Beginning {
    calls: Mutex<Sender<Call>>,
    go: Arc<Mutex<Receiver<()>>>,
}

struct BeginningInstance {
    calls: Sender<Call>,
    go: Arc<Mutex<Receiver<()>>>,
    begun: Batch,
}

impl Model for Beginning {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        let (calls, go) = (self.calls.lock().unwrap().clone(), Arc::clone(&self.go));
        Ok(NewInstance::bound(BeginningInstance { calls, go, begun: Batch::new() }))
    }
}

impl BeginningInstance {
    fn tell(&self, call: Call) {
        self.calls.send(call).unwrap();
        self.go.lock().unwrap().recv().unwrap();
    }
}

/// The requests whose id is this one end the instance.
const PANICS: usize = 99;

impl ModelInstance for BeginningInstance {
    fn execute(&mut self, batch: &mut Batch) {
        self.tell(Call::Execute(batch.iter().map(id).collect()));
        succeed(batch);
    }

    fn begin(&mut self, batch: &mut Batch) {
        let ids: Vec<usize> = batch.iter().map(id).collect();
        self.tell(Call::Begin(ids.clone()));
        assert!(!ids.contains(&PANICS), "told to");
        let mut before = std::mem::replace(&mut self.begun, std::mem::take(batch));
        succeed(&mut before);
    }

    fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    fn finish(&mut self) {
        self.tell(Call::Finish);
        succeed(&mut self.begun);
    }
}

fn succeed(batch: &mut Batch) {
    for request in batch.drain(..) {
        request.succeed(Response::default(), &ExecutionTimes::now());
    }
}

struct Bench {
    scheduler: Scheduler,
    stopped: Stopped,
    calls: Receiver<Call>,
    go: Sender<()>,
}

impl Bench {
    fn start(instances: usize, limiter: Option<&Arc<crate::RateLimiter>>) -> Bench {
        let ((sender, calls), (go, going)) = (channel(), channel());
        let model = Beginning { calls: Mutex::new(sender), go: Arc::new(Mutex::new(going)) };
        let model: Arc<dyn Model> = Arc::new(model);
        let plans = plans(instances, limiter);
        let (scheduler, stopped) = Scheduler::start(&model, plans, QueueSettings::single()).unwrap();
        Bench { scheduler, stopped, calls, go }
    }

    fn send(&self, id: usize) -> ResponseReceiver {
        let (request, receiver) = Like { id, ..Like::default() }.make();
        self.scheduler.enqueue(request).unwrap();
        receiver
    }

    fn call(&self) -> Call {
        self.calls.recv().unwrap()
    }

    fn go_on(&self) {
        self.go.send(()).unwrap();
    }

    /// The next calls, each of which returns once it has been told.
    fn calls<const N: usize>(&self) -> [Call; N] {
        std::array::from_fn(|_| {
            let call = self.call();
            self.go_on();
            call
        })
    }
}

fn answered(receivers: Vec<ResponseReceiver>) -> Vec<Result<(), Code>> {
    let answers = receivers.into_iter().map(|receiver| block_on(receiver.only()));
    answers.map(|answer| answer.map(drop).map_err(|error| error.code())).collect()
}

#[test]
fn what_waits_is_begun_behind_what_is_executed() {
    let bench = Bench::start(1, None);
    let mut receivers = vec![bench.send(0)];
    assert_eq!(bench.call(), Call::Begin(vec![0]));
    receivers.extend([bench.send(1), bench.send(2)]);
    bench.go_on();
    let begin = |id| Call::Begin(vec![id]);
    assert_eq!(bench.calls(), [begin(1), begin(2), Call::Finish]);
    assert_eq!(answered(receivers), [Ok(()); 3]);
    // One by one.
    let receiver = bench.send(3);
    assert_eq!(bench.calls(), [begin(3), Call::Finish]);
    assert_eq!(answered(vec![receiver]), [Ok(())]);
}

#[test]
fn an_instance_finishes_before_it_ends() {
    let bench = Bench::start(1, None);
    let receiver = bench.send(0);
    assert_eq!(bench.call(), Call::Begin(vec![0]));
    drop(bench.scheduler);
    bench.go.send(()).unwrap();
    bench.go.send(()).unwrap();
    block_on(bench.stopped.wait());
    assert_eq!(bench.calls.try_iter().collect::<Vec<_>>(), [Call::Finish]);
    assert_eq!(answered(vec![receiver]), [Ok(())]);
}

#[test]
fn a_panic_ends_what_was_begun_too() {
    let bench = Bench::start(1, None);
    let mut receivers = vec![bench.send(0)];
    assert_eq!(bench.call(), Call::Begin(vec![0]));
    receivers.push(bench.send(PANICS));
    bench.go_on();
    assert_eq!(bench.calls(), [Call::Begin(vec![PANICS])]);
    assert_eq!(answered(receivers), [Err(Code::Internal); 2]);
    // The instance is made anew.
    let receiver = bench.send(1);
    assert_eq!(bench.calls(), [Call::Begin(vec![1]), Call::Finish]);
    assert_eq!(answered(vec![receiver]), [Ok(())]);
}

#[test]
fn a_permit_is_held_until_the_batch_is_complete() {
    let limiter = crate::RateLimiter::new(vec![]);
    let bench = Bench::start(1, Some(&limiter));
    let receivers = vec![bench.send(0), bench.send(1)];
    assert_eq!(bench.calls(), [Call::Execute(vec![0]), Call::Execute(vec![1])]);
    assert_eq!(answered(receivers), [Ok(()); 2]);
}

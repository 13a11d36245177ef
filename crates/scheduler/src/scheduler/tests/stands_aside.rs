//! An instance whose device is lost leaves the requests to the others.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::StandsAside;

/// Counts the requests that each instance has executed.
#[derive(Debug, Default)]
struct Counts(Arc<[AtomicUsize; 2]>);

struct Counting(usize, Arc<[AtomicUsize; 2]>);

impl Model for Counts {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, spec: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::bound(Counting(spec.index, Arc::clone(&self.0))))
    }
}

impl ModelInstance for Counting {
    fn execute(&mut self, batch: &mut Batch) {
        for request in batch.drain(..) {
            self.1[self.0].fetch_add(1, Ordering::SeqCst);
            request.succeed(Response::default(), &ExecutionTimes::now());
        }
    }
}

fn run(aside: [Option<Arc<AtomicBool>>; 2], limiter: Option<&Arc<crate::RateLimiter>>) -> [usize; 2] {
    let counts = Counts::default();
    let executed = Arc::clone(&counts.0);
    let model: Arc<dyn Model> = Arc::new(counts);
    let mut plans = plans(2, limiter);
    for (plan, lost) in plans.iter_mut().zip(aside) {
        plan.stands_aside = lost.map(|lost| StandsAside::when(move || lost.load(Ordering::SeqCst)));
    }
    let settings = settings(false, Duration::ZERO, None);
    let (scheduler, stopped) = Scheduler::start(&model, plans, settings).unwrap();
    let (answered, statistics) = (Arc::default(), Arc::new(ModelStatistics::default()));
    for id in 0..200 {
        let (mut request, _) = Like { id, ..Like::default() }.make();
        let note = Note { id, cancelled: Arc::default(), answered: Arc::clone(&answered) };
        let outlet = Outlet::to_sink(Delivery::Once, Box::new(note));
        request.response = ResponseSender::new(outlet, request.queued, Observers::counting(&statistics));
        scheduler.enqueue(request).unwrap();
    }
    drop(scheduler);
    block_on(stopped.wait());
    assert_eq!(answered.lock().unwrap().len(), 200);
    executed.each_ref().map(|count| count.load(Ordering::SeqCst))
}

#[test]
fn the_others_take_the_requests_of_an_instance_that_stands_aside() {
    let lost = || Some(Arc::new(AtomicBool::new(true)));
    let fine = || Some(Arc::new(AtomicBool::new(false)));
    for limited in [false, true] {
        let limiter = limited.then(|| crate::RateLimiter::new(vec![]));
        assert_eq!(run([lost(), fine()], limiter.as_ref()), [0, 200]);
        assert_eq!(run([None, lost()], limiter.as_ref()), [200, 0]);
        let both = run([fine(), fine()], limiter.as_ref());
        assert_eq!(both[0] + both[1], 200);
    }
}

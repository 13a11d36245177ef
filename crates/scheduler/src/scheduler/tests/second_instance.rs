//! The second instance of a model with dynamic batching.

use std::sync::mpsc;

use hippocamp_backend::MovableInstance;

use super::*;

/// As the gate, but its instances may move, and it has more of them than its config says.
#[derive(Debug)]
struct Movable(Gate);

impl Movable {
    fn instance(&self) -> Gate {
        Gate { started: self.0.started.clone(), open: Arc::clone(&self.0.open) }
    }
}

impl Model for Movable {
    fn complete_config(&self, _: &mut ModelConfig, _: i32) -> Result<()> {
        Ok(())
    }

    fn check_config(&self, _: &ModelConfig) -> Result<()> {
        Ok(())
    }

    fn new_instance(&self, _: &InstanceSpec) -> Result<NewInstance> {
        Ok(NewInstance::movable(self.instance()))
    }

    fn extra_instance(&self, _: &InstanceSpec) -> Option<MovableInstance> {
        Some(Box::new(self.instance()))
    }
}

#[test]
fn an_instance_that_does_not_keep_up_gets_a_second_one_which_ends_with_it() {
    let ((started, starts), (open, opens)) = (mpsc::channel(), mpsc::channel());
    let gate = Gate { started, open: Arc::new(Mutex::new(opens)) };
    let model: Arc<dyn Model> = Arc::new(Movable(gate));
    let (scheduler, stopped) =
        Scheduler::start(&model, plans(1, None), settings(false, Duration::ZERO, None)).unwrap();
    let requests = 20 * MAX;
    let receivers: Vec<_> = (0..requests)
        .map(|id| {
            let (request, receiver) = Like { id, ..Like::default() }.make();
            scheduler.enqueue(request).unwrap();
            receiver
        })
        .collect();
    starts.recv().unwrap();
    for _ in 0..crate::second_instance::OFTEN {
        open.send(()).unwrap();
        starts.recv().unwrap();
    }
    // The first has begun its next batch, which is not let through.
    starts.recv_timeout(Duration::from_mins(1)).expect("nobody else executes");
    for _ in 0..requests {
        open.send(()).unwrap();
    }
    for receiver in receivers {
        block_on(receiver.only()).unwrap();
    }
    drop(scheduler);
    block_on(stopped.wait());
    assert_eq!(Arc::strong_count(&model), 1, "the second one has gone before the end is signalled");
}

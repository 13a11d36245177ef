//! Models whose instances hold prepared plans, on the threads that made them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::ThreadId;

use hippocamp_backend::{Backend, Event, Result, Sequence};
use hippocamp_batching::conformance::{Act, Planned, PlannedBackend};
use hippocamp_core::{
    Delivered, IncomingRequest, InferInput, InferRequest, LoadedModel, OutputPlan, Responses, Then,
};
use hippocamp_device::testing::{TestDriver, Transfers};
use hippocamp_device::{Devices, Driver};

use hippocamp_shm::SharedMemory;
use hippocamp_tensor::DataType;

use crate::kit::{ONE, Server, bytes, chain, numbers, step};

const LIMIT: usize = 1 << 20;

fn server(driver: &Arc<TestDriver>) -> (Server, PlannedBackend) {
    let backend = PlannedBackend::new(driver);
    let devices = Devices::of(Arc::clone(driver) as Arc<dyn Driver>);
    let backends = vec![Arc::new(backend.clone()) as Arc<dyn Backend>];
    (
        Server::with(backends, |settings| {
            (settings.devices, settings.allow_client_shm) = (devices, true);
        }),
        backend,
    )
}

fn config(more: &str) -> String {
    let warm_up = "model_warmup { name: \"w\" batch_size: 3 inputs { key: \"IN\" \
                   value { data_type: TYPE_INT32 dims: 1 zero_data: true } } }";
    format!("backend: \"planned\" max_batch_size: 8 {ONE} {warm_up} {more}")
}

/// The threads of each instance that was made, with what it did.
fn lives(journal: &[Planned]) -> Vec<(ThreadId, Vec<Act>)> {
    let mut alive: BTreeMap<String, usize> = BTreeMap::new();
    let mut lives: Vec<(ThreadId, Vec<Act>)> = Vec::new();
    for Planned { instance, act, thread } in journal {
        if *act == Act::Made {
            alive.insert(instance.clone(), lives.len());
            lives.push((*thread, Vec::new()));
        }
        let life = &mut lives[alive[instance]];
        assert_eq!(life.0, *thread, "{journal:?}");
        life.1.push(*act);
    }
    lives
}

#[tokio::test]
async fn an_instance_is_made_warmed_up_executed_and_dropped_on_one_thread() {
    let driver = TestDriver::new(2, LIMIT);
    let (server, backend) = server(&driver);
    server.write("m", &config("instance_group { count: 2 kind: KIND_GPU }"), Some(1));
    server.load("m").await.unwrap();
    let made = backend.journal();
    assert_eq!(lives(&made).len(), 4, "two on each of two devices");
    for (_, acts) in lives(&made) {
        assert_eq!(acts, [Act::Made, Act::Ran(4)], "the warm-up of three rows runs the plan of four");
    }
    let asked: Vec<_> = (0..40).map(|n| server.ask("m", &[1, 1], &[n]).unwrap()).collect();
    for responses in asked {
        responses.only().await.unwrap();
    }
    server.core.unload("m", false).await.unwrap();
    let lives = lives(&backend.journal());
    assert_eq!(lives.len(), 4, "nothing was made anew");
    assert!(lives.iter().all(|(_, acts)| acts.last() == Some(&Act::Dropped)));
    let mut threads: Vec<_> = lives.iter().map(|(thread, _)| format!("{thread:?}")).collect();
    threads.sort();
    threads.dedup();
    assert_eq!(threads.len(), 4, "each has a thread of its own");
    assert_eq!((driver.device(0).allocated(), driver.device(1).allocated()), (0, 0));
}

#[tokio::test]
async fn an_edit_of_the_scheduling_keeps_instances_and_their_threads() {
    let driver = TestDriver::new(1, LIMIT);
    let (server, backend) = server(&driver);
    server.write("m", &config("instance_group { count: 2 kind: KIND_GPU }"), Some(1));
    server.load("m").await.unwrap();
    for (turn, more) in [
        "instance_group { count: 2 kind: KIND_GPU } dynamic_batching { max_queue_delay_microseconds: 100 }",
        "instance_group { count: 3 kind: KIND_GPU } dynamic_batching { }",
        "instance_group { count: 1 kind: KIND_GPU }",
    ]
    .into_iter()
    .enumerate()
    {
        server.write("m", &config(more), Some(1));
        server.load("m").await.unwrap();
        for n in 0..10 {
            let sum = server.ask("m", &[1, 1], &[n]).unwrap().only().await.unwrap();
            assert_eq!(numbers(&sum.outputs[0].data.to_host().unwrap()), [n + 1], "{turn}");
        }
    }
    server.core.unload("m", false).await.unwrap();
    // `lives` compares the threads. The name of an instance tells it apart: those that are reused keep theirs.
    let made = backend.journal().iter().filter(|planned| planned.act == Act::Made).count();
    assert_eq!(made, 3, "the two of the first config, and a third");
    for planned in backend.journal() {
        let first = backend.journal().into_iter().find(|other| other.instance == planned.instance).unwrap();
        assert_eq!(planned.thread, first.thread);
    }
}

#[tokio::test]
async fn an_edit_that_asks_for_other_batch_sizes_makes_new_plans() {
    let driver = TestDriver::new(1, LIMIT);
    let (server, backend) = server(&driver);
    let group = "instance_group { kind: KIND_GPU }";
    server.write("m", &config(group), Some(1));
    server.load("m").await.unwrap();
    server.write("m", &config(&format!("{group} dynamic_batching {{ preferred_batch_size: 6 }}")), Some(1));
    server.load("m").await.unwrap();
    server.ask("m", &[3, 1], &[1, 2, 3]).unwrap().only().await.unwrap();
    let acts: Vec<Act> = backend.journal().into_iter().map(|planned| planned.act).collect();
    assert_eq!(acts.iter().filter(|act| **act == Act::Made).count(), 2);
    assert!(acts.contains(&Act::Ran(4)) && acts.contains(&Act::Ran(6)), "{acts:?}");
}

#[tokio::test]
async fn an_ensemble_on_a_device_stays_there() {
    let driver = TestDriver::new(2, LIMIT);
    let (server, _) = server(&driver);
    let on = |gpus: &str| config(&format!("instance_group {{ kind: KIND_GPU gpus: [{gpus}] }}"));
    for (name, gpus) in [("a", "0"), ("b", "0"), ("far", "1"), ("both", "0, 1")] {
        server.write(name, &on(gpus), Some(1));
        server.load(name).await.unwrap();
    }
    let through = |last: &str| {
        let steps =
            [step("a", -1, "IN", "t1"), step("b", -1, "t1", "t2"), step(last, -1, "t2", "OUT")].concat();
        format!("platform: \"ensemble\" max_batch_size: 8 {ONE} ensemble_scheduling {{ {steps} }}")
    };
    for last in ["b", "far", "both"] {
        let name = format!("to_{last}");
        server.write(&name, &through(last), Some(1));
        server.load(&name).await.unwrap();
        let before = [0, 1].map(|id| driver.device(id).transfers());
        let sum = server.ask(&name, &[2, 1], &[1, 2]).unwrap().only().await.unwrap();
        assert_eq!(numbers(&sum.outputs[0].data.to_host().unwrap()), [4, 5]);
        let after = [0, 1].map(|id| driver.device(id).transfers());
        let (from_host, to_host, between) = (0..2).fold((0, 0, 0), |(from, to, between), id| {
            let (now, then): (&Transfers, &Transfers) = (&after[id], &before[id]);
            (
                from + now.from_host - then.from_host,
                to + now.to_host - then.to_host,
                between + now.between - then.between,
            )
        });
        // The client's input and its output; to instances on several devices through pinned memory.
        let expected = match last {
            "b" => (1, 1, 0),
            "far" => (1, 1, 1),
            _ => (2, 2, 0),
        };
        assert_eq!((from_host, to_host, between), expected, "{name}");
    }
}

#[tokio::test]
async fn a_device_without_room_for_an_instance_refuses_the_model_and_says_so() {
    let driver = TestDriver::new(1, 100);
    let (server, backend) = server(&driver);
    server.write("m", &config("instance_group { count: 9 kind: KIND_GPU }"), Some(1));
    let error = server.load("m").await.unwrap_err();
    assert!(
        error.message().contains("Unavailable: model 'm': the memory of device 0 has no room for 32 bytes"),
        "{error:?}"
    );
    assert!(lives(&backend.journal()).iter().all(|(_, acts)| acts.last() == Some(&Act::Dropped)));
    assert_eq!(driver.device(0).allocated(), 0);
}

/// A request whose tensor and output are in regions that a client has registered.
struct InRegions {
    from: &'static str,
    to: &'static str,
}

impl IncomingRequest for InRegions {
    fn sequence(&self) -> Option<&Sequence> {
        None
    }

    fn decode<'a>(
        &'a mut self,
        _: &'a LoadedModel,
        memory: &SharedMemory,
        outputs: &mut OutputPlan,
    ) -> Result<InferRequest<'a>> {
        let data = outputs.shared_input(memory, self.from, 0, 8)?;
        outputs.shared_output(memory, "OUT", self.to, 0, 8)?;
        let input = InferInput { name: "IN", data_type: Some(DataType::Int32), shape: [2, 1].into(), data };
        Ok(InferRequest::new([input].into_iter().collect()))
    }
}

#[tokio::test]
async fn tensors_in_a_clients_memory_on_the_device_never_reach_the_host() {
    let driver = TestDriver::new(1, LIMIT);
    let (server, _) = server(&driver);
    server.write("m", &config("instance_group { kind: KIND_GPU }"), Some(1));
    server.write("twice", &chain(&["m", "m"]).replacen("platform", "max_batch_size: 8 platform", 1), Some(1));
    server.load("m").await.unwrap();
    server.load("twice").await.unwrap();
    let (_, from) = driver.export(0, &bytes(&[1, 2]));
    let (client, to) = driver.export(0, &[0; 8]);
    let memory = server.core.shared_memory();
    memory.register_cuda("from", &from, 0, 8).unwrap();
    memory.register_cuda("to", &to, 0, 8).unwrap();
    for (model, sums) in [("m", [2, 3]), ("twice", [3, 4])] {
        let before = driver.device(0).transfers();
        let accepted = server.core.accept(model, None, Responses::Any).await.unwrap();
        let mut request = InRegions { from: "from", to: "to" };
        let mut running = accepted.submit(&*server.core, &mut request, Then::Wait).unwrap();
        let Some(Event::Response { response, .. }) = running.responses.next().await else {
            panic!("{model}")
        };
        let mut told = 0;
        let deliver = |delivered: Delivered<'_>| {
            told += 1;
            assert!(delivered.data.is_none());
            Ok(())
        };
        running.outputs.deliver(&running.model, response.outputs, deliver).unwrap();
        assert_eq!((told, numbers(&client.bytes())), (1, sums.to_vec()), "{model}");
        let after = driver.device(0).transfers();
        assert_eq!((after.from_host, after.to_host), (before.from_host, before.to_host), "{model}");
    }
}

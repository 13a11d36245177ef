//! Measures the overhead of ensembles of 1 to 4 steps, whose models answer inline with their input, against a request
//! to such a model itself; and of a step that is fanned out over 64 rows.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use hippocamp_backend::{
    Delivery, ExecutionTimes, InputTensor, Observers, OutputTensor, Request, Response, ResponseReceiver,
    Result, channel,
};
use hippocamp_ensemble::{Ensemble, StepModel};
use hippocamp_model_config::{Interface, ensemble_scheduling, parse};
use hippocamp_statistics::ModelStatistics;
use smallvec::SmallVec;

const IO: &str = "input { name: \"IN\" data_type: TYPE_FP32 dims: 16 } output { name: \"OUT\" data_type: TYPE_FP32 dims: 16 } ";

#[derive(Debug)]
struct Echo {
    interface: Interface,
    observers: Arc<Observers>,
}

impl StepModel for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn interface(&self) -> &Interface {
        &self.interface
    }

    fn observers(&self) -> &Arc<Observers> {
        &self.observers
    }

    fn visit_executing(&self, visit: &mut dyn FnMut(&str)) {
        visit("echo");
    }

    fn check(&self, _: &str, _: &[Option<InputTensor>]) -> Result<usize> {
        Ok(1)
    }

    fn enqueue(&self, mut request: Request) {
        let mut response = Response::default();
        if let Some(input) = request.inputs[0].take() {
            let data = input.data.to_host().expect("it is host memory");
            response.outputs.push(OutputTensor {
                index: 0,
                shape: input.shape,
                data: data.into(),
                data_type: None,
            });
        }
        request.succeed(response, &ExecutionTimes::now());
    }
}

fn interface(config: &str) -> Interface {
    Interface::new(&parse(config, "bench").expect("a config").config).expect("an interface")
}

fn ensemble(steps: usize) -> Ensemble {
    let model = Arc::new(Echo {
        interface: interface(IO),
        observers: Observers::counting(&Arc::new(ModelStatistics::default())),
    });
    let name = |index: usize| match index {
        0 => "IN".to_owned(),
        index if index == steps => "OUT".to_owned(),
        index => format!("t{index}"),
    };
    let step = |index: usize| {
        let (from, to) = (name(index), name(index + 1));
        format!(
            "step {{ model_name: \"echo\" input_map {{ key: \"IN\" value: \"{from}\" }} \
             output_map {{ key: \"OUT\" value: \"{to}\" }} }} "
        )
    };
    let list: Vec<String> = (0..steps).map(step).collect();
    let config = parse(&format!("{IO} ensemble_scheduling {{ {} }}", list.concat()), "bench");
    let config = config.expect("a config").config;
    let scheduling = ensemble_scheduling(&config).expect("an ensemble");
    let models = (0..steps).map(|_| Arc::clone(&model) as Arc<dyn StepModel>).collect();
    Ensemble::build(&"ens".into(), scheduling, &interface(IO), models).expect("it fits together").0
}

/// One step, for each row of a tensor.
fn fanned_out() -> Ensemble {
    let model = Echo {
        interface: interface(IO),
        observers: Observers::counting(&Arc::new(ModelStatistics::default())),
    };
    let rows = IO.replace("dims: 16", "dims: [ -1, 16 ]");
    let config = format!(
        "{rows} parameters {{ key: \"fan_out.echo\" value {{ string_value: \"IN\" }} }} ensemble_scheduling {{ step {{ \
         model_name: \"echo\" input_map {{ key: \"IN\" value: \"IN\" }} output_map {{ key: \"OUT\" value: \"OUT\" }} }} }}"
    );
    let parsed = parse(&config, "bench").expect("a config").config;
    let scheduling = ensemble_scheduling(&parsed).expect("an ensemble");
    let models = vec![Arc::new(model) as Arc<dyn StepModel>];
    Ensemble::build(&"ens".into(), scheduling, &interface(&config), models).expect("it fits together").0
}

fn request(data: &Bytes, observers: &Arc<Observers>) -> (Request, ResponseReceiver) {
    request_of(&[16], data, observers)
}

fn request_of(shape: &[i64], data: &Bytes, observers: &Arc<Observers>) -> (Request, ResponseReceiver) {
    let now = Instant::now();
    let (response, receiver) = channel(Delivery::Once, now, Arc::clone(observers));
    let input = InputTensor { shape: shape.into(), data: data.clone().into() };
    let request = Request::new(SmallVec::from_iter([Some(input)]), 1, response);
    (request, receiver)
}

fn bench(c: &mut Criterion) {
    let data = Bytes::from(vec![0; 64]);
    let observers = Observers::counting(&Arc::new(ModelStatistics::default()));
    let model = Echo {
        interface: interface(IO),
        observers: Observers::counting(&Arc::new(ModelStatistics::default())),
    };
    c.bench_function("the model itself", |b| {
        b.iter(|| {
            let (request, receiver) = request(&data, &observers);
            model.enqueue(request);
            receiver
        });
    });
    for steps in [1, 2, 4] {
        let ensemble = ensemble(steps);
        c.bench_function(&format!("an ensemble of {steps}"), |b| {
            b.iter(|| {
                let (request, receiver) = request(&data, &observers);
                ensemble.enqueue(request);
                receiver
            });
        });
    }
    let (ensemble, data) = (fanned_out(), Bytes::from(vec![0; 64 * 64]));
    c.bench_function("64 rows", |b| {
        b.iter(|| {
            let (request, receiver) = request_of(&[64, 16], &data, &observers);
            ensemble.enqueue(request);
            receiver
        });
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);

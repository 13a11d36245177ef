//! Measures what an ensemble adds: two identity models as an ensemble, against the same two called one after the other
//! by an in-process client. Each way is one handoff to an instance and one back less.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use hippocamp_backend::Response;
use hippocamp_core::{InferInput, InferRequest, InferenceServer, Settings};
use hippocamp_tensor::DataType;
use smallvec::SmallVec;

const MODEL: &str = "backend: \"identity\"
    input { name: \"INPUT0\" data_type: TYPE_FP32 dims: 16 } output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: 16 }";

const ENSEMBLE: &str = "platform: \"ensemble\"
    input { name: \"INPUT0\" data_type: TYPE_FP32 dims: 16 } output { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: 16 }
    ensemble_scheduling {
      step { model_name: \"first\" model_version: -1
        input_map { key: \"INPUT0\" value: \"INPUT0\" } output_map { key: \"OUTPUT0\" value: \"between\" } }
      step { model_name: \"second\" model_version: -1
        input_map { key: \"INPUT0\" value: \"between\" } output_map { key: \"OUTPUT0\" value: \"OUTPUT0\" } }
    }";

fn write(repository: &Path, name: &str, config: &str) {
    fs::create_dir_all(repository.join(name).join("1")).expect("a folder");
    fs::write(repository.join(name).join("config.pbtxt"), config).expect("a config");
}

async fn infer(server: &InferenceServer, model: &str, data: Bytes) -> Response {
    let input =
        InferInput { name: "INPUT0", data_type: Some(DataType::Fp32), shape: [16].into(), data: data.into() };
    let request = InferRequest::new(SmallVec::from_iter([input]));
    let model = server.model(model, None).expect("it is loaded");
    model.infer(request).expect("it is accepted").only().await.expect("it is answered")
}

fn bench(c: &mut Criterion) {
    let repository = tempfile::tempdir().expect("a temporary folder");
    write(repository.path(), "first", MODEL);
    write(repository.path(), "second", MODEL);
    write(repository.path(), "ens", ENSEMBLE);
    let settings = Settings { repositories: vec![repository.path().into()], ..Settings::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let server: Arc<InferenceServer> = {
        let _in = runtime.enter();
        InferenceServer::new(settings, hippocamp_backend_builtin::backends())
    };
    assert!(runtime.block_on(server.load_repositories()).is_empty(), "everything loads");
    let data = Bytes::from(vec![0; 64]);
    c.bench_function("two models, one after the other", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let response = infer(&server, "first", data.clone()).await;
                infer(&server, "second", response.outputs[0].data.to_host().expect("it is host memory")).await
            })
        });
    });
    c.bench_function("an ensemble of both", |b| {
        b.iter(|| runtime.block_on(infer(&server, "ens", data.clone())));
    });
    c.bench_function("one model", |b| {
        b.iter(|| runtime.block_on(infer(&server, "first", data.clone())));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);

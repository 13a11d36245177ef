//! A server that answers at any time from any thread, and keeps inputs as long as it likes.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hippocamp_backend::{
    AboutServer, Error, InProcessEvent, InProcessOverrides, InProcessRequest, InProcessResponse,
    InProcessServer, InProcessSink, InProcessTensor, IndexedModel, Parameters, Result, ServedModel,
};
use hippocamp_tensor::{DataType, MemoryError, Place, PlacedBuffer, TensorData};

/// The models, by what they do. The last is the one that there is not.
pub(crate) const MODELS: [&str; 8] =
    ["inline", "thread", "late", "many", "fails", "panics", "refused", "unknown"];

#[derive(Debug, Default)]
pub(crate) struct Double;

/// Memory whose transfer panics.
#[derive(Debug)]
struct Panicking;

// SAFETY: nothing is ever copied.
unsafe impl PlacedBuffer for Panicking {
    fn len(&self) -> usize {
        4
    }

    fn place(&self) -> Place {
        Place::Device(0)
    }

    fn copy_to_host(&self, _: usize, _: &mut [MaybeUninit<u8>]) -> Result<(), MemoryError> {
        // Without a report for each of hundreds.
        std::panic::resume_unwind(Box::new("told to"))
    }
}

fn response(inputs: &[InProcessTensor]) -> InProcessResponse {
    let outputs = inputs.to_vec();
    InProcessResponse { model: "double".into(), version: 1, outputs, parameters: Parameters::default() }
}

/// Reads all bytes, which are those that were given.
fn read(inputs: &[InProcessTensor]) {
    for input in inputs {
        assert!(input.data.to_host().unwrap().iter().all(|byte| *byte == 7));
    }
}

fn only(sink: &mut dyn InProcessSink, inputs: &[InProcessTensor]) {
    sink.deliver(InProcessEvent::Response { response: response(inputs), last: true });
}

impl InProcessServer for Double {
    fn model(&self, name: &str, _: Option<u64>) -> Result<ServedModel> {
        if name == "unknown" || !MODELS.contains(&name) {
            return Err(Error::not_found(format!("Request for unknown model: '{name}' is not found")));
        }
        let (config, interface) = Default::default();
        Ok(ServedModel { name: name.into(), version: 1, versions: vec![1], config, interface })
    }

    fn is_model_ready(&self, name: &str, version: Option<u64>) -> Result<bool> {
        self.model(name, version).map(|_| true)
    }

    fn infer(&self, request: InProcessRequest, mut sink: Box<dyn InProcessSink>) -> Result<()> {
        let inputs = request.inputs;
        match &*request.model {
            "inline" => only(&mut *sink, &inputs),
            "panics" => {
                let buffer = Arc::new(Panicking) as Arc<dyn PlacedBuffer>;
                let lost = InProcessTensor {
                    name: "lost".into(),
                    data_type: DataType::Uint8,
                    shape: [4].into(),
                    data: TensorData::from(buffer),
                };
                only(&mut *sink, &[lost]);
            }
            "fails" => {
                sink.deliver(InProcessEvent::Failed { error: Error::internal("told to"), last: true });
                read(&inputs);
            }
            "refused" => {
                read(&inputs);
                return Err(Error::unavailable("told to"));
            }
            model => {
                let model = model.to_owned();
                thread::spawn(move || match &*model {
                    "many" => {
                        for _ in 0..3 {
                            if sink.is_cancelled() {
                                break;
                            }
                            let response = response(&inputs);
                            sink.deliver(InProcessEvent::Response { response, last: false });
                        }
                        drop(inputs);
                        sink.deliver(InProcessEvent::End);
                    }
                    "late" => {
                        only(&mut *sink, &[]);
                        drop(sink);
                        thread::sleep(Duration::from_micros(200));
                        read(&inputs);
                    }
                    _ => only(&mut *sink, &inputs),
                });
            }
        }
        Ok(())
    }

    fn load(&self, _: &str, _: InProcessOverrides) -> Result<()> {
        Ok(())
    }

    fn unload(&self, _: &str, _: bool) -> Result<()> {
        Ok(())
    }

    fn index(&self, _: bool) -> Result<Vec<IndexedModel>> {
        Ok(Vec::new())
    }

    fn about(&self) -> Result<AboutServer> {
        Ok(AboutServer { name: "double".to_owned(), version: "", extensions: Vec::new() })
    }
}

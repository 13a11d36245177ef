//! The ledger of copies and wake-ups around a model: which memory it reads, which memory its clients get, and who wakes them.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel as queue};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Batch, Delivery, InputTensor, ModelInstance, Request, ResponseReceiver, Result, channel,
};
use hippocamp_batching::{Batched, Compute, Inputs, Outputs};
use hippocamp_model_config::{Interface, parse};
use hippocamp_tensor::{ALIGNMENT, Shape, TensorData};

/// Floats in a row.
const ROW: usize = 1000;

/// Tells where its input lies, and answers with its own memory.
struct Telling {
    input: Sender<usize>,
    output: Bytes,
}

impl Compute for Telling {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        let view = inputs[0].as_ref().unwrap();
        self.input.send(view.bytes()?.as_ptr() as usize).unwrap();
        outputs.set(0, view.shape.clone(), self.output.slice(..view.data.len()));
        Ok(())
    }
}

fn instance() -> (Batched<Telling>, Receiver<usize>, Bytes) {
    let config = r#"
        backend: "b" max_batch_size: 8
        input { name: "I" data_type: TYPE_FP32 dims: 1000 }
        output { name: "O" data_type: TYPE_FP32 dims: 1000 }"#;
    let interface = Interface::new(&parse(config, "config.pbtxt").unwrap().config).unwrap();
    let (input, told) = queue();
    let output = Bytes::from(vec![7; 8 * ROW * 4]);
    (Batched::new(Telling { input, output: output.clone() }, Arc::new(interface)), told, output)
}

fn request(data: TensorData) -> (Request, ResponseReceiver) {
    let now = Instant::now();
    let (response, receiver) = channel(Delivery::Once, now, Arc::default());
    let input = InputTensor { shape: Shape::from([1, ROW as i64]), data };
    let request = Request::new([Some(input)].into_iter().collect(), 1, response);
    (request, receiver)
}

/// Where the outputs of a batch of these inputs lie.
fn execute(instance: &mut Batched<Telling>, inputs: Vec<TensorData>) -> Vec<usize> {
    let (mut batch, receivers): (Batch, Vec<_>) = inputs.into_iter().map(request).unzip();
    instance.execute(&mut batch);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let output = |receiver: ResponseReceiver| {
        let response = runtime.block_on(receiver.only()).unwrap();
        response.outputs[0].data.as_contiguous().unwrap().as_ptr() as usize
    };
    receivers.into_iter().map(output).collect()
}

/// A row that begins so many bytes behind an aligned place.
fn row(behind: usize) -> Bytes {
    let buffer = Bytes::from(vec![1; ROW * 4 + 2 * ALIGNMENT]);
    let begin = buffer.as_ptr().align_offset(ALIGNMENT) + behind;
    buffer.slice(begin..begin + ROW * 4)
}

#[test]
fn a_batch_of_one_aligned_piece_is_read_where_it_arrived() {
    let (mut instance, told, output) = instance();
    let wire = row(4);
    assert_eq!(execute(&mut instance, vec![wire.clone().into()]), [output.as_ptr() as usize]);
    assert_eq!(told.recv().unwrap(), wire.as_ptr() as usize);
}

#[test]
fn what_is_not_aligned_or_in_pieces_is_gathered_into_memory_that_is_kept() {
    let (mut instance, told, _) = instance();
    let unaligned = row(1);
    let pieces: TensorData = [row(0).slice(..400), row(0).slice(400..)].into_iter().collect();
    execute(&mut instance, vec![unaligned.clone().into()]);
    let buffer = told.recv().unwrap();
    assert_ne!(buffer, unaligned.as_ptr() as usize);
    execute(&mut instance, vec![pieces]);
    assert_eq!((told.recv().unwrap(), buffer % ALIGNMENT), (buffer, 0));
}

#[test]
fn a_batch_of_several_is_gathered_into_one_buffer_and_its_output_is_sliced() {
    let (mut instance, told, output) = instance();
    let rows = || (0..3).map(|_| row(0).into()).collect::<Vec<_>>();
    let outputs = execute(&mut instance, rows());
    let start = output.as_ptr() as usize;
    assert_eq!(outputs, [start, start + ROW * 4, start + 2 * ROW * 4]);
    let buffer = told.recv().unwrap();
    execute(&mut instance, rows());
    assert_eq!(told.recv().unwrap(), buffer, "the second batch needs no memory");
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn those_who_wait_for_a_batch_are_woken_by_their_runtime() {
    let (mut instance, _told, _) = instance();
    let (mut batch, receivers): (Batch, Vec<_>) = (0..3).map(|_| request(row(0).into())).unzip();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let count = Arc::<Count>::default();
    let waker = Waker::from(Arc::clone(&count));
    let mut waiting: Vec<_> = receivers.into_iter().map(|receiver| Box::pin(receiver.only())).collect();
    {
        let _in = runtime.enter();
        for answer in &mut waiting {
            assert!(answer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
    }
    thread::scope(|scope| scope.spawn(|| instance.execute(&mut batch)).join()).unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 0, "that thread woke nobody but the runtime");
    runtime.block_on(tokio::task::yield_now());
    assert_eq!(count.0.load(Ordering::SeqCst), 3);
    for mut answer in waiting {
        assert!(pin!(&mut answer).poll(&mut Context::from_waker(&waker)).is_ready());
    }
}

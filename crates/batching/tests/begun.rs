//! Batches that a device works on while the next one is begun.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel as queue};
use std::task::{Context, Waker};

use bytes::Bytes;
use hippocamp_backend::{
    Batch, Delivery, Error, InputTensor, ModelInstance, Request, RequestContext, ResponseReceiver, Result,
    channel,
};
use hippocamp_batching::{Batched, Compute, Inputs, Outputs, Started};
use hippocamp_model_config::{Interface, parse};
use hippocamp_tensor::Shape;

/// What is seen of an instance, with the first number of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Started(u8),
    Waited(u8),
    Ran(u8),
}

/// It cannot be started.
const REFUSED: u8 = 100;
/// The device fails.
const FAILS: u8 = 101;

/// It has to be prepared before it can be started.
const PREPARED: u8 = 102;

/// Answers with its input, once it was waited for.
struct Later(Sender<Seen>);

impl Later {
    fn compute(inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<u8> {
        let view = inputs[0].as_ref().unwrap();
        let bytes = view.bytes()?;
        outputs.set(0, view.shape.clone(), Bytes::copy_from_slice(bytes));
        if bytes[0] == REFUSED { Err(Error::internal("refused")) } else { Ok(bytes[0]) }
    }
}

impl Compute for Later {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        self.0.send(Seen::Ran(Later::compute(inputs, outputs)?)).unwrap();
        Ok(())
    }

    fn starts_at_once(&mut self, inputs: &Inputs<'_>) -> bool {
        inputs[0].as_ref().unwrap().bytes().unwrap()[0] != PREPARED
    }

    fn start(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<Option<Started>> {
        let (first, seen) = (Later::compute(inputs, outputs)?, self.0.clone());
        seen.send(Seen::Started(first)).unwrap();
        Ok(Some(Box::new(move || {
            seen.send(Seen::Waited(first)).unwrap();
            if first == FAILS { Err(Error::internal("the device failed")) } else { Ok(()) }
        })))
    }
}

fn instance() -> (Batched<Later>, Receiver<Seen>) {
    let config = r#"
        backend: "b" max_batch_size: 8
        input { name: "I" data_type: TYPE_UINT8 dims: 1 }
        output { name: "O" data_type: TYPE_UINT8 dims: 1 }"#;
    let interface = Interface::new(&parse(config, "config.pbtxt").unwrap().config).unwrap();
    let (sender, seen) = queue();
    (Batched::new(Later(sender), Arc::new(interface)), seen)
}

/// A batch of requests with a number each.
fn batch(numbers: &[u8]) -> (Batch, Vec<ResponseReceiver>) {
    let request = |number: &u8| {
        let context = RequestContext::with_id("".into(), std::time::Instant::now());
        let (response, receiver) = channel(Delivery::Once, context, Arc::default());
        let data = Bytes::from(vec![*number]).into();
        let input = InputTensor { shape: Shape::from([1, 1]), data };
        (Request::new([Some(input)].into_iter().collect(), 1, response), receiver)
    };
    numbers.iter().map(request).unzip()
}

/// What the requests got: their number, or nothing if it was an error.
fn answers(receivers: Vec<ResponseReceiver>) -> Vec<Option<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = |receiver: ResponseReceiver| {
        let response = runtime.block_on(receiver.only()).ok()?;
        Some(response.outputs[0].data.to_host().unwrap()[0])
    };
    receivers.into_iter().map(answer).collect()
}

fn is_answered(receiver: &mut ResponseReceiver) -> bool {
    let mut next = std::pin::pin!(receiver.next());
    next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn all(seen: &Receiver<Seen>) -> Vec<Seen> {
    seen.try_iter().collect()
}

use Seen::{Ran, Started as Began, Waited};

#[test]
fn a_batch_is_answered_when_the_next_one_is_begun_or_at_the_end() {
    let (mut instance, seen) = instance();
    let (mut first, mut of_first) = batch(&[1, 2]);
    instance.begin(&mut first);
    assert!(first.is_empty() && instance.has_begun() && !is_answered(&mut of_first[0]));
    let (mut second, of_second) = batch(&[3]);
    instance.begin(&mut second);
    assert_eq!(all(&seen), [Began(1), Began(3), Waited(1)]);
    assert_eq!(answers(of_first), [Some(1), Some(2)]);
    instance.finish();
    assert!(!instance.has_begun());
    assert_eq!((answers(of_second), all(&seen)), (vec![Some(3)], vec![Waited(3)]));
    instance.finish();
}

#[test]
fn a_batch_is_answered_before_the_next_one_is_prepared() {
    let (mut instance, seen) = instance();
    let (mut first, of_first) = batch(&[1]);
    instance.begin(&mut first);
    let (mut second, of_second) = batch(&[PREPARED]);
    instance.begin(&mut second);
    assert_eq!(all(&seen), [Began(1), Waited(1), Began(PREPARED)]);
    assert_eq!(answers(of_first), [Some(1)]);
    instance.finish();
    assert_eq!((answers(of_second), all(&seen)), (vec![Some(PREPARED)], vec![Waited(PREPARED)]));
}

#[test]
fn what_fails_on_the_device_fails_alone() {
    let (mut instance, seen) = instance();
    let (mut first, of_first) = batch(&[FAILS, 2]);
    let (mut second, of_second) = batch(&[3]);
    instance.begin(&mut first);
    instance.begin(&mut second);
    instance.finish();
    assert_eq!(all(&seen), [Began(FAILS), Began(3), Waited(FAILS), Waited(3)]);
    assert_eq!((answers(of_first), answers(of_second)), (vec![None, None], vec![Some(3)]));
}

#[test]
fn what_cannot_be_begun_leaves_the_one_before() {
    let (mut instance, seen) = instance();
    let (mut first, of_first) = batch(&[1]);
    let (mut second, of_second) = batch(&[REFUSED]);
    instance.begin(&mut first);
    instance.begin(&mut second);
    assert!(!instance.has_begun());
    assert_eq!(all(&seen), [Began(1), Waited(1)]);
    assert_eq!((answers(of_first), answers(of_second)), (vec![Some(1)], vec![None]));
}

#[test]
fn an_execution_comes_behind_what_was_begun() {
    let (mut instance, seen) = instance();
    let (mut first, of_first) = batch(&[1]);
    let (mut second, of_second) = batch(&[2]);
    instance.begin(&mut first);
    instance.execute(&mut second);
    assert_eq!(all(&seen), [Began(1), Waited(1), Ran(2)]);
    assert_eq!((answers(of_first), answers(of_second)), (vec![Some(1)], vec![Some(2)]));
}

#[test]
fn an_instance_that_ends_answers_what_it_has_begun() {
    let (mut instance, seen) = instance();
    let (mut first, of_first) = batch(&[1]);
    instance.begin(&mut first);
    drop(instance);
    assert_eq!((answers(of_first), all(&seen)), (vec![None], vec![Began(1)]));
}

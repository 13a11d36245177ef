//! The promises, one function each.

mod wanted_places;

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use crate::conformance::trial::{Outcome, Trial, answer, in_segments, on_device, unaligned};
use crate::conformance::{Example, Subject};
use hippocamp_backend::{Batch, Delivery, Event, InputTensor, ResponseReceiver, WantedOutputs};
use hippocamp_statistics::{Counters, ModelStatistics};

pub(super) type Check = fn(&Subject<'_>) -> Outcome;

/// Every promise with its check, the simplest first.
pub(super) const PROMISES: &[(&str, Check)] = &[
    ("a request gets its answer", one_request),
    ("each request of a batch gets its own rows", own_rows),
    ("an input may come in several segments", segments),
    ("an input may begin at any address", any_address),
    ("an input may be in the memory of a device", any_place),
    ("only outputs that were asked for are answered", wanted_outputs),
    ("an output is where it is wanted", wanted_places::check),
    ("a tensor may have no elements", no_elements),
    ("a response stays as it is while the instance goes on", responses_stay),
    ("a request is counted once, and before its answer leaves", counted_first),
    ("a client that is gone does no harm", client_gone),
    ("an error leaves the instance usable", error_is_no_poison),
    ("a request that is refused fails alone", refused_alone),
    ("an answer survives the instance", answer_survives),
    ("instances do not disturb each other", independent_instances),
];

fn refused_alone(subject: &Subject<'_>) -> Outcome {
    let Some(refused) = &subject.refused else { return Ok(()) };
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let rows = vec![1; subject.max_rows().clamp(1, 4) - 1];
    for place in 0..=rows.len() {
        let (mut batch, due) = ask_all(subject, &trial, place * 10, &rows);
        let (request, receiver) = trial.request(refused, 1, WantedOutputs::ALL);
        batch.insert(place, request);
        batch.execute_on(&mut *instance);
        drop(batch);
        match answer(receiver)?.as_slice() {
            [Event::Failed(_)] => {}
            other => return Err(format!("the refused request was expected to fail, got {other:?}")),
        }
        check_all(subject, due).map_err(|why| format!("with a refused request at {place}: {why}"))?;
    }
    Ok(())
}

fn one_request(subject: &Subject<'_>) -> Outcome {
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    for (n, rows) in [1, subject.max_rows()].into_iter().enumerate() {
        let example = (subject.example)(n, rows);
        let events = trial.run_alone(&mut *instance, &example.inputs, rows)?;
        subject.expect_all(&example, &events).map_err(|why| format!("with {rows} rows: {why}"))?;
    }
    Ok(())
}

fn own_rows(subject: &Subject<'_>) -> Outcome {
    if !subject.has_batches() {
        return Ok(());
    }
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let mut rows = subject.mixed_rows();
    for turn in 0..2 {
        let (mut batch, due) = ask_all(subject, &trial, turn * 100, &rows);
        batch.execute_on(&mut *instance);
        drop(batch);
        check_all(subject, due)?;
        rows.reverse();
    }
    Ok(())
}

fn segments(subject: &Subject<'_>) -> Outcome {
    rewritten(subject, in_segments)
}

fn any_address(subject: &Subject<'_>) -> Outcome {
    rewritten(subject, unaligned)
}

fn any_place(subject: &Subject<'_>) -> Outcome {
    rewritten(subject, on_device)
}

type Rewrite = fn(&[Option<InputTensor>]) -> Vec<Option<InputTensor>>;

/// Runs requests whose bytes lie differently: alone, and in the middle of a batch.
fn rewritten(subject: &Subject<'_>, rewrite: Rewrite) -> Outcome {
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let example = (subject.example)(7, 1);
    let events = trial.run_alone(&mut *instance, &rewrite(&example.inputs), 1)?;
    subject.expect_all(&example, &events)?;
    if !subject.has_batches() {
        return Ok(());
    }
    let mut batch = Batch::new();
    let mut due = Vec::new();
    for (n, rows) in subject.mixed_rows().into_iter().enumerate() {
        let example = (subject.example)(n, rows);
        let inputs = if n % 2 == 1 { rewrite(&example.inputs) } else { example.inputs.clone() };
        let (request, receiver) = trial.request(&inputs, rows, WantedOutputs::ALL);
        batch.push(request);
        due.push((example, WantedOutputs::ALL, receiver));
    }
    batch.execute_on(&mut *instance);
    drop(batch);
    check_all(subject, due).map_err(|why| format!("in a batch: {why}"))
}

fn wanted_outputs(subject: &Subject<'_>) -> Outcome {
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let count = subject.interface.outputs.len();
    let only = |index: usize| {
        let mut wanted = WantedOutputs::none_of(count);
        wanted.add(index);
        wanted
    };
    for index in 0..count {
        let example = (subject.example)(index, 1);
        let (request, receiver) = trial.request(&example.inputs, 1, only(index));
        Batch::from_iter([request]).execute_on(&mut *instance);
        subject.expect(&example, &only(index), &answer(receiver)?)?;
    }
    if !subject.has_batches() {
        return Ok(());
    }
    let mut batch = Batch::new();
    let mut due = Vec::new();
    for (n, rows) in subject.mixed_rows().into_iter().enumerate() {
        let example = (subject.example)(n, rows);
        let wanted = if n % 2 == 0 { only(n % count) } else { WantedOutputs::ALL };
        let (request, receiver) = trial.request(&example.inputs, rows, wanted.clone());
        batch.push(request);
        due.push((example, wanted, receiver));
    }
    batch.execute_on(&mut *instance);
    drop(batch);
    check_all(subject, due).map_err(|why| format!("in a batch: {why}"))
}

fn no_elements(subject: &Subject<'_>) -> Outcome {
    let Some(empty) = subject.empty else { return Ok(()) };
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let example = empty(0, 1);
    let events = trial.run_alone(&mut *instance, &example.inputs, 1)?;
    subject.expect_all(&example, &events)?;
    let example = (subject.example)(0, 1);
    let events = trial.run_alone(&mut *instance, &example.inputs, 1)?;
    subject.expect_all(&example, &events).map_err(|why| format!("after an empty one: {why}"))
}

fn responses_stay(subject: &Subject<'_>) -> Outcome {
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let max = subject.max_rows();
    let mut answers = Vec::new();
    for (n, rows) in [max, 1, max.div_ceil(2), max, 1, max].into_iter().enumerate() {
        let example = (subject.example)(n, rows);
        let events = trial.run_alone(&mut *instance, &example.inputs, rows)?;
        answers.push((example, events));
    }
    for (n, (example, events)) in answers.iter().enumerate() {
        subject
            .expect_all(example, events)
            .map_err(|why| format!("request {n} of {}: {why}", answers.len()))?;
    }
    Ok(())
}

/// Notes the counters at the moment when an answer is sent: the sender wakes it on its own thread.
struct Witness {
    statistics: Arc<ModelStatistics>,
    seen: Mutex<Option<Counters>>,
}

impl Wake for Witness {
    fn wake(self: Arc<Self>) {
        let counters = self.statistics.snapshot();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(counters);
    }
}

fn counted_first(subject: &Subject<'_>) -> Outcome {
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let rows = if trial.delivery() == Delivery::Once { subject.mixed_rows() } else { vec![1] };
    let (mut batch, due) = ask_all(subject, &trial, 0, &rows);
    let witness = Arc::new(Witness { statistics: Arc::clone(&trial.statistics), seen: Mutex::default() });
    let mut due: Vec<_> = due.into_iter().map(|(_, _, receiver)| receiver).collect();
    if let [first, ..] = due.as_mut_slice() {
        watch(first, &Waker::from(Arc::clone(&witness)))?;
    }
    batch.execute_on(&mut *instance);
    drop(batch);
    let answered: Vec<_> = due.into_iter().map(answer).collect::<Result<_, _>>()?;
    drop(instance);
    let seen = witness.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Of a decoupled model only the end counts, and the witness sees its first response.
    if let (Delivery::Once, Some(seen)) = (trial.delivery(), seen)
        && !((1..=rows.len() as u64).contains(&seen.success.count) && seen.execution_count == 1)
    {
        let (requests, executions) = (seen.success.count, seen.execution_count);
        return Err(format!(
            "when the first answer left, {requests} requests and {executions} executions were counted instead of at least \
             1 and 1"
        ));
    }
    expect_counts(subject, &trial.counters(), answered.len() as u64, rows.iter().sum())
}

/// Polls once, so that the waker is told when the answer comes.
fn watch(receiver: &mut ResponseReceiver, waker: &Waker) -> Outcome {
    let mut next = std::pin::pin!(receiver.next());
    match next.as_mut().poll(&mut Context::from_waker(waker)) {
        Poll::Pending => Ok(()),
        Poll::Ready(event) => Err(format!("before the execution there was an answer: {event:?}")),
    }
}

/// The counters after one execution of so many requests.
fn expect_counts(subject: &Subject<'_>, counters: &Counters, requests: u64, rows: usize) -> Outcome {
    let got = (counters.success.count, counters.fail.count, counters.execution_count);
    if got != (requests, 0, 1) {
        return Err(format!(
            "after one execution of {requests} requests, (successes, failures, executions) are {got:?}"
        ));
    }
    // Without a batch dimension a backend may report a batch of 0.
    if subject.interface.max_batch_size > 0 && counters.inference_count != rows as u64 {
        let got = counters.inference_count;
        return Err(format!("after an execution of {rows} rows, {got} inferences are counted"));
    }
    Ok(())
}

fn client_gone(subject: &Subject<'_>) -> Outcome {
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let rows = if subject.has_batches() { subject.mixed_rows() } else { vec![1] };
    let (mut batch, mut due) = ask_all(subject, &trial, 0, &rows);
    drop(due.remove(0));
    batch.execute_on(&mut *instance);
    drop(batch);
    check_all(subject, due).map_err(|why| format!("another request of the batch: {why}"))?;
    let example = (subject.example)(9, 1);
    let events = trial.run_alone(&mut *instance, &example.inputs, 1)?;
    subject.expect_all(&example, &events).map_err(|why| format!("the next request: {why}"))
}

fn error_is_no_poison(subject: &Subject<'_>) -> Outcome {
    let Some(failing) = &subject.failing else { return Ok(()) };
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    for turn in 0..2 {
        let events = trial.run_alone(&mut *instance, failing, 1)?;
        let [Event::Failed(error)] = events.as_slice() else {
            return Err(format!("an error was expected, the answer was {events:?}"));
        };
        if error.message().is_empty() {
            return Err("the error has no text".to_owned());
        }
        let example = (subject.example)(turn, 1);
        let events = trial.run_alone(&mut *instance, &example.inputs, 1)?;
        subject.expect_all(&example, &events).map_err(|why| format!("after the error: {why}"))?;
    }
    let counters = trial.counters();
    let got = (counters.success.count, counters.fail.count);
    if got != (2, 2) {
        return Err(format!("after 2 successes and 2 failures the counters are {got:?}"));
    }
    Ok(())
}

fn answer_survives(subject: &Subject<'_>) -> Outcome {
    let (trial, mut instance) = (Trial::new(subject), subject.instance(0)?);
    let rows = subject.mixed_rows();
    let (mut batch, due) = ask_all(subject, &trial, 0, &rows);
    batch.execute_on(&mut *instance);
    drop(batch);
    drop(instance);
    check_all(subject, due)
}

fn independent_instances(subject: &Subject<'_>) -> Outcome {
    const REQUESTS: usize = 8;
    let run = |index: usize, examples: Vec<Example>| {
        let (trial, mut instance) = (Trial::new(subject), subject.instance(index)?);
        for example in examples {
            let events = trial.run_alone(&mut *instance, &example.inputs, 1)?;
            subject.expect_all(&example, &events).map_err(|why| format!("instance {index}: {why}"))?;
        }
        Ok(())
    };
    let run = &run;
    thread::scope(|scope| {
        let start = |index: usize| {
            let examples = (0..REQUESTS).map(|n| (subject.example)(index * REQUESTS + n, 1)).collect();
            scope.spawn(move || run(index, examples))
        };
        // Both have to be started before one is waited for.
        let threads = [start(0), start(1)];
        let outcomes = threads.map(|t| t.join().unwrap_or_else(|_| Err("it panicked".to_owned())));
        outcomes.into_iter().collect()
    })
}

type Due = Vec<(Example, WantedOutputs, ResponseReceiver)>;

/// A batch of requests with so many rows each, and what they have to get.
fn ask_all(subject: &Subject<'_>, trial: &Trial<'_>, first: usize, rows: &[usize]) -> (Batch, Due) {
    let ask = |(n, rows): (usize, &usize)| {
        let example = (subject.example)(first + n, *rows);
        let (request, receiver) = trial.ask(&example, *rows);
        (request, (example, WantedOutputs::ALL, receiver))
    };
    rows.iter().enumerate().map(ask).unzip()
}

fn check_all(subject: &Subject<'_>, due: Due) -> Outcome {
    let count = due.len();
    for (n, (example, wanted, receiver)) in due.into_iter().enumerate() {
        let checked = answer(receiver).and_then(|events| subject.expect(&example, &wanted, &events));
        checked.map_err(|why| format!("request {n} of {count}: {why}"))?;
    }
    Ok(())
}

//! Any graph of steps gives the same result as a direct evaluation, in whatever order its steps answer; and after any
//! failure or cancellation there is exactly one last event.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Delivery, Event, ExecutionTimes, Request, WantedOutputs};
use parking_lot::Mutex;
use proptest::prelude::*;

use super::kit::*;
use super::outcomes::{one_last_event, outcomes};
use crate::Ensemble;

/// A step: the earlier tensors that are its inputs, the ensemble's input being the first, and the number of its
/// outputs.
#[derive(Clone, Debug)]
struct Node {
    inputs: Vec<prop::sample::Index>,
    outputs: usize,
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let node = (prop::collection::vec(any::<prop::sample::Index>(), 1..4), 1usize..3);
    prop::collection::vec(node.prop_map(|(inputs, outputs)| Node { inputs, outputs }), 1..8)
}

/// The value of an output of a step.
fn compute(step: usize, inputs: &[i32], output: usize) -> i32 {
    inputs.iter().fold(step as i32 + 1, |sum, x| sum.wrapping_mul(31).wrapping_add(*x)) + output as i32
}

type Waiting = Arc<Mutex<Vec<(usize, Request)>>>;

struct Case {
    ensemble: Ensemble,
    waiting: Waiting,
    /// The expected value of each output of the ensemble, for the input 5.
    expected: Vec<i32>,
}

/// Every tensor is an output of the ensemble, so that all are checked.
fn case(nodes: &[Node]) -> Case {
    let waiting = Waiting::default();
    let mut tensors = vec![("IN".to_owned(), 5)];
    let (mut steps, mut models) = (Vec::new(), Vec::new());
    for (index, node) in nodes.iter().enumerate() {
        let inputs: Vec<_> = node.inputs.iter().map(|input| input.get(&tensors).clone()).collect();
        let values: Vec<i32> = inputs.iter().map(|(_, value)| *value).collect();
        let outputs: Vec<String> = (0..node.outputs).map(|o| format!("t{index}_{o}")).collect();
        let name = |kind: &str, n: usize| format!("{kind}{n}");
        let keys = |kind: &str, count: usize| (0..count).map(|n| name(kind, n)).collect::<Vec<_>>().join(",");
        let map = |kind: &str, tensors: Vec<&String>| {
            let pairs = tensors.iter().enumerate().map(|(n, tensor)| format!("{}={tensor}", name(kind, n)));
            pairs.collect::<Vec<_>>().join(",")
        };
        let config = io(&keys("X", inputs.len()), &keys("Y", node.outputs));
        let here = Arc::clone(&waiting);
        models.push(Fake::new(&name("m", index), &config, move |request| here.lock().push((index, request))));
        let inputs = map("X", inputs.iter().map(|(tensor, _)| tensor).collect());
        steps.push(step(&name("m", index), &inputs, &map("Y", outputs.iter().collect())));
        for (o, output) in outputs.into_iter().enumerate() {
            tensors.push((output, compute(index, &values, o)));
        }
    }
    // The config may list steps in any order.
    steps.reverse();
    let names: Vec<_> = tensors[1..].iter().map(|(name, _)| name.as_str()).collect();
    let models: Vec<_> = models.iter().collect();
    let ensemble = ensemble(&io("IN", &names.join(",")), &steps.concat(), &models).unwrap();
    Case { ensemble, waiting, expected: tensors[1..].iter().map(|(_, value)| *value).collect() }
}

/// A step of a chain: answers once, or the given number of times.
#[derive(Clone, Copy, Debug)]
enum Link {
    Once,
    Many(i32),
}

impl Link {
    /// The outputs for an input.
    fn of(self, x: i32) -> Vec<i32> {
        match self {
            Link::Once => vec![x.wrapping_mul(3).wrapping_add(1)],
            Link::Many(count) => (0..count).map(|n| x.wrapping_mul(7).wrapping_add(n)).collect(),
        }
    }
}

fn links() -> impl Strategy<Value = Vec<Link>> {
    prop::collection::vec(prop_oneof![Just(Link::Once), (0..4).prop_map(Link::Many)], 1..6)
}

proptest! {
    #[test]
    fn every_response_of_a_decoupled_step_goes_its_own_way(
        links in links(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let waiting = Waiting::default();
        let mut models = Vec::new();
        let mut steps = String::new();
        for (index, link) in links.iter().enumerate() {
            let decoupled = match link {
                Link::Once => "",
                Link::Many(_) => "model_transaction_policy { decoupled: true }",
            };
            let here = Arc::clone(&waiting);
            let name = format!("m{index}");
            models.push(Fake::new(&name, &(io("X", "Y") + decoupled), move |request| {
                here.lock().push((index, request));
            }));
            let to = if index + 1 == links.len() { "OUT".to_owned() } else { format!("t{index}") };
            let from = index.checked_sub(1).map_or_else(|| "IN".to_owned(), |before| format!("t{before}"));
            steps += &step(&name, &format!("X={from}"), &format!("Y={to}"));
        }
        let models: Vec<_> = models.iter().collect();
        let ensemble = ensemble(&io("IN", "OUT"), &steps, &models).unwrap();
        let delivery = if ensemble.is_decoupled() { Delivery::Many } else { Delivery::Once };
        let (request, receiver) = request(&[Some(1)], delivery);
        ensemble.enqueue(request);
        for pick in picks.iter().cycle() {
            let mut queue = waiting.lock();
            if queue.is_empty() {
                break;
            }
            let at = pick.index(queue.len());
            let (index, mut request) = queue.remove(at);
            drop(queue);
            let made = links[index].of(numbers(&request)[0].unwrap());
            match links[index] {
                Link::Once => answer(request, &made),
                Link::Many(_) => {
                    for number in made {
                        let response = response(&request, &[number]);
                        request.response.send(response);
                    }
                    request.response.finish(request.queued, &ExecutionTimes::now());
                }
            }
        }
        let mut expected = links.iter().fold(vec![1], |numbers, link| {
            numbers.into_iter().flat_map(|x| link.of(x)).collect()
        });
        let events = events(receiver);
        prop_assert!(!matches!(events.last(), Some(Event::Failed(_)) | None));
        let mut got: Vec<i32> = events
            .iter()
            .filter_map(|event| match event {
                Event::Response { response, .. } => Some(outputs(response)[0].1),
                Event::ResponseFailed(_) | Event::Failed(_) | Event::End => None,
            })
            .collect();
        expected.sort_unstable();
        got.sort_unstable();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn is_what_following_the_graph_gives(
        nodes in nodes(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8),
        wanted in prop::collection::vec(any::<bool>(), 14),
    ) {
        let Case { ensemble, waiting, expected } = case(&nodes);
        let (mut request, receiver) = request(&[Some(5)], Delivery::Once);
        let mut asked: Vec<usize> = (0..expected.len()).filter(|&o| wanted[o]).collect();
        if asked.is_empty() {
            asked = (0..expected.len()).collect();
        } else {
            request.outputs = WantedOutputs::none_of(expected.len());
            for &output in &asked {
                request.outputs.add(output);
            }
        }
        ensemble.enqueue(request);
        for pick in picks.iter().cycle() {
            let mut waiting = waiting.lock();
            if waiting.is_empty() {
                break;
            }
            let at = pick.index(waiting.len());
            let (step, request) = waiting.remove(at);
            drop(waiting);
            let inputs: Vec<i32> = numbers(&request).iter().map(|n| n.unwrap()).collect();
            let made: Vec<i32> = (0..2).map(|output| compute(step, &inputs, output)).collect();
            answer(request, &made);
        }
        let response = block_on(receiver.only()).unwrap();
        let got: BTreeMap<usize, i32> = outputs(&response).into_iter().collect();
        let want: BTreeMap<usize, i32> = asked.iter().map(|&output| (output, expected[output])).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn there_is_one_last_event_whatever_happens(nodes in nodes(), outcomes in outcomes(20, 8)) {
        let Case { ensemble, waiting, .. } = case(&nodes);
        let (request, receiver) = request(&[Some(5)], Delivery::Once);
        ensemble.enqueue(request);
        let next = |pick: &prop::sample::Index| {
            let mut queue = waiting.lock();
            let at = (!queue.is_empty()).then(|| pick.index(queue.len()))?;
            Some(queue.remove(at).1)
        };
        one_last_event(&outcomes, receiver, next, |request| answer(request, &[1, 2]))?;
        prop_assert!(waiting.lock().is_empty());
    }
}

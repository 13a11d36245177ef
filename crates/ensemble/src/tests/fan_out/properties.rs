//! Any rows give what the whole gives, in whatever order they are answered; and there is one last event.

use hippocamp_backend::{InputTensor, Request};
use hippocamp_tensor::Shape;
use proptest::prelude::*;

use super::super::kit::*;
use super::super::outcomes::{one_last_event, outcomes};
use super::*;
proptest! {
    /// Rows of `width` numbers through two models, of which the first sees the row and the second one more tensor for all
    /// rows: the same as for the whole at once, in whatever order rows are answered.
    #[test]
    fn is_what_the_whole_batch_gives(
        numbers in prop::collection::vec(any::<i32>(), 0..40),
        width in 1usize..4,
        inflight in 1usize..6,
        batches in any::<bool>(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let count = numbers.len() / width;
        let whole = &numbers[..count * width];
        let max = if batches { "max_batch_size: 8 " } else { "" };
        let tensor = |kind: &str, name: &str| {
            format!("{kind} {{ name: \"{name}\" data_type: TYPE_INT32 dims: [ {width} ] }} ")
        };
        let (m, held) = Fake::held("m", &(max.to_owned() + &tensor("input", "X") + &tensor("output", "Y")));
        let rows = |kind: &str, name: &str| {
            format!("{kind} {{ name: \"{name}\" data_type: TYPE_INT32 dims: [ -1, {width} ] }} ")
        };
        let inflight = inflight.to_string();
        let parameters = settings(&[("fan_out.m", "IN"), ("fan_out.m.max_inflight", &inflight)]);
        let io_ = rows("input", "IN") + &rows("output", "OUT") + &parameters;
        let ensemble = ensemble(&io_, &step("m", "X=IN", "Y=OUT"), &[&m]).unwrap();
        let shape = Shape::from([count as i64, width as i64]);
        let (request, receiver) = request_of(vec![InputTensor { shape, data: bytes(whole).into() }]);
        ensemble.enqueue(request);
        let mut waiting = Vec::new();
        for pick in picks.iter().cycle() {
            waiting.extend(held.take(held.len()));
            if waiting.is_empty() {
                break;
            }
            let request: Request = waiting.remove(pick.index(waiting.len()));
            let input = request.inputs[0].as_ref().unwrap();
            let (shape, x) = (input.shape.to_vec(), all_numbers(&input.data));
            respond(request, &shape, &x.iter().map(|x| x.wrapping_mul(3)).collect::<Vec<_>>());
        }
        let (shape, got) = output(&block_on(receiver.only()).unwrap(), 0);
        prop_assert_eq!(shape, [count as i64, width as i64]);
        prop_assert_eq!(got, whole.iter().map(|x| x.wrapping_mul(3)).collect::<Vec<_>>());
    }

    #[test]
    fn there_is_one_last_event_whatever_happens_to_rows(
        count in 0usize..12,
        inflight in 1usize..5,
        outcomes in outcomes(30, 16),
    ) {
        let (m, held) = Fake::held("m", &io("X", "Y"));
        let ensemble = mapped(&m, &[("fan_out.m.max_inflight", &inflight.to_string())]);
        let (request, receiver) = given(&(0..count as i32).collect::<Vec<_>>());
        ensemble.enqueue(request);
        let mut waiting = Vec::new();
        let next = |pick: &prop::sample::Index| {
            waiting.extend(held.take(held.len()));
            assert!(waiting.len() <= inflight);
            let at = (!waiting.is_empty()).then(|| pick.index(waiting.len()))?;
            Some(waiting.remove(at))
        };
        one_last_event(&outcomes, receiver, next, |request| answer(request, &[1]))?;
    }
}

//! Steps that are answered, fail, are dropped, or whose client hangs up: one last event comes of all of it.

use hippocamp_backend::{Error, Event, FailureReason, Request, ResponseReceiver};
use proptest::prelude::*;
use proptest::sample::Index;

use super::kit::events;

/// How a request of a step is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answer,
    Fail,
    Drop,
    HangUp,
}

/// Which of the waiting requests is the next, and what becomes of it. For each of the others there are `answers` answers.
pub(super) fn outcomes(answers: u32, count: usize) -> impl Strategy<Value = Vec<(Index, Outcome)>> {
    let outcome = prop_oneof![
        answers => Just(Outcome::Answer), 1 => Just(Outcome::Fail), 1 => Just(Outcome::Drop), 1 => Just(Outcome::HangUp)
    ];
    prop::collection::vec((any::<Index>(), outcome), count)
}

/// Goes on with what `next` takes until nothing waits, and checks that requests are cancelled after the first that is
/// not answered, and that the client gets one event.
pub(super) fn one_last_event(
    outcomes: &[(Index, Outcome)],
    receiver: ResponseReceiver,
    mut next: impl FnMut(&Index) -> Option<Request>,
    answer: impl Fn(Request),
) -> Result<(), TestCaseError> {
    let (mut receiver, mut failed) = (Some(receiver), false);
    for (pick, outcome) in outcomes.iter().cycle() {
        let Some(request) = next(pick) else { break };
        if failed {
            prop_assert!(request.is_cancelled());
        }
        match outcome {
            Outcome::Answer => answer(request),
            Outcome::Fail => request.fail(Error::internal("told to"), FailureReason::Backend),
            Outcome::Drop => drop(request),
            Outcome::HangUp => {
                receiver = None;
                drop(request);
            }
        }
        failed |= *outcome != Outcome::Answer;
    }
    if let Some(receiver) = receiver {
        let events = events(receiver);
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(failed, matches!(events[0], Event::Failed(_)));
    }
    Ok(())
}

//! Requests of sequences: which of its sequence a request is, and the correlation ids of the sequences.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use hippocamp_client::Parameter;

/// A request's place in a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) id: u64,
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

impl Step {
    /// The parameters of a request that tell its place.
    pub(crate) fn parameters(&self) -> [(&'static str, Parameter); 3] {
        [
            ("sequence_id", Parameter::Int(self.id.cast_signed())),
            ("sequence_start", Parameter::Bool(self.is_first)),
            ("sequence_end", Parameter::Bool(self.is_last)),
        ]
    }
}

/// The requests of one sequence after the other.
#[derive(Debug)]
pub(crate) struct Sequences {
    length: u32,
    /// How many requests of the current sequence were sent.
    sent: u32,
    id: u64,
}

impl Sequences {
    pub(crate) fn new(length: u32) -> Sequences {
        Sequences { length, sent: length, id: 0 }
    }

    /// The place of the next request.
    pub(crate) fn next(&mut self) -> Step {
        if self.sent >= self.length {
            (self.sent, self.id) = (0, next_id());
        }
        self.sent += 1;
        Step { id: self.id, is_first: self.sent == 1, is_last: self.sent == self.length }
    }

    /// The place of a last request that ends the current sequence early; `None` if no sequence has begun.
    pub(crate) fn end(&mut self) -> Option<Step> {
        let has_begun = (1..self.length).contains(&self.sent);
        self.sent = self.length;
        has_begun.then_some(Step { id: self.id, is_first: false, is_last: true })
    }

    /// Gives the current sequence up: the server may not know it any more.
    pub(crate) fn restart(&mut self) {
        self.sent = self.length;
    }
}

/// A correlation id that no other sequence of this process has, and hardly one of another.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // At least 1, and a number that every protocol can carry.
    let first = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (now.as_micros() as u64) << 10 & (i64::MAX as u64) | 1
    };
    let _ = NEXT.compare_exchange(0, first(), Ordering::Relaxed, Ordering::Relaxed);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sequence_begins_and_ends_once() {
        let mut sequences = Sequences::new(3);
        let steps: Vec<Step> = (0..7).map(|_| sequences.next()).collect();
        let flags: Vec<(bool, bool)> = steps.iter().map(|step| (step.is_first, step.is_last)).collect();
        let one = [(true, false), (false, false), (false, true)];
        assert_eq!(flags, [&one[..], &one, &one[..1]].concat());
        assert_eq!(steps[0].id, steps[2].id);
        assert!(steps[0].id != 0 && steps[0].id != steps[3].id);
        assert_eq!(sequences.end(), Some(Step { id: steps[6].id, is_first: false, is_last: true }));
        assert_eq!(sequences.end(), None);
    }

    #[test]
    fn a_sequence_of_one_request_begins_and_ends_with_it() {
        let mut sequences = Sequences::new(1);
        let (first, second) = (sequences.next(), sequences.next());
        assert!(first.is_first && first.is_last && second.is_first && second.is_last);
        assert_ne!(first.id, second.id);
        assert_eq!(sequences.end(), None);
    }

    #[test]
    fn a_sequence_that_was_given_up_is_not_ended() {
        let mut sequences = Sequences::new(5);
        let first = sequences.next();
        sequences.restart();
        assert_eq!(sequences.end(), None);
        assert_ne!(sequences.next().id, first.id);
    }
}

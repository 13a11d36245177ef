//! Selects the k best of many scores without sorting all of them.

use std::cmp::Ordering;

/// A score and its index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub score: f32,
    pub index: u32,
}

impl Candidate {
    /// Orders by descending score, then by ascending index.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "what sorts passes references")]
    fn order(&self, other: &Candidate) -> Ordering {
        other.score.total_cmp(&self.score).then(self.index.cmp(&other.index))
    }
}

/// Keeps the best candidates pushed so far, in memory for about `2 * limit` of them.
///
/// Candidates come by rising index. Once there are `limit`, [`Best::cut`] rises to the worst of them, so that the
/// caller can skip most candidates by one comparison.
#[derive(Debug)]
pub(crate) struct Best {
    limit: usize,
    cut: f32,
    candidates: Vec<Candidate>,
}

impl Best {
    /// Selects the `limit` best scores above `threshold`.
    pub(crate) fn new(limit: usize, threshold: f32) -> Best {
        let cut = if limit == 0 { f32::INFINITY } else { threshold };
        Best { limit, cut, candidates: Vec::new() }
    }

    /// Only scores above this one can still be selected.
    pub(crate) fn cut(&self) -> f32 {
        self.cut
    }

    /// Adds a candidate if its score is above the cut; never NaN.
    pub(crate) fn push(&mut self, score: f32, index: u32) {
        if score > self.cut {
            self.candidates.push(Candidate { score, index });
            if self.candidates.len() >= self.limit.saturating_mul(2).saturating_add(64) {
                self.shrink();
                // A later candidate with the same score has a higher index, so it comes after the worst.
                self.cut = self.candidates[self.limit - 1].score;
            }
        }
    }

    fn shrink(&mut self) {
        if self.candidates.len() > self.limit {
            self.candidates.select_nth_unstable_by(self.limit, Candidate::order);
            self.candidates.truncate(self.limit);
        }
        if let Some(last) = self.limit.checked_sub(1).filter(|&last| last < self.candidates.len()) {
            self.candidates.select_nth_unstable_by(last, Candidate::order);
        }
    }

    /// The selected candidates, best first.
    pub(crate) fn finish(mut self) -> Vec<Candidate> {
        self.shrink();
        self.candidates.sort_unstable_by(Candidate::order);
        self.candidates
    }
}

/// The `k` best of a row of scores, best first; never NaN.
pub fn top_k(scores: &[f32], k: usize) -> Vec<Candidate> {
    let mut best = Best::new(k, f32::NEG_INFINITY);
    for (index, &score) in scores.iter().enumerate() {
        best.push(score, index as u32);
    }
    best.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_wanted_or_there() {
        assert_eq!(top_k(&[1.0, 2.0], 0), []);
        assert_eq!(top_k(&[], 3), []);
        assert_eq!(top_k(&[f32::NAN], 3), []);
    }

    #[test]
    fn equal_scores_come_in_the_order_of_their_places() {
        let scores = vec![0.5; 1000];
        let places: Vec<u32> = top_k(&scores, 5).iter().map(|c| c.index).collect();
        assert_eq!(places, [0, 1, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn the_best_are_the_head_of_all_when_sorted(
            scores in prop::collection::vec(prop_oneof![(-9i8..9).prop_map(f32::from), Just(f32::NAN)], 0..600),
            k in 0usize..70,
            threshold in -9i8..9,
        ) {
            let mut all: Vec<Candidate> = scores.iter().enumerate()
                .map(|(index, &score)| Candidate { score, index: index as u32 })
                .filter(|c| c.score > f32::from(threshold))
                .collect();
            all.sort_by(|a, b| b.score.total_cmp(&a.score));
            all.truncate(k);
            let mut best = Best::new(k, f32::from(threshold));
            for (index, &score) in scores.iter().enumerate() {
                best.push(score, index as u32);
            }
            prop_assert_eq!(best.finish(), all);
        }
    }
}

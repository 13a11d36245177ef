//! How throughputs of several settings compare that were measured in turns.

use super::outcome::least_better;

/// The 97.5 % quantiles of Student's distribution by degrees of freedom, from one on.
const STUDENT: [f64; 20] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086,
];

/// Whoever reaches less than this share of the best in turns is not it: no error of a measurement is as large.
const FAR: f64 = 0.75;

/// The means of the logarithms of what was measured, and how sure their differences are.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    means: Vec<f64>,
    /// Half the width of the interval of 95 % of a difference of two; infinite if too little was measured.
    half: f64,
}

impl Comparison {
    /// Of a row for each setting, all of the same length, with a value above 0 for each turn. What made a whole turn faster or slower,
    /// such as the clock of the processor, is in all rows and no error of their differences.
    pub(crate) fn of(rows: &[Vec<f64>]) -> Comparison {
        let turns = rows.iter().map(Vec::len).min().unwrap_or(0);
        let logs: Vec<Vec<f64>> =
            rows.iter().map(|row| row[..turns].iter().map(|value| value.ln()).collect()).collect();
        let means: Vec<f64> = logs.iter().map(|row| mean(row.iter())).collect();
        let all = mean(means.iter());
        let mut squares = 0.0;
        for turn in 0..turns {
            let of_turn = mean(logs.iter().map(|row| &row[turn]));
            squares += (logs.iter().zip(&means))
                .map(|(row, mean)| (row[turn] - mean - of_turn + all).powi(2))
                .sum::<f64>();
        }
        let freedom = rows.len().saturating_sub(1) * turns.saturating_sub(1);
        let half = if freedom == 0 {
            f64::INFINITY
        } else {
            let student = STUDENT.get(freedom - 1).copied().unwrap_or(2.0);
            student * (2.0 * squares / (freedom * turns) as f64).sqrt()
        };
        Comparison { means, half }
    }

    /// The one with the highest mean.
    pub(crate) fn best(&self) -> usize {
        (0..self.means.len()).max_by(|a, b| self.means[*a].total_cmp(&self.means[*b])).unwrap_or(0)
    }

    /// Whether the first is better than the second by what counts, and that is not luck.
    pub(crate) fn is_better(&self, first: usize, second: usize) -> bool {
        let by = self.means[first] - self.means[second];
        by > least_better(1.0).ln() && by > self.half.min(-FAR.ln())
    }

    /// Whether the first is better than the second by what counts, as far as is known.
    pub(crate) fn seems_better(&self, first: usize, second: usize) -> bool {
        self.means[first] - self.means[second] > least_better(1.0).ln().max(self.half / 2.0)
    }

    /// Whether the first may turn out to be better than the second by what counts.
    pub(crate) fn may_be_better(&self, first: usize, second: usize) -> bool {
        self.means[first] - self.means[second] + self.half > least_better(1.0).ln()
    }
}

fn mean<'a>(values: impl ExactSizeIterator<Item = &'a f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_have_in_a_turn_is_no_error() {
        // The second is 10 % better in each turn, of which the last is twice as fast for all.
        let comparison = Comparison::of(&[vec![100.0, 90.0, 200.0], vec![110.0, 99.0, 220.0]]);
        assert!(comparison.half < 1e-6);
        assert_eq!(comparison.best(), 1);
        assert!(comparison.is_better(1, 0) && !comparison.may_be_better(0, 1));
    }

    #[test]
    fn what_spreads_more_than_it_differs_is_not_known() {
        let comparison = Comparison::of(&[vec![100.0, 120.0, 90.0], vec![125.0, 95.0, 115.0]]);
        assert!(!comparison.is_better(1, 0) && !comparison.seems_better(1, 0));
        assert!(comparison.may_be_better(1, 0) && comparison.may_be_better(0, 1));
        // Two turns that agree within a hundredth may do so by chance.
        let comparison = Comparison::of(&[vec![100.0, 101.0], vec![105.0, 107.0]]);
        assert!(comparison.half > 0.05 && comparison.may_be_better(1, 0));
    }

    #[test]
    fn the_same_is_the_same_once_the_interval_says_so() {
        let rows = [vec![100.0, 101.0, 99.0, 100.0], vec![100.5, 101.0, 99.5, 99.8]];
        let comparison = Comparison::of(&rows);
        assert!(comparison.half < 0.02, "{comparison:?}");
        assert!(!comparison.may_be_better(0, 1) && !comparison.may_be_better(1, 0));
    }

    #[test]
    fn half_as_much_is_worse_after_one_turn() {
        let comparison = Comparison::of(&[vec![100.0], vec![50.0]]);
        assert!(comparison.is_better(0, 1));
        assert!(comparison.half.is_infinite() && !comparison.seems_better(0, 1));
    }

    #[test]
    fn the_interval_of_two_is_that_of_their_differences() {
        let row = |logs: [f64; 3]| logs.map(f64::exp).to_vec();
        let comparison = Comparison::of(&[row([1.0, 3.0, 2.0]), row([1.1, 3.2, 2.3])]);
        // Student's quantile for 2 degrees of freedom, and a standard deviation of 0.1 of three.
        assert!((comparison.half - 4.303 * 0.1 / 3f64.sqrt()).abs() < 1e-6, "{comparison:?}");
    }
}

//! Softmax along rows.

/// Applies softmax in place to each row of `width` numbers. A row with NaN becomes NaN.
pub fn softmax(values: &mut [f32], width: usize) {
    if width == 0 {
        return;
    }
    for row in values.chunks_mut(width) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // A row of minus infinities becomes a uniform distribution.
        let top = if top == f32::NEG_INFINITY { 0.0 } else { top };
        for value in row.iter_mut() {
            *value = (*value - top).exp();
        }
        let sum: f32 = row.iter().sum();
        let factor = 1.0 / sum;
        for value in row.iter_mut() {
            *value *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_are_apart() {
        let mut values = [0.0, 0.0, 1000.0, 0.0, 3f32.ln(), 0.0];
        softmax(&mut values, 2);
        for (got, want) in values.iter().zip([0.5, 0.5, 1.0, 0.0, 0.75, 0.25]) {
            assert!((got - want).abs() < 1e-6, "{values:?}");
        }
        softmax(&mut values, 0);
    }

    proptest! {
        #[test]
        fn a_row_sums_to_one_and_keeps_its_order(mut row in prop::collection::vec(-80f32..80.0, 1..50)) {
            let before = row.clone();
            let width = row.len();
            softmax(&mut row, width);
            prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            for i in 1..width {
                prop_assert!(before[i - 1] > before[i] || row[i - 1] <= row[i]);
            }
        }
    }
}

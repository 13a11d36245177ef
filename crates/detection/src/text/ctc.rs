//! The text of a line, of a network trained with connectionist temporal classification.

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    pub text: String,
    /// The mean of the letters' probabilities; 0 without letters.
    pub score: f32,
}

/// Reads the best class of each step: class 0 is none, and one that follows itself is the same letter. The letter of class `n`
/// is `letters[n - 1]`; a class beyond them is a space. `classes` is the length of a row.
pub fn ctc_decode(rows: &[f32], classes: usize, letters: &[String]) -> Read {
    let mut read = Read::default();
    let (mut sum, mut count, mut before) = (0.0, 0u32, 0);
    for row in rows.chunks_exact(classes.max(1)) {
        let first = (0usize, row[0]);
        let (best, score) = row
            .iter()
            .copied()
            .enumerate()
            .fold(first, |best, here| if here.1 > best.1 { here } else { best });
        if best != 0 && best != before {
            read.text.push_str(letters.get(best - 1).map_or(" ", String::as_str));
            sum += f64::from(score);
            count += 1;
        }
        before = best;
    }
    if count > 0 {
        read.score = (sum / f64::from(count)) as f32;
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_letters_are_one_unless_something_is_between() {
        let letters = ["a".to_owned(), "b".to_owned()];
        let row = |class: usize, score: f32| (0..4).map(move |at| if at == class { score } else { 0.0 });
        let rows: Vec<f32> = [(0, 0.9), (1, 0.5), (1, 0.7), (0, 0.8), (1, 1.0), (3, 0.6), (2, 0.7)]
            .into_iter()
            .flat_map(|(class, score)| row(class, score))
            .collect();
        let read = ctc_decode(&rows, 4, &letters);
        assert_eq!(read.text, "aa b");
        assert!((read.score - 0.7).abs() < 1e-6, "{}", read.score);
        assert_eq!(ctc_decode(&[], 4, &letters), Read::default());
        assert_eq!(ctc_decode(&[f32::NAN; 8], 4, &letters), Read::default());
        assert_eq!(ctc_decode(&[1.0], 0, &letters), Read::default());
    }
}

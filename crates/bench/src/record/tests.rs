use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// The latencies of requests that took so many microseconds.
fn record(micros: &[u64]) -> Record {
    let begin = Instant::now();
    let mut record = Record::default();
    for &micros in micros {
        record.add(true, begin, begin + Duration::from_micros(micros), Ok(Reply::SINGLE));
    }
    record
}

/// The value below or at which a share of the sorted values lies, by definition.
fn quantile(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted[rank.min(sorted.len()) - 1]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A quantile of the histogram is the exact one, but for a part in a thousand.
    #[test]
    fn quantiles_are_exact_to_three_digits(mut micros in vec(1u64..50_000_000, 1..400)) {
        let record = record(&micros);
        micros.sort_unstable();
        for share in [0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let want = quantile(&micros, share) * 1000;
            let got = record.latencies.value_at_quantile(share);
            prop_assert!(got.abs_diff(want) <= want / 1000 + 1, "{share}: {got} instead of {want}");
        }
    }

    /// It makes no difference how requests are spread over threads.
    #[test]
    fn threads_add_up(micros in vec(1u64..50_000_000, 0..200), threads in 1usize..5) {
        let mut all = Record::default();
        for part in micros.chunks(micros.len().div_ceil(threads).max(1)) {
            all.merge(&record(part));
        }
        let one = record(&micros);
        prop_assert_eq!(&all.latencies, &one.latencies);
        prop_assert_eq!((all.answered(), all.responses), (micros.len() as u64, micros.len() as u64));
    }

    #[test]
    fn quantiles_do_not_decrease(micros in vec(1u64..10_000_000_000, 1..100)) {
        let record = record(&micros);
        let values: Vec<u64> = (0..=40).map(|part| record.latencies.value_at_quantile(f64::from(part) / 40.0)).collect();
        prop_assert!(values.is_sorted());
        prop_assert!(values[40] >= record.latencies.max());
    }
}

#[test]
fn errors_are_counted_by_text_and_bounded() {
    let now = Instant::now();
    let mut record = Record::default();
    for number in 0..100 {
        record.add(true, now, now, Err(&Fault::Refused(format!("error {}", number % 50))));
    }
    record.add(true, now, now, Err(&Fault::Broken("error 1".to_owned())));
    assert_eq!((record.failed(), record.answered()), (101, 0));
    assert_eq!(record.errors.len(), MAX_TEXTS + 1);
    assert_eq!((record.errors["error 1"], record.errors["others"]), (3, 36));
    let mut both = record.clone();
    both.merge(&record);
    assert_eq!(both.failed(), 202);
}

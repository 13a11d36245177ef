//! What is taken out of a metrics page.

use std::collections::BTreeMap;

/// A model version, by its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) model: String,
    pub(crate) version: String,
}

/// The counters of a model version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) success: f64,
    pub(crate) failure: f64,
    pub(crate) inferences: f64,
    pub(crate) executions: f64,
    pub(crate) request_us: f64,
    pub(crate) queue_us: f64,
    pub(crate) pending: f64,
    /// Upper bound in microseconds and number of requests up to it, in the order of the page.
    pub(crate) buckets: Vec<(f64, f64)>,
}

impl Counters {
    /// Whether something was counted here that is not in `later`: the model was loaded anew meanwhile, or the server started.
    pub(crate) fn is_beyond(&self, later: &Counters) -> bool {
        let counts = |of: &Counters| {
            [of.success, of.failure, of.inferences, of.executions, of.request_us, of.queue_us]
        };
        counts(self).iter().zip(counts(later)).any(|(before, now)| *before > now)
    }
}

/// One look at the page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) models: BTreeMap<Name, Counters>,
    /// Sums of the other metrics, and of how many series, by name.
    pub(crate) sums: BTreeMap<String, (f64, u32)>,
}

impl Page {
    /// Takes what it knows; what it does not know or understand is passed over.
    pub(crate) fn read(text: &str) -> Page {
        let mut page = Page::default();
        for (metric, labels, value) in text.lines().filter_map(sample) {
            let Some(model) = label(labels, "model").filter(|_| metric.starts_with("nv_inference_")) else {
                let (sum, count) = page.sums.entry(metric.to_owned()).or_default();
                (*sum, *count) = (*sum + value, *count + 1);
                continue;
            };
            let name = Name { model, version: label(labels, "version").unwrap_or_default() };
            let counters = page.models.entry(name).or_default();
            match metric {
                "nv_inference_request_success" => counters.success += value,
                "nv_inference_request_failure" => counters.failure += value,
                "nv_inference_count" => counters.inferences += value,
                "nv_inference_exec_count" => counters.executions += value,
                "nv_inference_request_duration_us" => counters.request_us += value,
                "nv_inference_queue_duration_us" => counters.queue_us += value,
                "nv_inference_pending_request_count" => counters.pending += value,
                "nv_inference_request_histogram_us_bucket" => {
                    let bound =
                        label(labels, "le").and_then(|bound| bound.parse().ok()).unwrap_or(f64::INFINITY);
                    // A version on several GPUs has a series for each.
                    match counters.buckets.iter_mut().find(|(other, _)| other.total_cmp(&bound).is_eq()) {
                        Some((_, count)) => *count += value,
                        None => counters.buckets.push((bound, value)),
                    }
                }
                _ => {}
            }
        }
        page
    }

    pub(crate) fn sum(&self, metric: &str) -> Option<f64> {
        self.sums.get(metric).map(|(sum, _)| *sum)
    }

    /// Of all series of the metric, such as one for each GPU.
    pub(crate) fn mean(&self, metric: &str) -> Option<f64> {
        self.sums.get(metric).map(|(sum, count)| sum / f64::from(*count))
    }
}

/// Name, labels and value of a line.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (front, labels, behind) = match line.split_once('{') {
        // The last one: a label's value may have a brace.
        Some((name, rest)) => rest.rsplit_once('}').map(|(labels, value)| (name, labels, value))?,
        None => line.split_once(' ').map(|(name, value)| (name, "", value))?,
    };
    // A time may come behind the value.
    let value: f64 = behind.split_whitespace().next()?.parse().ok()?;
    value.is_finite().then_some((front.trim(), labels, value))
}

/// The value of a label, without its escapes.
fn label(labels: &str, wanted: &str) -> Option<String> {
    let mut rest = labels;
    loop {
        let (name, behind) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = behind.char_indices();
        let end = loop {
            match letters.next()? {
                (place, '"') => break place,
                (_, '\\') => value.push(match letters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, letter) => value.push(letter),
            }
        };
        if name.trim_start_matches(',').trim() == wanted {
            return Some(value);
        }
        rest = &behind[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_anything_in_them() {
        let page = Page::read(
            "# HELP x y\nnv_inference_request_success{model=\"a\\\"},{b\",version=\"1\"} 7 1700000000\n\
             nv_inference_request_failure{model=\"a\\\"},{b\",version=\"1\",reason=\"OTHER\"} 1\n\
             nv_inference_request_failure{model=\"a\\\"},{b\",version=\"1\",reason=\"BACKEND\"} 2\n\
             nv_inference_request_histogram_us_bucket{model=\"a\\\"},{b\",version=\"1\",le=\"+Inf\"} 3\n\
             nv_cpu_utilization 0.5\nnv_gpu_utilization{gpu_uuid=\"x\"} 0.25\nnv_gpu_utilization{gpu_uuid=\"y\"} 0.5\nbroken{ 1\n nan NaN\n",
        );
        let name = Name { model: "a\"},{b".to_owned(), version: "1".to_owned() };
        let counters = &page.models[&name];
        assert_eq!((counters.success, counters.failure), (7.0, 3.0));
        assert_eq!(counters.buckets, [(f64::INFINITY, 3.0)]);
        assert_eq!(page.sum("nv_cpu_utilization"), Some(0.5));
        assert_eq!(page.sum("nv_gpu_utilization"), Some(0.75));
        assert_eq!(page.mean("nv_gpu_utilization"), Some(0.375));
        assert_eq!(page.sum("nan"), None);
    }

    #[test]
    fn buckets_of_several_gpus_are_added_up() {
        let bucket = |gpu: &str, bound: &str, count: u32| {
            format!(
                "nv_inference_request_histogram_us_bucket{{model=\"a\",version=\"1\",gpu_uuid=\"{gpu}\",le=\"{bound}\"}} {count}\n"
            )
        };
        let text = bucket("x", "100", 2)
            + &bucket("x", "+Inf", 5)
            + &bucket("y", "100", 0)
            + &bucket("y", "+Inf", 1);
        let page = Page::read(&text);
        let name = Name { model: "a".to_owned(), version: "1".to_owned() };
        assert_eq!(page.models[&name].buckets, [(100.0, 2.0), (f64::INFINITY, 6.0)]);
    }

    proptest::proptest! {
        #[test]
        fn any_page_is_read(text in "(?s).{0,300}", line in "nv_inference_count\\{[a-z=\",\\\\{}]{0,40}\\} [0-9.e+-]{0,8}") {
            Page::read(&text);
            Page::read(&line);
        }
    }
}

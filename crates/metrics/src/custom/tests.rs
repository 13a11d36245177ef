use std::thread;

use super::*;

fn text(metrics: &CustomMetrics) -> String {
    let mut page = Page::default();
    metrics.write(&mut page);
    page.into_text()
}

#[test]
fn families_and_metrics_are_shared_by_name_and_labels() {
    let metrics = CustomMetrics::default();
    let first = metrics.family(Kind::Counter, "tokens_total", "Made\ntokens \\").expect("a family");
    let second = metrics.family(Kind::Counter, "tokens_total", "other help").expect("the same");
    let a = first.metric(&[("b", "x\"y"), ("a", "1")], None).expect("a metric");
    let b = second.metric(&[("a", "0"), ("a", "1"), ("b", "x\"y")], None).expect("the same");
    a.increment(1.5).expect("a counter");
    b.increment(2.0).expect("a counter");
    assert_eq!(a.value(), Ok(3.5));
    let want = "# HELP tokens_total Made\\ntokens \\\\\n# TYPE tokens_total counter\n\
                tokens_total{a=\"1\",b=\"x\\\"y\"} 3.5\n";
    assert_eq!(text(&metrics), want);
    assert_eq!((first.live_metrics(), second.live_metrics()), (1, 1));
    drop((a, first));
    assert_eq!(text(&metrics), want, "there is another handle");
    drop(b);
    assert_eq!((text(&metrics).as_str(), second.live_metrics()), ("", 0));
}

#[test]
fn a_name_is_free_when_its_last_handle_is_dropped() {
    let metrics = CustomMetrics::default();
    let family = metrics.family(Kind::Counter, "x", "").expect("a family");
    let metric = family.metric(&[], None).expect("a metric");
    let fault = metrics.family(Kind::Gauge, "x", "").expect_err("of another kind");
    assert_eq!(fault.kind(), MetricFaultKind::Invalid);
    assert_eq!(fault.message(), "metric family 'x' is a counter, and a gauge was asked for");
    drop(family);
    metrics.family(Kind::Gauge, "x", "").expect_err("a metric is left");
    drop(metric);
    metrics.family(Kind::Gauge, "x", "").expect("a free name");
    assert_eq!(metrics.lock().bytes, 0);
}

#[test]
fn each_kind_has_its_operations() {
    let metrics = CustomMetrics::default();
    let make =
        |kind, name, bounds| metrics.family(kind, name, "h").and_then(|f| f.metric(&[], bounds)).expect(name);
    let counter = make(Kind::Counter, "c", None);
    let gauge = make(Kind::Gauge, "g", None);
    let histogram = make(Kind::Histogram, "h", Some(&[0.5, 2.0, f64::INFINITY][..]));
    counter.increment(1e20).expect("adds");
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(counter.increment(wrong).expect_err("no").kind(), MetricFaultKind::Invalid);
    }
    gauge.increment(3.0).and_then(|()| gauge.increment(-4.5)).expect("both ways");
    assert_eq!(gauge.value(), Ok(-1.5));
    gauge.set(f64::NEG_INFINITY).expect("any number");
    for value in [0.5, 0.75, 9.0] {
        histogram.observe(value).expect("counts");
    }
    histogram.observe(f64::NAN).expect_err("it would spoil the sum");
    let unsupported = [counter.set(1.0), counter.observe(1.0), gauge.observe(1.0), histogram.set(1.0)];
    for fault in unsupported.into_iter().chain([histogram.increment(1.0), histogram.value().map(|_| ())]) {
        assert_eq!(fault.expect_err("no such operation").kind(), MetricFaultKind::Unsupported);
    }
    let fault = histogram.value().expect_err("it has none");
    assert_eq!(fault.message(), "TRITONSERVER_METRIC_KIND_HISTOGRAM does not support Value");
    let want = "# HELP c h\n# TYPE c counter\nc 1e20\n# HELP g h\n# TYPE g gauge\ng -Inf\n\
                # HELP h h\n# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"2\"} 2\n\
                h_bucket{le=\"+Inf\"} 3\nh_sum 10.25\nh_count 3\n";
    assert_eq!(text(&metrics), want);
}

#[test]
fn refuses_what_prometheus_cannot_read() {
    let metrics = CustomMetrics::default();
    for name in ["", "1x", "a b", "é", "a-b", "a\nb", "a{"] {
        metrics.family(Kind::Gauge, name, "").expect_err(name);
    }
    metrics.family(Kind::Summary, "s", "").expect_err("no summaries");
    let family = metrics.family(Kind::Histogram, "vllm:time", "").expect("a name with a colon");
    for label in ["", "0", "a:b", "__name__", "le", "a b"] {
        family.metric(&[(label, "")], Some(&[])).expect_err(label);
    }
    for bounds in [&[1.0, 1.0][..], &[2.0, 1.0], &[f64::NAN], &[f64::INFINITY, 1.0]] {
        family.metric(&[], Some(bounds)).expect_err("bounds");
    }
    family.metric(&[], None).expect_err("a histogram has bounds");
    let gauge = metrics.family(Kind::Gauge, "g", "").expect("a gauge");
    gauge.metric(&[], Some(&[1.0])).expect_err("a gauge has none");
    gauge.metric(&[("le", "1")], None).expect("a label as any other");
    metrics.family(Kind::Counter, "vllm:time_count", "").expect_err("a sample of the histogram");
    let _sum = metrics.family(Kind::Counter, "other_sum", "").expect("there is no such histogram");
    metrics.family(Kind::Histogram, "other", "").expect_err("its sum would be there twice");
}

#[test]
fn a_family_of_the_server_is_not_there_twice() {
    let metrics = CustomMetrics::default();
    let family = metrics.family(Kind::Counter, "nv_inference_count", "").expect("a family");
    let _metric = family.metric(&[], None).expect("a metric");
    let mut page = Page::default();
    page.family("nv_inference_count", "ours", Kind::Counter).sample(&[], 1);
    metrics.write(&mut page);
    let text = page.into_text();
    assert_eq!(text.matches("# TYPE nv_inference_count").count(), 1, "{text}");
    assert!(
        text.ends_with(
            "# nv_inference_count of a backend is left out: the server has samples of that name\n"
        )
    );
}

#[test]
fn a_sample_of_the_server_is_not_there_twice() {
    let metrics = CustomMetrics::default();
    let held: Vec<_> = ["summary_sum", "histogram_bucket", "summary_bucket", "fine_sum"]
        .into_iter()
        .map(|name| {
            let family = metrics.family(Kind::Gauge, name, "").expect(name);
            family.metric(&[], None).expect(name)
        })
        .collect();
    let histogram = metrics.family(Kind::Histogram, "own", "").expect("a family");
    let buckets = histogram.metric(&[], Some(&[])).expect("a metric");
    let mut page = Page::default();
    page.family("summary", "", Kind::Summary).summary(&[], [], 1, 1);
    page.family("histogram", "", Kind::Histogram).buckets(&[], [(None::<u8>, 1)].into_iter(), 1);
    page.family("own_count", "", Kind::Counter).sample(&[], 1);
    page.family("fine", "", Kind::Gauge).sample(&[], 1);
    metrics.write(&mut page);
    let text = page.into_text();
    for left_out in ["summary_sum", "histogram_bucket", "own"] {
        assert!(text.contains(&format!("# {left_out} of a backend is left out")), "{left_out}: {text}");
    }
    for there in ["summary_bucket 0\n", "fine_sum 0\n"] {
        assert!(text.contains(there), "{there}: {text}");
    }
    let mut samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let count = samples.len();
    samples.sort_unstable();
    samples.dedup_by_key(|line| line.rsplit_once(' ').map(|(name, _)| name));
    assert_eq!(samples.len(), count, "{text}");
    drop((held, buckets));
}

#[test]
fn the_page_is_bounded_and_a_family_cannot_fill_it() {
    let metrics = CustomMetrics::default();
    let flood = |name: &str| {
        let family = metrics.family(Kind::Counter, name, "h").expect("a family");
        let mut made = Vec::new();
        loop {
            match family.metric(&[("request", &made.len().to_string())], None) {
                Ok(metric) => made.push(metric),
                Err(fault) => break (fault, made, family),
            }
        }
    };
    let (fault, held, _family) = flood("first");
    assert_eq!(fault.kind(), MetricFaultKind::Full);
    assert!(fault.message().contains("'first'") && held.len() > 5_000, "{} {fault}", held.len());
    metrics.family(Kind::Gauge, "neighbour", "").and_then(|f| f.metric(&[], None)).expect("there is room");
    let mut all = Vec::new();
    for number in 0..8 {
        all.push(flood(&format!("further_{number}")));
    }
    metrics.family(Kind::Gauge, "neighbour", &"x".repeat(10_000)).expect_err("now all is full");
    assert!(text(&metrics).len() <= ALL_BYTES);
    let long = "x".repeat(2 << 20);
    assert_eq!(
        metrics.family(Kind::Gauge, "long", &long).expect_err("too long").kind(),
        MetricFaultKind::Invalid
    );
    drop((held, all));
    metrics.family(Kind::Gauge, "neighbour", &"x".repeat(10_000)).expect("there is room again");
}

#[test]
fn threads_make_count_and_drop_at_the_same_time() {
    let metrics = CustomMetrics::default();
    let kept = metrics.family(Kind::Counter, "n", "").expect("a family");
    let total = kept.metric(&[("of", "all")], None).expect("a metric");
    thread::scope(|scope| {
        for thread in 0..4 {
            let metrics = &metrics;
            scope.spawn(move || {
                for round in 0..500 {
                    let family = metrics.family(Kind::Counter, "n", "").expect("a family");
                    let all = family.metric(&[("of", "all")], None).expect("a metric");
                    let own = family.metric(&[("of", &format!("{thread} {round}"))], None).expect("a metric");
                    all.increment(1.0).and_then(|()| own.increment(1.0)).expect("counts");
                    assert_eq!(own.value(), Ok(1.0));
                    if round % 100 == 0 {
                        assert!(text(metrics).contains("n{of=\"all\"} "));
                    }
                }
            });
        }
    });
    assert_eq!(total.value(), Ok(2_000.0));
    assert_eq!(text(&metrics).lines().count(), 3);
}

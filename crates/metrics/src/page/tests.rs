use super::*;

#[test]
fn writes_families_with_labels() {
    let mut page = Page::default();
    let mut family = page.family("nv_x", "What x is", Kind::Counter);
    family.sample(&[("model", "a\"b"), ("version", "1")], 7);
    page.family("nv_y", "y", Kind::Gauge).sample(&[], 0.5);
    page.family("nv_z", "without samples", Kind::Gauge);
    let want = "# HELP nv_x What x is\n# TYPE nv_x counter\nnv_x{model=\"a\\\"b\",version=\"1\"} 7\n\
                # HELP nv_y y\n# TYPE nv_y gauge\nnv_y 0.5\n";
    assert_eq!(page.into_text(), want);
}

#[test]
fn writes_a_histogram_that_adds_up() {
    let mut h = Histogram::default();
    h.observe_ns(30_000);
    let mut page = Page::default();
    page.family("nv_h", "h", Kind::Histogram).histogram(&[("model", "m")], &h);
    let text = page.into_text();
    assert!(text.contains("nv_h_bucket{model=\"m\",le=\"25\"} 0\n"));
    assert!(text.contains("nv_h_bucket{model=\"m\",le=\"50\"} 1\n"));
    assert!(text.contains("nv_h_bucket{model=\"m\",le=\"+Inf\"} 1\n"));
    assert!(text.contains("nv_h_sum{model=\"m\"} 30\nnv_h_count{model=\"m\"} 1\n"));
}

#[test]
fn writes_bounds_and_quantiles() {
    let mut h = BoundedHistogram::new([100.0, 0.5, f64::INFINITY]);
    h.observe(7);
    let mut page = Page::default();
    page.family("h", "h", Kind::Histogram).bounded(&[], &h);
    page.family("s", "s", Kind::Summary).summary(&[("a", "b")], [(0.5, 2.0), (0.99, f64::NAN)], 9, 3);
    let want = "# HELP h h\n# TYPE h histogram\n\
                h_bucket{le=\"0.5\"} 0\nh_bucket{le=\"100\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 7\nh_count 1\n\
                # HELP s s\n# TYPE s summary\n\
                s{a=\"b\",quantile=\"0.5\"} 2\ns{a=\"b\",quantile=\"0.99\"} NaN\ns_sum{a=\"b\"} 9\ns_count{a=\"b\"} 3\n";
    assert_eq!(page.into_text(), want);
}

#[test]
fn a_series_has_a_place_for_one_more_label() {
    let line = |series: &Series| {
        let mut text = String::new();
        series.write(&mut text);
        text
    };
    let series = Series::new(&[("_t", "1"), ("model", "m\n")], &[("version", "2")]);
    assert_eq!(line(&series), r#"_t="1",model="m\n",version="2""#);
    assert_eq!(line(&series.with("reason", "R")), r#"_t="1",model="m\n",reason="R",version="2""#);
    assert_eq!(line(&Series::new(&[], &[("v", "2")]).with("r", "x")), r#"r="x",v="2""#);
    assert_eq!(line(&Series::new(&[("v", "2")], &[]).with("r", "x")), r#"v="2",r="x""#);
    assert_eq!(line(&Series::default().with("r", "x")), r#"r="x""#);
}

#[test]
fn a_long_page_comes_in_parts_of_whole_lines() {
    let mut page = Page::default();
    let mut family = page.family("x", "x", Kind::Counter);
    for number in 0..20_000 {
        family.sample(&[("label", "some text")], number);
    }
    let parts = page.into_parts();
    assert!(parts.len() > 5, "{}", parts.len());
    assert!(parts.iter().all(|part| part.len() < PART + 1024 && part.ends_with('\n')));
    assert_eq!(parts.concat().lines().count(), 20_002);
}

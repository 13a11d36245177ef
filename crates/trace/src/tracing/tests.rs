use std::sync::Mutex;
use std::time::Instant;

use hippocamp_events::{ObservedTensor, TensorPlace};

use super::*;
use crate::{Activity, FinishedTrace, Level, What};

/// Keeps what it gets.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<FinishedTrace>>);

impl TraceSink for Kept {
    fn collect(&self, trace: FinishedTrace) {
        self.0.lock().unwrap().push(trace);
    }
}

const ON: Level = Level { timestamps: true, tensors: false };

fn exported(rate: u32, parents: ParentRule) -> (Tracing, Arc<Kept>) {
    let start = StartSettings { mode: Mode::OpenTelemetry, level: ON, rate, ..StartSettings::default() };
    let sink = Arc::<Kept>::default();
    (
        Tracing::new(&start, parents, vec![("url".to_owned(), vec!["u".to_owned()])], Arc::clone(&sink) as _),
        sink,
    )
}

fn with_parent(tracing: &Tracing, flags: &str) -> bool {
    let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
    let header = |name: &str| match name {
        "traceparent" => Some(&*parent),
        "tracestate" => Some("a=b"),
        _ => None,
    };
    tracing.sample("m", header).is_some()
}

#[test]
fn a_client_that_records_is_followed_whatever_the_rate() {
    let (tracing, sink) = exported(0, ParentRule::AsTheClient);
    assert!(with_parent(&tracing, "01") && !with_parent(&tracing, "00"));
    assert!(tracing.sample("m", |_| None).is_none());
    let traces = sink.0.lock().unwrap();
    let [trace] = traces.as_slice() else { panic!("{traces:?}") };
    assert_eq!(trace.trace_id[..2], [0x4b, 0xf9]);
    let parent = trace.parent.as_ref().unwrap();
    assert_eq!((parent.parent.parent_id[0], parent.state.as_deref()), (0, Some("a=b")));
    assert!(trace.ended >= trace.began.0);
    assert!(tracing.change(None, &Change::default()).is_ok(), "a rate of 0 has a meaning here");
}

#[test]
fn other_rules_about_clients() {
    let (always, _) = exported(0, ParentRule::Always);
    assert!(with_parent(&always, "00") && with_parent(&always, "01"));
    let (never, _) = exported(2, ParentRule::Never);
    assert!(!with_parent(&never, "01") && with_parent(&never, "01"));
}

#[test]
fn in_tritons_mode_clients_say_nothing() {
    let start = StartSettings { level: ON, rate: 2, file: "f".to_owned(), ..StartSettings::default() };
    let tracing = Tracing::new(&start, ParentRule::default(), vec![], Arc::new(NoSink));
    assert!(!with_parent(&tracing, "01") && with_parent(&tracing, "00"));
}

#[test]
fn what_traces_of_requests_hold_that_are_not_done_is_bounded() {
    let level = Level { timestamps: true, tensors: true };
    let start = StartSettings { level, rate: 1, file: "f".to_owned(), ..StartSettings::default() };
    let sink = Arc::<Kept>::default();
    let tracing = Tracing::new(&start, ParentRule::default(), vec![], Arc::clone(&sink) as _);
    let data = vec![0; 40 << 20];
    let tensor = ObservedTensor {
        place: TensorPlace::Output,
        name: "OUT",
        data_type: "UINT8",
        shape: &[40 << 20],
        data: &data,
    };
    let [one, other] = [(), ()].map(|()| tracing.sample("m", |_| None).unwrap());
    one.observer().on_tensor(&tensor);
    other.observer().on_tensor(&tensor);
    let small = ObservedTensor { shape: &[24 << 20], data: &data[..24 << 20], ..tensor };
    other.observer().on_tensor(&ObservedTensor { shape: &[20 << 20], data: &data[..20 << 20], ..small });
    assert!(other.observer().of_step().is_some());
    for _ in 0..1 << 20 {
        other.observer().on_activity("step", Instant::now());
    }
    assert!(other.observer().of_step().is_none(), "there is no room for more");
    other.mark(Activity::HttpSendEnd);
    drop(one);
    assert!(other.observer().of_step().is_some());
    other.observer().on_tensor(&small);
    drop(other);
    let traces = sink.0.lock().unwrap();
    let tensors = |trace: &FinishedTrace| {
        let tensors = trace.records.iter().filter_map(|record| match &record.what {
            What::Tensor(tensor) => Some(tensor.data.len() >> 20),
            _ => None,
        });
        tensors.collect::<Vec<_>>()
    };
    assert_eq!(traces.iter().map(tensors).collect::<Vec<_>>(), [vec![40], vec![20, 24]]);
    assert!(traces[1].records.iter().any(|record| matches!(record.what, What::Time { .. })));
    assert_eq!(tracing.unfinished.held(), 0);
}

#[test]
fn clients_see_the_settings_of_the_mode() {
    let names = |tracing: &Tracing| -> Vec<String> {
        tracing.settings(None).into_iter().map(|(name, _)| name).collect()
    };
    let triton = Tracing::default();
    assert_eq!(
        names(&triton),
        ["trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file", "trace_mode"]
    );
    let (exported, _) = exported(1, ParentRule::default());
    assert_eq!(names(&exported), ["trace_level", "trace_rate", "trace_count", "trace_mode", "url"]);
    assert_eq!(exported.settings(None)[0].1, ["TIMESTAMPS"]);
}

#[test]
fn a_models_setting_counts_by_itself() {
    let (tracing, _) = exported(1000, ParentRule::default());
    let every = Change { rate: crate::Field::Set(1), count: crate::Field::Set(2), ..Change::default() };
    tracing.change(Some("m"), &every).unwrap();
    let hits: Vec<bool> = (0..3).map(|_| tracing.sample("m", |_| None).is_some()).collect();
    assert_eq!(hits, [true, true, false]);
    assert!(tracing.sample("other", |_| None).is_none());
    let count = |model| tracing.settings(model)[2].1[0].clone();
    assert_eq!((count(Some("m")), count(Some("other")), count(None)), ("0".into(), "-1".into(), "-1".into()));
    // A change of the server is none of what the model set itself.
    tracing.change(None, &Change { rate: crate::Field::Set(7), ..Change::default() }).unwrap();
    assert_eq!((count(Some("m")), tracing.settings(Some("m"))[1].1[0].as_str()), ("0".into(), "1"));
    assert!(tracing.sample("m", |_| None).is_none());
}

#[test]
fn tracing_is_off_when_no_setting_has_a_level() {
    let tracing = Tracing::new(
        &StartSettings { file: "f".to_owned(), ..StartSettings::default() },
        ParentRule::default(),
        vec![],
        Arc::new(NoSink),
    );
    assert!(!tracing.is_on());
    let level = |level| Change { level: crate::Field::Set(level), ..Change::default() };
    tracing.change(Some("m"), &level(ON)).unwrap();
    assert!(tracing.is_on());
    tracing.change(Some("m"), &level(Level::OFF)).unwrap();
    assert!(!tracing.is_on());
}

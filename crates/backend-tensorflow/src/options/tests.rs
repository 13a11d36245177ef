use hippocamp_model_config::parse;

use super::*;

fn options(text: &str) -> Result<Options> {
    Options::of("m", &parse(text, "config.pbtxt").unwrap().config)
}

fn parameters(all: &[(&str, &str)]) -> String {
    let each = |(key, value): &(&str, &str)| {
        format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}\n")
    };
    all.iter().map(each).collect()
}

#[test]
fn takes_tritons_parameters() {
    let text = parameters(&[
        ("TF_NUM_INTRA_THREADS", "3"),
        ("TF_NUM_INTER_THREADS", "2"),
        ("TF_USE_PER_SESSION_THREADS", "yes"),
        ("TF_GRAPH_TAG", "serve1"),
        ("TF_SIGNATURE_DEF", "serving2"),
        ("TF_INIT_OPS_FILE", "init_ops.json"),
        ("MAX_SESSION_SHARE_COUNT", "4"),
        ("somebody_elses", "x"),
    ]);
    let options = options(&text).unwrap();
    let expected = Options {
        intra_threads: Some(3),
        inter_threads: Some(2),
        per_session_threads: true,
        session_share_count: Some(4),
        graph_tag: Some("serve1".into()),
        signature: Some("serving2".into()),
        init_ops_file: Some("init_ops.json".into()),
        jit_level: 0,
    };
    assert_eq!(options, expected);
}

#[test]
fn threads_are_the_models_or_the_servers() {
    let settings = Settings { intra_op_thread_count: 8, ..Settings::new("lib.so") };
    let threads = |text: &[(&str, &str)], settings: &Settings| {
        let config = options(&parameters(text)).unwrap().session_config(settings);
        (
            config.intra_op_parallelism_threads,
            config.inter_op_parallelism_threads,
            config.use_per_session_threads,
        )
    };
    assert_eq!(threads(&[], &settings), (8, -1, false));
    assert_eq!(threads(&[("TF_NUM_INTRA_THREADS", "1")], &settings), (1, -1, false));
    assert_eq!(threads(&[("TF_NUM_INTER_THREADS", "1")], &settings), (8, -1, false));
    assert_eq!(threads(&[("TF_NUM_INTER_THREADS", "3")], &settings), (8, 3, true));
    assert_eq!(threads(&[("TF_USE_PER_SESSION_THREADS", "1")], &settings), (8, 0, true));
    let across = Settings { inter_op_thread_count: Some(4), ..settings };
    assert_eq!(threads(&[], &across), (8, 4, true));
    assert_eq!(threads(&[("TF_NUM_INTER_THREADS", "1")], &across), (8, -1, false));
}

#[test]
fn the_level_of_the_graph_is_that_of_xla() {
    let level =
        |level: i32| options(&format!("optimization {{ graph {{ level: {level} }} }}")).unwrap().jit_level;
    assert_eq!([-1, 0, 1, 2, 7, -5].map(level), [-1, 0, 1, 2, 2, 0]);
}

#[test]
fn says_what_is_wrong() {
    let error = |text: &str| options(text).unwrap_err().message().to_owned();
    assert_eq!(
        error(&parameters(&[("TF_NUM_INTRA_THREADS", "-2")])),
        "unable to load model 'm', parameter 'TF_NUM_INTRA_THREADS' was expected to be a number of threads, got '-2'"
    );
    assert_eq!(
        error(&parameters(&[("MAX_SESSION_SHARE_COUNT", "0")])),
        "unable to load model 'm', parameter 'MAX_SESSION_SHARE_COUNT' was expected to be a number of instances from 1 on, \
         got '0'"
    );
    assert!(
        error(&parameters(&[("TF_USE_PER_SESSION_THREADS", "maybe")]))
            .ends_with("true or false, got 'maybe'")
    );
    assert!(error("model_operations { op_library_filename: \"ops.so\" }").contains("'ops.so'"));
    let accelerator =
        "optimization { execution_accelerators { cpu_execution_accelerator [ { name: \"openvino\" } ] } }";
    assert!(error(accelerator).contains("CPU Execution Accelerator is not supported"));
}

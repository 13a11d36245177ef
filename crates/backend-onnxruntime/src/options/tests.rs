use hippocamp_model_config::parse;

use super::*;

fn options(text: &str) -> Result<Options> {
    Options::of("m", &parse(text, "config.pbtxt").unwrap().config)
}

fn with(key: &str, value: &str) -> Result<Options> {
    options(&format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}"))
}

fn refused(key: &str, value: &str) -> String {
    with(key, value).unwrap_err().reason()
}

#[test]
fn no_parameters_mean_the_engines_defaults() {
    let options = options("").unwrap();
    assert_eq!(options.level, GraphOptimizationLevel::All);
    assert_eq!(options.counts, ThreadCounts::default());
    assert_eq!((options.mem_arena, options.mem_pattern), (None, None));
    assert!(options.session_entries.is_empty() && options.run_entries.is_empty());
}

#[test]
fn takes_tritons_parameters() {
    let text = r#"
        parameters { key: "intra_op_thread_count" value { string_value: "2" } }
        parameters { key: "inter_op_thread_count" value { string_value: "0" } }
        parameters { key: "execution_mode" value { string_value: "1" } }
        parameters { key: "enable_mem_arena" value { string_value: "true" } }
        parameters { key: "enable_mem_pattern" value { string_value: "0" } }
        parameters { key: "memory.enable_memory_arena_shrinkage" value { string_value: "cpu:0;gpu:1" } }
        parameters { key: "session.use_device_allocator_for_initializers" value { string_value: "1" } }
        parameters { key: "tokenizer" value { string_value: "of somebody else" } }"#;
    let options = options(text).unwrap();
    assert_eq!(options.counts, ThreadCounts { intra: Some(2), parallel: true, ..ThreadCounts::default() });
    assert_eq!((options.mem_arena, options.mem_pattern), (Some(true), Some(false)));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(options.session_entries, [pair("session.use_device_allocator_for_initializers", "1")]);
    assert_eq!(options.run_entries, [pair("memory.enable_memory_arena_shrinkage", "cpu:0;gpu:1")]);
    assert!(options.sets("session.use_device_allocator_for_initializers"));
}

#[test]
fn levels_are_tritons() {
    for (level, expected) in [
        ("-1", GraphOptimizationLevel::Level1),
        ("0", GraphOptimizationLevel::All),
        ("1", GraphOptimizationLevel::Level2),
        ("2", GraphOptimizationLevel::Disable),
    ] {
        let of_config = options(&format!("optimization {{ graph {{ level: {level} }} }}")).unwrap();
        assert_eq!(of_config.level, expected);
        assert_eq!(with("level", level).unwrap().level, expected);
    }
    // Triton accepts any number in the field; in the parameter it is refused.
    let of_config = options("optimization { graph { level: 7 } }").unwrap();
    assert_eq!(of_config.level, GraphOptimizationLevel::All);
    assert_eq!(
        refused("level", "7"),
        "Invalid argument: unable to load model 'm', parameter 'level' was expected to be -1 (basic), 0 (all), \
         1 (extended) or 2 (none), got '7'"
    );
}

#[test]
fn wrong_values_are_refused_by_name() {
    assert_eq!(
        refused("intra_op_thread_count", "many"),
        "Invalid argument: unable to load model 'm', parameter 'intra_op_thread_count' was expected to be a number of \
         threads, got 'many'"
    );
    assert_eq!(
        refused("execution_mode", "2"),
        "Invalid argument: unable to load model 'm', parameter 'execution_mode' was expected to be true or false, got '2'"
    );
    for (key, value) in [
        ("enable_mem_arena", ""),
        ("enable_mem_pattern", "on"),
        ("inter_op_thread_count", "-2"),
        ("intra_op_thread_count", "99999999999999999999"),
        ("share_session_between_instances", "2"),
        ("memory.enable_memory_arena_shrinkage", "cpu"),
        ("memory.enable_memory_arena_shrinkage", "tpu:0"),
        ("memory.enable_memory_arena_shrinkage", ""),
        ("session.x", "a\\000b"),
    ] {
        let reason = refused(key, value);
        assert!(
            reason.starts_with("Invalid argument: unable to load model 'm', parameter '"),
            "{key}: {reason}"
        );
    }
}

#[test]
fn an_arena_that_is_off_cannot_shrink() {
    let text = r#"
        parameters { key: "enable_mem_arena" value { string_value: "0" } }
        parameters { key: "memory.enable_memory_arena_shrinkage" value { string_value: "cpu:0" } }"#;
    assert!(options(text).unwrap_err().message().contains("because enable_mem_arena is 0"));
}

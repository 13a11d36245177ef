use std::ffi::OsString;

use std::time::Duration;

use hippocamp_torchserve::{LoadModels, TorchServeConfig};

use super::*;

fn parse(flags: &[&str]) -> Result<Args, String> {
    let all = ["hippocamp"].iter().chain(flags).copied().map(OsString::from);
    let (known, others) = other_flags::sort(all);
    others?;
    try_parse(known).map_err(|e| e.to_string())
}

/// Parses flags with a repository added.
fn with_models(flags: &[&str]) -> Result<Args, String> {
    parse(&[&["--model-repository=/m"], flags].concat())
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn the_defaults_are_tritons() {
    let args = parse(&["--model-repository=/models"]).unwrap();
    assert_eq!((args.http.http_port, args.grpc.grpc_port, args.metrics.metrics_port), (8000, 8001, 8002));
    assert_eq!(args.http.http_max_input_size, 64 * 1024 * 1024);
    assert!(args.exit_on_error && args.http.allow_http && args.grpc.allow_grpc);
    assert_eq!(args.strict_readiness, Readiness::All);
    assert_eq!(args.exit_timeout_secs, 30);
    assert_eq!(args.models.model_load_thread_count, 4);
}

#[test]
fn a_file_for_the_access_log_wants_its_format() {
    let told = with_models(&["--access-log-file=/l"]).unwrap_err();
    assert!(told.contains("--access-log <FORMAT>"), "{told}");
    assert!(with_models(&["--access-log-file=/l", "--access-log=json"]).is_ok());
}

#[test]
fn values_come_behind_a_space_or_an_equals_sign() {
    let args = parse(&[
        "--model-store",
        "/a",
        "--model-repository=/b",
        "--allow-http",
        "false",
        "--exit-on-error=0",
    ]);
    let args = args.unwrap();
    assert_eq!(args.models.model_repository.len(), 2);
    assert!(!args.http.allow_http && !args.exit_on_error);
}

#[test]
fn a_repository_is_required() {
    assert!(parse(&[]).unwrap_err().contains("--model-repository <FOLDER>"));
}

#[test]
fn backend_settings_are_sorted_by_backend() {
    let args = parse(&[
        "--model-repository=/m",
        "--backend-config=default-max-batch-size=8",
        "--backend-config=onnxruntime,threads=2",
        "--backend-config=onnxruntime,default-max-batch-size=16",
    ]);
    let models = args.unwrap().models;
    let onnxruntime = [("threads", "2"), ("default-max-batch-size", "16")];
    assert_eq!(models.backend_settings("onnxruntime"), onnxruntime);
    assert_eq!(models.backend_settings("identity"), []);
    let sizes = [(String::new(), 8), ("onnxruntime".to_owned(), 16)];
    assert_eq!(models.default_max_batch_size().unwrap(), sizes.into());
    assert!(parse(&["--model-repository=/m", "--backend-config=nonsense"]).is_err());
}

#[test]
fn a_budget_needs_models_that_stand_by() {
    let budget = |flags: &[&str]| {
        let all: Vec<&str> = ["--model-repository=/m"].iter().chain(flags).copied().collect();
        let models = parse(&all)?.models;
        models.memory_budget().map(|budget| (models.lazy_load, budget)).map_err(|e| e.to_string())
    };
    assert_eq!(budget(&[]), Ok((false, 0)));
    assert_eq!(budget(&["--lazy-load"]), Ok((true, 0)));
    assert_eq!(budget(&["--lazy-load=false"]), Ok((false, 0)));
    assert_eq!(budget(&["--lazy-load", "--lazy-load-memory-budget=4096"]), Ok((true, 4096)));
    assert!(budget(&["--lazy-load-memory-budget=4096"]).unwrap_err().contains("without --lazy-load"));
    assert!(budget(&["--lazy-load", "--lazy-load-memory-budget=4G"]).is_err());
}

#[test]
fn the_cache_has_a_size() {
    let size = |flags: &[&str]| {
        let all: Vec<&str> = ["--model-repository=/m"].iter().chain(flags).copied().collect();
        parse(&all)?.cache.byte_size().map_err(|e| e.to_string())
    };
    assert_eq!(size(&[]), Ok(0));
    assert_eq!(size(&["--cache-config=local,size=1048576"]), Ok(1 << 20));
    assert_eq!(size(&["--cache-config", "local,size=1"]), Ok(1));
    assert_eq!(size(&["--response-cache-byte-size=2048"]), Ok(2048));
    for (flags, expected) in [
        (vec!["--cache-config=local"], "'<cache name>,<setting>=<value>'"),
        (vec!["--cache-config=redis,host=h"], "there is no cache 'redis'"),
        (vec!["--cache-config=local,ttl=1"], "has no setting 'ttl'"),
        (vec!["--cache-config=local,size=-1"], "should be a number of bytes, got '-1'"),
        (vec!["--cache-config=local,size=1", "--response-cache-byte-size=1"], "Incompatible flags"),
    ] {
        let error = size(&flags).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let refused = parse(&["--model-repository=/m", "--allow-sagemaker=true"]).unwrap_err();
    assert_eq!(refused, "--allow-sagemaker is a flag of tritonserver that is not supported yet");
    parse(&["--model-repository=/m", "--allow-sagemaker=false"]).unwrap();
    let poll = parse(&["--model-repository=/m", "--model-control-mode=poll"]).unwrap();
    assert_eq!(poll.models.watch().unwrap().poll, Some(Duration::from_secs(15)));
    let never = parse(&["--model-repository=/m", "--model-control-mode=poll", "--repository-poll-secs=0"]);
    assert_eq!(never.unwrap().models.watch().unwrap().poll, None);
    assert!(parse(&["--model-repository=/m"]).unwrap().models.watch().is_none());
}

#[test]
fn what_tunes_nothing_here_is_passed_over_with_a_warning() {
    let flags =
        ["hippocamp", "--grpc-infer-thread-count", "4", "--model-repository=/m", "--http-thread-count=8"];
    let (known, warnings) = other_flags::sort(flags.map(OsString::from));
    assert_eq!(known, ["hippocamp", "--model-repository=/m"]);
    assert_eq!(
        warnings.unwrap(),
        [
            "--grpc-infer-thread-count=4 has no effect in this server",
            "--http-thread-count=8 has no effect in this server"
        ]
    );
}

#[test]
fn resources_of_the_rate_limiter() {
    let parse = |more: &[&str]| parse(&[&["--model-repository=/m"], more].concat());
    let resources = ["--rate-limit-resource=R1:10", "--rate-limit-resource=R2:5:0"];
    let on = parse(&[&["--rate-limit=execution_count"], &resources[..]].concat()).unwrap();
    let given = on.instances.rate_limit().unwrap();
    let read: Vec<_> = given.iter().map(|given| (&*given.name, given.count, given.device)).collect();
    assert_eq!(read, [("R1", 10, None), ("R2", 5, Some(0))]);
    assert_eq!(parse(&resources).unwrap().instances.rate_limit(), None, "off by default");
    assert!(parse(&["--rate-limit=sometimes"]).is_err());
    for wrong in ["R1", ":1", "R1:", "R1:x", "R1:-1", "R1:1:", "R1:1:-1", "R1:1:0:0"] {
        let error = parse(&[&format!("--rate-limit-resource={wrong}")]).unwrap_err();
        assert!(error.contains("<resource_name>:<count>:<device>"), "{wrong}: {error}");
    }
}

#[test]
fn host_policies_are_gathered_by_name() {
    let parse = |more: &[&str]| parse(&[&["--model-repository=/m"], more].concat());
    let args = parse(&[
        "--host-policy=a,numa-node=0",
        "--host-policy=b,cpu-cores=1",
        "--host-policy=a,cpu-cores=0-1",
    ]);
    let policies = args.unwrap().instances.host_policies().unwrap();
    assert_eq!(policies.keys().collect::<Vec<_>>(), ["a", "b"]);
    for wrong in ["a", "a,", "a,cpu-cores", "a,cpu-cores=", ",cpu-cores=1"] {
        let error = parse(&[&format!("--host-policy={wrong}")]).unwrap_err();
        assert!(error.contains("--host-policy option format is"), "{wrong}: {error}");
    }
    let unknown = parse(&["--host-policy=a,colour=red"]).unwrap().instances.host_policies().unwrap_err();
    assert!(unknown.to_string().contains("Unsupported host policy setting 'colour'"), "{unknown}");
}

#[test]
fn the_help_names_every_flag_that_is_taken() {
    let help = command().render_long_help().to_string();
    let flags = command();
    let own = flags.get_arguments().filter_map(|arg| arg.get_long());
    let others = ["http-thread-count", "grpc-server-cert", "sagemaker-thread-count"];
    let deprecated =
        ["model-store", "strict-model-config", "response-cache-byte-size", "trace-level", "log-frequency"];
    for flag in own.chain(others).chain(deprecated) {
        assert!(help.contains(&format!("--{flag}")), "{flag}");
    }
    for more in
        ["HIPPOCAMP_ONNXRUNTIME_LIBRARY", "SIGHUP", "hippocamp check", "'tritonserver' as the first word"]
    {
        assert!(help.contains(more), "{more}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 115), "lines fit into a terminal");
}

#[test]
fn the_word_of_a_containers_command_line_is_passed_over() {
    let without = |words: &[&str]| without_tritonserver(words.iter().map(OsString::from).collect());
    for word in ["tritonserver", "/opt/tritonserver/bin/tritonserver"] {
        assert_eq!(without(&["hippocamp", word, "--id=a"]), ["hippocamp", "--id=a"]);
    }
    assert_eq!(without(&["hippocamp", "--id", "tritonserver"]), ["hippocamp", "--id", "tritonserver"]);
    assert_eq!(without(&["tritonserver"]), ["tritonserver"]);
    assert!(parse(&["something", "--model-repository=/m"]).is_err());
}

#[test]
fn of_a_flag_that_is_given_twice_the_last_counts() {
    let args =
        with_models(&["--http-port=1", "--http-port=2", "--allow-grpc=false", "--allow-grpc=true"]).unwrap();
    assert_eq!((args.http.http_port, args.grpc.allow_grpc), (2, true));
    let args = with_models(&[
        "--model-repository=/n",
        "--model-control-mode=explicit",
        "--load-model=a",
        "--load-model=b",
    ]);
    let models = args.unwrap().models;
    assert_eq!((models.model_repository.len(), models.load_model.len()), (2, 2), "these are all meant");
}

#[test]
fn what_contradicts_itself_ends_the_start_with_a_sentence() {
    for (flags, sentence) in [
        (
            &["--load-model=a"][..],
            "Use of '--load-model' requires setting '--model-control-mode=explicit' as well.",
        ),
        (&["--load-model=*", "--model-control-mode=poll"], "Use of '--load-model' requires setting"),
        (
            &["--model-control-mode=EXPLICIT", "--load-model=*", "--load-model=a"],
            "Wildcard model name '*' must be the ONLY startup model if specified at all.",
        ),
        (&["--http-max-input-size=0"], "Error: --http-max-input-size must be greater than 0."),
        (&["--model-config-name="], "Error: empty argument for --model-config-name"),
        (
            &["--model-repository="],
            "a value is required for '--model-repository <FOLDER>' but none was supplied",
        ),
        (&["--grpc-keepalive-time=0"], "0 is not in 1.."),
        (&["--strict-readiness=maybe"], "expected true, false or served"),
        (
            &["--trace-config=level"],
            "--trace-config option format is '<trace mode>,<setting>=<value>'. Got level",
        ),
    ] {
        let error = with_models(flags).unwrap_err();
        assert!(error.contains(sentence), "{flags:?}: {error}");
    }
    with_models(&["--model-control-mode=explicit", "--load-model=*", "--load-model=*"]).unwrap();
}

#[test]
fn configs_are_taken_as_they_are_written_by_either_flag() {
    let as_written = |flags: &[&str]| with_models(flags).unwrap().models.takes_configs_as_written();
    assert!(!as_written(&[]) && !as_written(&["--strict-model-config=false"]));
    assert!(as_written(&["--strict-model-config=true"]) && as_written(&["--strict-model-config", "1"]));
    assert!(as_written(&["--disable-auto-complete-config"]));
    assert!(
        as_written(&["--disable-auto-complete-config", "--strict-model-config=false"]),
        "the new one wins"
    );
    assert!(!as_written(&["--disable-auto-complete-config=false"]));
}

#[test]
fn what_only_sets_up_what_is_off_is_no_reason_to_end() {
    for flag in [
        "--trace-config=level=OFF",
        "--trace-config=rate=10",
        "--trace-level=off",
        "--trace-file=/tmp/trace.json",
        "--grpc-server-cert=/cert.pem",
        "--grpc-use-ssl=False",
        "--http-header-forward-pattern=",
        "--sagemaker-port=8080",
        "--allow-vertex-ai=OFF",
        "--vertex-ai-thread-count=8",
        "--log-file=",
        "--grpc-infer-response-compression-level=NONE",
        "--rate-limit=OFF",
    ] {
        with_models(&[flag]).unwrap();
    }
    for flag in ["--allow-sagemaker=true", "--allow-vertex-ai=true"] {
        assert!(
            with_models(&[flag])
                .unwrap_err()
                .ends_with("is a flag of tritonserver that is not supported yet")
        );
    }
}

#[test]
fn flags_of_torchserves_ports_want_its_api() {
    for flag in
        ["--ts-address=h", "--ts-metrics-port=1", "--ts-grpc-inference-port=1", "--ts-grpc-management-port=1"]
    {
        let (name, _) = flag.split_once('=').unwrap();
        let told = with_models(&[flag]).unwrap_err();
        assert!(told.contains(&format!("{name} has no effect without --allow-torchserve")), "{told}");
        assert!(with_models(&[flag, "--allow-torchserve"]).is_ok());
    }
}

#[test]
fn archives_are_named_as_in_a_file_of_torchserve() {
    let models =
        |flag: &str| with_models(&[flag]).unwrap().torchserve.load_models(&TorchServeConfig::default());
    let listed = |name: Option<&str>, file: &str| (name.map(str::to_owned), file.to_owned());
    assert_eq!(
        models("--models=a=b.mar, c.mar"),
        LoadModels::Listed(vec![listed(Some("a"), "b.mar"), listed(None, "c.mar")])
    );
    assert_eq!(
        (models("--ts-models=a.mar,ALL"), models("--ts-models=none")),
        (LoadModels::All, LoadModels::None)
    );
}

#[test]
fn tls_needs_its_files_and_is_never_silently_off() {
    let fault = |flags: &[&str]| with_models(flags).unwrap_err();
    let pair = ["--http-server-cert=c", "--http-server-key=k"];
    let with_pair = |flags: &[&'static str]| with_models(&[&pair, flags].concat());
    assert!(
        fault(&["--grpc-use-ssl=true"]).contains("TLS on the grpc port needs the certificate of the server")
    );
    assert!(fault(&["--metrics-use-ssl=1", "--metrics-server-cert=c"]).contains("--metrics-server-key=FILE"));
    assert!(with_pair(&["--http-use-ssl=true"]).is_ok());
    for mutual in ["--http-use-ssl-mutual=true", "--http-use-ssl-mutual=false"] {
        assert!(
            fault(&[mutual]).contains("needs the certificate of the server"),
            "either value switches TLS on"
        );
    }
    let fault = with_pair(&["--http-use-ssl-mutual=true"]).unwrap_err();
    assert!(
        fault.contains("the certificates that sign those of its clients: --http-root-cert=FILE"),
        "{fault}"
    );
    assert!(with_pair(&["--http-use-ssl-mutual=true", "--http-root-cert=r"]).is_ok());
    assert!(with_pair(&["--http-use-ssl=false", "--http-use-ssl-mutual=true"]).is_err());
}

#[test]
fn restrictions_have_tritons_faults() {
    let fault = |flag: &str| with_models(&[flag]).unwrap_err();
    assert!(fault("--http-restricted-api=health").contains("--http-restricted-api option format is"));
    assert!(fault("--grpc-restricted-protocol=x:k=v").contains("unknown restricted protocol 'x' "));
    assert!(
        with_models(&["--http-restricted-api=health,trace:k=v", "--http-restricted-api=logging:k=v"]).is_ok()
    );
    assert!(
        with_models(&["--unix-socket-mode=1777"]).is_err()
            && with_models(&["--unix-socket-mode=600"]).is_ok()
    );
}

#[test]
fn values_are_read_as_tritonserver_reads_them() {
    let verbose = |value: &str| with_models(&["--log-verbose", value]).map(|args| args.logging.log_verbose);
    assert_eq!((verbose("true"), verbose("0"), verbose("3")), (Ok(1), Ok(0), Ok(3)));
    assert!(verbose("loud").is_err());
    let args =
        with_models(&["--log-file=", "--grpc-max-connection-age=0", "--grpc-max-connection-age-grace=5"])
            .unwrap();
    assert_eq!(args.logging.file(), None);
    let grpc = args.grpc.settings().http2;
    assert_eq!(grpc.max_connection_age, None);
    assert_eq!(grpc.max_connection_age_grace, Some(Duration::from_millis(5)));
    let readiness = |value: &str| with_models(&["--strict-readiness", value]).unwrap().strict_readiness;
    assert_eq!(readiness("Served"), Readiness::Served);
    assert_eq!((readiness("off"), readiness("TRUE")), (Readiness::Started, Readiness::All));
}

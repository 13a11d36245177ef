use std::ffi::OsString;

use std::time::Duration;

use super::*;

fn parse(flags: &[&str]) -> Result<Args, String> {
    let all = ["hippocamp"].iter().chain(flags).copied().map(OsString::from);
    let (known, others) = other_flags::sort(all);
    others?;
    Args::try_parse_from(known).map_err(|e| e.to_string())
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn the_defaults_are_tritons() {
    let args = parse(&["--model-repository=/models"]).unwrap();
    assert_eq!((args.http.http_port, args.grpc.grpc_port, args.metrics.metrics_port), (8000, 8001, 8002));
    assert_eq!(args.http.http_max_input_size, 64 * 1024 * 1024);
    assert!(args.exit_on_error && args.strict_readiness && args.http.allow_http && args.grpc.allow_grpc);
    assert_eq!(args.exit_timeout_secs, 30);
    assert_eq!(args.models.model_load_thread_count, 4);
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
    let refused = parse(&["--model-repository=/m", "--grpc-use-ssl=true"]).unwrap_err();
    assert_eq!(refused, "--grpc-use-ssl is a flag of tritonserver that is not supported yet");
    parse(&["--model-repository=/m", "--grpc-use-ssl=false"]).unwrap();
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

mod altered;
mod containers;
mod kserve;
mod others;
mod probes;
mod scripts;

use proptest::prelude::*;

use super::*;
use crate::shell::{commands, quoted};

fn words(text: &str) -> Vec<String> {
    commands(text).remove(0)
}

fn one(text: &str) -> Order {
    let mut orders = read(&["file".to_owned()], |_| Ok(text.to_owned())).unwrap();
    assert_eq!(orders.len(), 1, "{orders:#?}");
    orders.remove(0)
}

fn said<'a>(order: &'a Order, what: &str) -> &'a Finding {
    let found = order.around.iter().find(|finding| finding.what.contains(what));
    found.unwrap_or_else(|| panic!("nothing is said of {what}: {:#?}", order.around))
}

/// The command of Triton's quick start.
const RUN: &str = "docker run --gpus=1 --rm -it -p8000:8000 -p 8001:8001 -e AWS_SECRET_ACCESS_KEY=hidden --shm-size=1g \
    --ulimit memlock=-1 -v /full/path:/models --name triton nvidia/tritonserver:24.10-py3 \
    tritonserver --model-repository=/models --http-thread-count 8";

#[test]
fn docker_run_as_words_and_as_one_text() {
    let order = one(RUN);
    assert_eq!(order.flags, ["--model-repository=/models", "--http-thread-count", "8"]);
    assert!(order.gpus);
    assert_eq!(read(&words(RUN), |_| unreachable!()).unwrap(), std::slice::from_ref(&order));
    assert_eq!(read(&[RUN.to_owned()], |_| unreachable!()).unwrap(), std::slice::from_ref(&order));
    assert_eq!(said(&order, "--ulimit").verdict, Verdict::Dropped);
    assert_eq!(said(&order, "AWS_SECRET").what, "-e AWS_SECRET_ACCESS_KEY=...", "no secret is printed");
    let new = order.rewritten(&order.flags[..1], "0.1.0");
    assert_eq!(
        new,
        "docker run --gpus=1 --rm -it -p8000:8000 -p 8001:8001 -e AWS_SECRET_ACCESS_KEY=hidden --shm-size=1g \
         -v /full/path:/models --name triton hippocamp-cuda:0.1.0 \\\n    --model-repository=/models\n"
    );
}

#[test]
fn a_shell_in_the_container_is_read() {
    let order = one(
        "docker run image/triton bash -c 'pip install numpy && exec tritonserver --model-store=/m --log-verbose=1; sleep 3'",
    );
    assert_eq!(order.flags, ["--model-store=/m", "--log-verbose=1"]);
    assert_eq!(said(&order, "pip install numpy").verdict, Verdict::Unsupported);
    assert_eq!(said(&order, "sleep").verdict, Verdict::Dropped);
}

#[test]
fn what_is_no_server_is_told() {
    let fault = |text: &str| read(&words(text), |_| Err("no such file".to_owned())).unwrap_err();
    assert!(fault("docker run -p 8000:8000").contains("no image"));
    assert!(fault("docker run --name").contains("lacks its value"));
    assert!(fault("docker run triton").contains("no command comes behind the image"));
    assert!(fault("docker run triton bash serve.sh").contains("serve.sh"));
    assert!(fault("docker run triton python3 serve.py").contains("'python3 serve.py' is no tritonserver"));
    assert!(fault("nginx -g daemon").contains("is no tritonserver"));
    assert_eq!(fault("missing.yaml"), "no such file");
    assert!(read(&[], |_| unreachable!()).is_err());
    let fault =
        read(&["f".to_owned()], |_| Ok("services:\n  web:\n    image: nginx\n".to_owned())).unwrap_err();
    assert!(fault.contains("no container"), "{fault}");
}

#[test]
fn a_plain_command_line_with_variables() {
    let order = one(
        "#!/bin/sh\nCUDA_VISIBLE_DEVICES=0 numactl --cpunodebind=0 /opt/tritonserver/bin/tritonserver \\\n  --model-repository=$MODELS\n",
    );
    assert_eq!(order.flags, ["--model-repository=$MODELS"]);
    assert_eq!(said(&order, "numactl").what, "numactl --cpunodebind=0");
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "CUDA_VISIBLE_DEVICES=0 numactl --cpunodebind=0 hippocamp \\\n    \"--model-repository=$MODELS\"\n"
    );
    let order = one("sudo docker run x/triton sh -c 'A=b tritonserver --model-repository=/m'\n");
    assert_eq!(said(&order, "A=b").verdict, Verdict::Different, "nothing can stand in front of it there");
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "sudo docker run hippocamp:1 \\\n    --model-repository=/m\n"
    );
    let order = one("A='b c' LD_PRELOAD=libtcmalloc.so tritonserver --model-repository=/m\n");
    assert_eq!(order.rewritten(&order.flags, "1"), "A='b c' hippocamp \\\n    --model-repository=/m\n");
}

#[test]
fn names_of_a_manifest_cannot_be_more_than_names() {
    let order = one(
        "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: \"c\\n  image: other\", image: triton, args: [tritonserver, \"--http-port=${PORT}\"]}]}\n",
    );
    let written = order.rewritten(&order.flags, "1");
    let read = yaml::documents(&written).unwrap();
    assert_eq!(read[0][0]["name"], "c\n  image: other", "{written}");
    assert_eq!(read[0][0]["image"], "hippocamp:1");
    assert_eq!(read[0][0]["livenessProbe"]["httpGet"]["port"], "${PORT}");
}

/// What YAML takes for a number or a truth is a text in quotation marks, and what is to be a number is no more than one.
#[test]
fn texts_stay_texts_and_numbers_numbers() {
    for name in ["true", "Null", "123", "1.5", "1e3", "1_0", "c", "c.1", "10.0.0.5"] {
        let order = one(&format!(
            "kind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: '{name}', image: triton, args: [tritonserver, --model-repository=/m]}}]}}\n"
        ));
        let written = order.rewritten(&order.flags, "1");
        let expected = if name.contains('c') || name.matches('.').count() > 1 {
            format!("- name: {name}\n")
        } else {
            format!("- name: \"{name}\"\n")
        };
        assert!(written.starts_with(&expected), "{written}");
    }
    let order = one(
        "replicaCount: \"2\\nimage: other\"\nimage: {imageName: nvidia/tritonserver, modelRepositoryPath: /m, numGpus: 1}\n",
    );
    let written = order.rewritten(&order.flags, "1");
    assert!(written.contains("replicas: \"2\\nimage: other\"\n"), "{written}");
    assert!(written.contains("gpus: 1\n"), "{written}");
}

#[test]
fn a_compose_file() {
    let order = one(
        "services:\n  web:\n    image: nginx\n  triton:\n    image: nvidia/tritonserver:24.10-py3\n    command: tritonserver --model-repository=/models\n    \
         environment: [LD_PRELOAD=/usr/lib/libtcmalloc.so, A=b]\n    shm_size: 1gb\n    ports: ['8000:8000']\n    \
         deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 1, capabilities: [gpu]}]}}}\n",
    );
    assert_eq!(order.flags, ["--model-repository=/models"]);
    assert!(order.gpus);
    assert_eq!(said(&order, "LD_PRELOAD").verdict, Verdict::Dropped);
    assert_eq!(said(&order, "shm_size").verdict, Verdict::Different);
    let new = order.rewritten(&order.flags, "0.1.0");
    assert!(new.starts_with("services:\n  triton:\n    image: hippocamp-cuda:0.1.0\n    command: [\"--model-repository=/models\"]\n"), "{new}");
    // What is printed is YAML, too.
    assert_eq!(yaml::documents(&new).unwrap().len(), 1);
}

#[test]
fn manifests_of_kubernetes() {
    let order = one(
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 8000}]}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  \
         template:\n    spec:\n      terminationGracePeriodSeconds: 30\n      volumes: [{name: shm, emptyDir: {medium: Memory}}]\n      containers:\n      \
         - {name: side, image: busybox}\n      - name: triton\n        image: nvidia/tritonserver:24.10-py3\n        command: [/bin/bash, -c]\n        \
         args: ['tritonserver --model-repository=s3://bucket/models --strict-readiness=true']\n        resources: {limits: {nvidia.com/gpu: 1}}\n        \
         lifecycle: {preStop: {exec: {command: [sleep, '20']}}}\n        env: [{name: AWS_REGION, value: eu}]\n",
    );
    assert_eq!(order.place, "container triton of Deployment d");
    assert_eq!(order.flags, ["--model-repository=s3://bucket/models", "--strict-readiness=true"]);
    assert!(order.gpus);
    assert_eq!(said(&order, "lifecycle").verdict, Verdict::Different);
    assert_eq!(said(&order, "in memory").verdict, Verdict::Different);
    let new = order.rewritten(&order.flags, "0.1.0");
    assert_eq!(yaml::documents(&new).unwrap()[0][0]["args"][1], "--strict-readiness=true");
}

#[test]
fn what_a_shell_expands_is_left_for_it_and_nothing_else() {
    let again = |text: &str| quoted(&commands(text).remove(0).remove(0));
    for (old, new) in [
        ("~/models:/m", "~/models:/m"),
        ("~/'my models':/m", "~/'my models:/m'"),
        ("'~/models'", "'~/models'"),
        (r#""$PWD/my models":/m"#, r#""$PWD/my models:/m""#),
        ("${X}:/m", r#""${X}:/m""#),
        ("'$X'", "'$X'"),
        (r"\$X", "'$X'"),
        (r#"'$X'"$Y""#, r#""\$X$Y""#),
        ("'{a,b}'", "'{a,b}'"),
        ("it\\'s", r"'it'\''s'"),
        ("$(pwd)/m:/m", "\"$(pwd)/m:/m\""),
        (r#"$(dirname "$0" | cat)/m"#, r#""$(dirname "$0" | cat)/m""#),
        (r#""$(dirname "$0")/a b""#, r#""$(dirname "$0")/a b""#),
        ("${M:-/a b}", r#""${M:-/a b}""#),
        ("\"$(\"", "'$('"),
    ] {
        assert_eq!(again(old), new, "{old}");
    }
    let order = one("docker run x/triton sh -c 'tritonserver --model-repository=$MODELS'");
    assert_eq!(said(&order, "$MODELS").verdict, Verdict::Different);
}

#[test]
fn probes_ask_the_port_that_is_served() {
    let mut order = one(
        "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: triton, args: [tritonserver, --model-repository=/m]}]}\n",
    );
    order.flags.push("--http-port=9000".to_owned());
    assert!(order.rewritten(&order.flags, "1").contains("/v2/health/ready, port: 9000"));
    order.flags.push("--allow-http=false".to_owned());
    assert!(order.rewritten(&order.flags, "1").contains("readinessProbe: {grpc: {port: 8001}}"));
}

#[test]
fn words_of_a_shell() {
    let split = |text: &str| commands(text);
    assert_eq!(split(r#"a 'b c' "d \"e" f\ g"#), [["a", "b c", "d \"e", "f g"]]);
    assert_eq!(split("a;b&&c || d\ne # f\ng"), [["a"], ["b"], ["c"], ["d"], ["e"], ["g"]]);
    assert_eq!(split("a\\\n b \"\" c#d"), [vec!["a", "b", "", "c#d"]]);
    assert_eq!(split(" \n "), Vec::<Vec<String>>::new());
    assert_eq!(
        split("if a; then ! b; fi; f() { c; }; (d); for i in x; do e; done"),
        [["a"], ["b"], ["c"], ["d"], ["e"]]
    );
    assert_eq!(split("'if' a; \\{ b; \"f()\" c; '!' d"), [["if", "a"], ["{", "b"], ["f()", "c"], ["!", "d"]]);
    assert_eq!(split("a >b 2>&1 c &>/dev/null <'d e' ; f >> $(g h)"), [vec!["a", "c"], vec!["f"]]);
}

proptest! {
    #[test]
    fn quoted_words_are_read_back(words in proptest::collection::vec("[^~(]{0,12}|[a$`'\"\\\\\u{e024}\u{e060} {},]{0,8}|~/[a$ ]{0,4}|\\$\\([a-c ]{0,3}\\)|\\$\\(\"[a )]{0,2}\"\\)|\\$\\{[a-c :-]{1,6}\\}", 1..6)) {
        let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        prop_assert_eq!(commands(&line), [words]);
    }

    #[test]
    fn nothing_that_is_written_ends_the_program(text in "(?s).{0,200}", words in proptest::collection::vec(".{0,20}", 0..6)) {
        let _ = read(&["file".to_owned()], |_| Ok(text.clone()));
        let _ = read(&words, |_| Err("none".to_owned()));
        let mut run = vec!["docker".to_owned(), "run".to_owned()];
        run.extend(words);
        let _ = read(&run, |_| Err("none".to_owned()));
    }
}

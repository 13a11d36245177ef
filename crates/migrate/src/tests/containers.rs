//! Tools that start containers.

use super::*;

#[test]
fn gpus_are_asked_for_in_many_ways() {
    let end = "x/tritonserver tritonserver --model-repository=/m";
    for options in [
        "docker run --gpus all",
        "docker run --runtime=nvidia",
        "nvidia-docker run",
        "podman run --device nvidia.com/gpu=all",
        "podman run --device=nvidia.com/gpu=0 --security-opt=label=disable",
        "docker run --device /dev/nvidia0",
        "docker run -e NVIDIA_VISIBLE_DEVICES=all",
        "apptainer exec --nv",
        "kubectl run t --overrides='{\"nvidia.com/gpu\":1}' --image=x/tritonserver -- ",
    ] {
        let order = one(&format!("{options} {end}"));
        assert!(order.gpus, "{options}");
        assert!(order.rewritten(&order.flags, "1").contains("hippocamp-cuda"), "{options}");
    }
    for options in [
        "docker run",
        "docker run --device /dev/fuse",
        "docker run -e NVIDIA_VISIBLE_DEVICES=void",
        "apptainer exec",
    ] {
        assert!(!one(&format!("{options} {end}")).gpus, "{options}");
    }
    for service in [
        "devices: ['nvidia.com/gpu=all']",
        "gpus: all",
        "runtime: nvidia",
        "environment: {NVIDIA_VISIBLE_DEVICES: 0}",
    ] {
        let order = one(&format!(
            "services:\n  t:\n    image: triton\n    command: tritonserver --model-repository=/m\n    {service}\n"
        ));
        assert!(order.gpus, "{service}");
    }
    for (pod, container) in [
        ("runtimeClassName: nvidia, ", ""),
        ("", ", resources: {limits: {nvidia.com/mig-1g.5gb: 1}}"),
        ("", ", resources: {claims: [{name: gpu}]}"),
        ("", ", env: [{name: NVIDIA_VISIBLE_DEVICES, value: all}]"),
    ] {
        let order = one(&format!(
            "kind: Pod\nmetadata: {{name: p}}\nspec: {{{pod}containers: [{{name: c, image: triton, args: [tritonserver]{container}}}]}}\n"
        ));
        assert!(order.gpus, "{pod}{container}");
    }
}

#[test]
fn what_podman_needs_for_devices_stays() {
    let order = one(
        "podman run --security-opt=label=disable --security-opt seccomp=unconfined x/tritonserver tritonserver --model-repository=/m",
    );
    assert_eq!(said(&order, "label=disable").verdict, Verdict::Kept);
    assert_eq!(said(&order, "seccomp").verdict, Verdict::Dropped);
}

#[test]
fn kubectl_run() {
    let order = one(
        "kubectl run t -n ml --image=nvcr.io/nvidia/tritonserver:24.10-py3 --env=LD_PRELOAD=libtcmalloc.so --env A=b --port 8000 --command -- tritonserver --model-repository=/m --http-port=8000",
    );
    assert_eq!(order.flags, ["--model-repository=/m", "--http-port=8000"]);
    assert_eq!(said(&order, "LD_PRELOAD").verdict, Verdict::Dropped);
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "kubectl run t -n ml --image=hippocamp:1 --env A=b --port 8000 -- \\\n    --model-repository=/m \\\n    --http-port=8000\n"
    );
    let order =
        one("kubectl create deployment t --image nvidia/tritonserver -- tritonserver --model-repository=/m");
    // What comes behind the dashes takes the entry point's place there.
    assert!(
        order
            .rewritten(&order.flags, "1")
            .starts_with("kubectl create deployment t --image=hippocamp:1 -- hippocamp \\\n")
    );
    let order = one("kubectl -n ml exec -it pod -c t -- bash -c 'tritonserver --model-repository=/m'");
    assert_eq!(order.around[0].verdict, Verdict::Unsupported, "somebody has to migrate the pod");
    let fault = read(&words("kubectl run t --image=triton"), |_| unreachable!()).unwrap_err();
    assert!(fault.contains("no command comes behind --"), "{fault}");
}

/// What is made without being started stays so.
#[test]
fn docker_create() {
    for tool in ["docker create", "podman container create"] {
        let order =
            one(&format!("{tool} -p8000:8000 nvidia/tritonserver tritonserver --model-repository=/m"));
        let tool = tool.replace(" container", "");
        assert_eq!(order.place, tool);
        assert_eq!(
            order.rewritten(&order.flags, "1"),
            format!("{tool} -p8000:8000 hippocamp:1 \\\n    --model-repository=/m\n")
        );
    }
}

#[test]
fn docker_exec() {
    let order =
        one("sudo docker exec -it -e A=b triton /opt/tritonserver/bin/tritonserver --model-repository=/m");
    assert_eq!(said(&order, "docker exec triton").verdict, Verdict::Unsupported);
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "sudo docker run -it -e A=b hippocamp:1 \\\n    --model-repository=/m\n"
    );
}

#[test]
fn apptainer() {
    let order = one(
        "singularity -q exec --nv -B /m:/models --env LD_PRELOAD=libjemalloc.so tritonserver.sif tritonserver --model-repository=/models",
    );
    assert_eq!(order.flags, ["--model-repository=/models"]);
    assert_eq!(said(&order, "LD_PRELOAD").verdict, Verdict::Dropped);
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "singularity -q run --nv -B /m:/models hippocamp-cuda.sif \\\n    --model-repository=/models\n"
    );
}

/// In the older form a name is what stands before the first blank, whatever it is made of.
#[test]
fn odd_names_of_variables_end_nothing() {
    for line in ["ENV \\é x", "ENV \"é\" x", "ENV é", "ENV", "ENV A=b\\é", "ENV A 'é x'"] {
        let order = one(&format!(
            "FROM nvidia/tritonserver\n{line}\nCMD [\"tritonserver\", \"--model-repository=/m\"]\n"
        ));
        assert_eq!(order.flags, ["--model-repository=/m"], "{line}");
    }
}

#[test]
fn a_variable_without_a_value_is_passed_on() {
    let order = one("docker run -e A -e B= x/triton tritonserver --model-repository=/m");
    assert!(order.around.iter().any(|finding| finding.what == "-e A"), "{:#?}", order.around);
    assert!(order.around.iter().any(|finding| finding.what == "-e B="), "{:#?}", order.around);
    for list in ["[A, B=]", "{A: , B: ''}"] {
        let order = one(&format!(
            "services:\n  t:\n    image: triton\n    command: tritonserver --model-repository=/m\n    environment: {list}\n"
        ));
        assert!(order.around.iter().any(|finding| finding.what == "A"), "{list}: {:#?}", order.around);
        assert!(order.around.iter().any(|finding| finding.what == "B="), "{list}: {:#?}", order.around);
    }
}

#[test]
fn heredocs_of_a_dockerfile_are_no_instructions() {
    let order = one(
        "FROM nvidia/tritonserver\nRUN <<EOF bash\nset -e\nFROM x\nCMD [\"nothing\"]\nEOF\nRUN <<-A cat > /a && <<'B' cat > /b\nENTRYPOINT a\n\t\tA\nUSER b\nB\n\
         COPY <<\"E_1\" /models/m/config.pbtxt\nname: \"m\"\n  # kept $as it is \\\nE_1\nENV A=b\nCMD [\"tritonserver\", \"--model-repository=/models\"]\n",
    );
    assert_eq!(order.flags, ["--model-repository=/models"]);
    assert_eq!(said(&order, "RUN <<EOF bash").verdict, Verdict::Unsupported);
    assert_eq!(order.around.iter().filter(|finding| finding.what.starts_with("RUN")).count(), 2);
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "FROM hippocamp:1\nCOPY <<\"E_1\" /models/m/config.pbtxt\nname: \"m\"\n  # kept $as it is \\\nE_1\nENV A=b\nCMD [\"--model-repository=/models\"]\n"
    );
    // Shifted numbers and a shell's word for the input are none, and a line may go on by another letter.
    let order = one(
        "# syntax=docker/dockerfile:1\n# escape=`\nFROM nvidia/tritonserver\nRUN python3 -c 'print(1<<2, a<<b)' && cat <<< x\nCMD tritonserver `\n  --model-repository=/m\n",
    );
    assert_eq!(order.flags, ["--model-repository=/m"]);
    for text in [
        "echo \"usage: f <<in\" > /x",
        "echo 'it is \" <<in' > /x",
        "echo \\\"a b\\\" '<<in' > /x",
        "cat <<in > /x",
    ] {
        let order = one(&format!(
            "FROM nvidia/tritonserver\nRUN {text}\nCMD [\"tritonserver\", \"--model-repository=/m\"]\n"
        ));
        assert_eq!(order.flags, ["--model-repository=/m"], "{text}: no line ends it");
    }
    let order = one(
        "FROM nvidia/tritonserver\nRUN echo \"it's\" && cat <<in\nCMD x\nin\nCMD [\"tritonserver\", \"--model-repository=/m\"]\n",
    );
    assert_eq!(order.flags, ["--model-repository=/m"], "what stands before it is closed");
}

#[test]
fn a_dockerfile() {
    let order = one(
        "# syntax=docker/dockerfile:1\nARG TAG=24.10\nFROM python AS build\nRUN make\nFROM nvcr.io/nvidia/tritonserver:${TAG}-py3\n\
         ENV LD_PRELOAD=/usr/lib/libtcmalloc.so A=b\nENV C some text\nRUN pip install \\\n    numpy\nCOPY --from=build /m /models\nWORKDIR /opt\nEXPOSE 8000\n\
         ENTRYPOINT []\nCMD [\"tritonserver\", \"--model-repository=/models\"]\n",
    );
    assert_eq!(order.flags, ["--model-repository=/models"]);
    assert_eq!(said(&order, "RUN pip install").verdict, Verdict::Unsupported);
    assert_eq!(said(&order, "LD_PRELOAD").verdict, Verdict::Dropped);
    assert_eq!(said(&order, "earlier stages").verdict, Verdict::Kept);
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "FROM hippocamp:1\nENV A=b\nENV C='some text'\nCOPY --from=build /m /models\nEXPOSE 8000\nCMD [\"--model-repository=/models\"]\n"
    );
    let order = one(
        "FROM nvidia/tritonserver\nCMD exec tritonserver --model-repository=/models \\\n  --log-verbose=1\n",
    );
    assert_eq!(order.flags, ["--model-repository=/models", "--log-verbose=1"]);
    let fault = read(&["f".to_owned()], |_| Ok("FROM nvidia/tritonserver\nRUN x\n".to_owned())).unwrap_err();
    assert!(fault.contains("neither CMD nor ENTRYPOINT"), "{fault}");
}

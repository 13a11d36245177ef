//! Forms that few use: values of NVIDIA's charts, Podman's units, swarms, and programs that start a text.

use super::*;

#[test]
fn values_of_nvidias_charts() {
    let order = one(
        "replicaCount: 3\nimage:\n  imageName: nvcr.io/nvidia/tritonserver:24.10-py3\n  pullPolicy: Always\n  modelRepositoryServer: 10.0.0.5\n\
         \x20 modelRepositoryPath: /srv/models\n  numGpus: 1\nserverArgs:\n  - '--model-repository=/models'\n  - '--log-verbose=1'\n\
         service:\n  type: NodePort\nautoscaling:\n  enabled: true\n  minReplicas: 1\nlogging: {level: 1}\n",
    );
    assert_eq!(order.flags, ["--model-repository=/models", "--log-verbose=1"]);
    assert_eq!(said(&order, "autoscaling").verdict, Verdict::Different);
    assert_eq!(said(&order, "logging").verdict, Verdict::Unsupported);
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "volume: {nfs: {server: 10.0.0.5, path: /srv/models}}\ngpus: 1\nimage: {repository: hippocamp-cuda, pullPolicy: Always}\n\
         autoscaling: {enabled: true}\nreplicas: 3\nservice: {type: NodePort}\nrepository: /models\nargs: [\"--log-verbose=1\"]\n"
    );
    // Older charts have one flag, which is not in their values.
    let order = one(
        "image:\n  imageName: nvcr.io/nvidia/tritonserver:21.03-py3\n  modelRepositoryPath: gs://bucket/models\n  numGpus: 0\n",
    );
    assert_eq!(order.rewritten(&order.flags, "1"), "gpus: 0\nrepository: \"gs://bucket/models\"\nargs: []\n");
    let order =
        one("image:\n  imageName: tritonserver\n  modelRepositoryPath: gs://bucket/models\n  numGpus:\n");
    assert_eq!(order.rewritten(&order.flags, "1"), "repository: \"gs://bucket/models\"\nargs: []\n");
    assert!(read(&["f".to_owned()], |_| Ok("image:\n  repository: x\nargs: []\n".to_owned())).is_err());
}

#[test]
fn a_container_of_podmans_units() {
    let order = one(
        "[Unit]\nDescription=t\n[Container]\nImage=nvcr.io/nvidia/tritonserver:24.10-py3\nEnvironment=A=b LD_PRELOAD=/usr/lib/libtcmalloc.so\n\
         Exec=tritonserver --model-repository=/models \\\n  --http-port=1\nVolume=/m:/models:ro\nAddDevice=nvidia.com/gpu=all\nUlimit=memlock=-1\n\
         # PublishPort=1:1\nPublishPort=8000:8000\n[Install]\nWantedBy=default.target\n",
    );
    assert_eq!(said(&order, "Ulimit").verdict, Verdict::Dropped);
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "[Container]\nImage=hippocamp-cuda:1\nEnvironment=A=b\nVolume=/m:/models:ro\nAddDevice=nvidia.com/gpu=all\nPublishPort=8000:8000\n\
         Exec=--model-repository=/models --http-port=1\n"
    );
    let fault = read(&["f".to_owned()], |_| Ok("[Container]\nImage=nvidia/tritonserver\n".to_owned()));
    assert!(fault.unwrap_err().contains("no Exec"));
}

#[test]
fn a_service_of_a_swarm() {
    let order = one(
        "docker service create --name t --generic-resource NVIDIA-GPU=1 --mount type=bind,src=/m,dst=/models nvidia/tritonserver tritonserver --model-repository=/models",
    );
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "docker service create --name t --generic-resource NVIDIA-GPU=1 --mount type=bind,src=/m,dst=/models hippocamp-cuda:1 \\\n    --model-repository=/models\n"
    );
}

#[test]
fn the_text_that_a_program_starts() {
    for line in [
        "tmux new-session -d -s t 'cd /x && exec tritonserver --model-repository=/m'",
        "ssh -t host \"tritonserver --model-repository=/m\"",
        "watch -n 9 'nice tritonserver --model-repository=/m'",
    ] {
        let order = one(line);
        assert_eq!(order.flags, ["--model-repository=/m"], "{line}");
        assert_eq!(order.around[0].verdict, Verdict::Different, "{line}");
    }
    let order =
        one("ssh host 'docker run -p8000:8000 nvidia/tritonserver tritonserver --model-repository=/m'");
    assert!(order.rewritten(&order.flags, "1").starts_with("docker run -p8000:8000 hippocamp:1"));
    let order = one(
        "ngc batch run --image nvidia/tritonserver:24.10-py3 --commandline 'tritonserver --model-repository=/m'",
    );
    assert_eq!(said(&order, "ngc batch").verdict, Verdict::Unsupported);
    for nothing in
        ["echo 'tritonserver --model-repository=/m'", "grep -r 'tritonserver --model-repository' ."]
    {
        let words: Vec<String> = shell::commands(nothing).concat();
        assert!(read(&words, |_| Err(String::new())).is_err(), "{nothing}");
    }
}

/// What is not known and names Triton's image would go on starting that.
#[test]
fn images_in_what_is_not_known() {
    for line in [
        "srun --mpi=pmix --container-image nvcr.io/nvidia/tritonserver:24.05-py3 tritonserver --model-repository=/m",
        "srun --container-image=/lustre/triton.sqsh tritonserver --model-repository=/m",
        "enroot start --mount /m:/models nvidia+tritonserver+24.05-py3 tritonserver --model-repository=/m",
        "runai submit t -i nvcr.io/nvidia/tritonserver:24.05-py3 -g 1 --command -- tritonserver --model-repository=/m",
    ] {
        let order = one(line);
        assert_eq!(order.around[0].verdict, Verdict::Unsupported, "{line}");
        assert_eq!(order.rewritten(&order.flags, "1"), "hippocamp \\\n    --model-repository=/m\n", "{line}");
    }
    for line in [
        "sudo -u triton tritonserver --model-repository=/m",
        "systemd-run -p MemoryMax=8G --unit triton tritonserver --model-repository=/m",
        "systemd-run --setenv=PATH=/opt/tritonserver/bin:/usr/bin tritonserver --model-repository=/m",
        "mpirun -n 1 -x LD_LIBRARY_PATH=/opt/tritonserver/lib:/usr/lib tritonserver --model-repository=/m",
        "start --image-dir /opt/tritonserver tritonserver --model-repository=/m",
        "srun --export=ALL,PATH=/opt/tritonserver/bin:/usr/bin tritonserver --model-repository=/m",
    ] {
        assert!(one(line).around.iter().all(|finding| finding.verdict != Verdict::Unsupported), "{line}");
    }
    // A scheduler finds a machine for one process as well.
    let order = one("srun -n 1 --gres=gpu:1 tritonserver --model-repository=/m");
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "srun -n 1 --gres=gpu:1 hippocamp \\\n    --model-repository=/m\n"
    );
    assert_eq!(
        said(&one("srun -n 4 tritonserver --model-repository=/m"), "srun").verdict,
        Verdict::Unsupported
    );
}

#[test]
fn a_container_without_a_name() {
    let order = one(
        "kind: Service\nmetadata: {name: t}\nspec: {template: {spec: {containers: [{image: nvidia/tritonserver, args: [tritonserver, --model-repository=/m]}]}}}\n",
    );
    assert_eq!(order.place, "the container of Service t");
    assert!(
        order
            .rewritten(&order.flags, "1")
            .starts_with("- image: hippocamp:1\n  args: [\"--model-repository=/m\"]\n")
    );
}

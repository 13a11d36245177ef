//! Scripts, units, and programs in front of the server.

use super::*;

#[test]
fn lines_in_front_of_the_command_stay_or_are_told() {
    let order = one(
        "#!/bin/bash\nset -e\nexport CUDA_VISIBLE_DEVICES=1 LD_PRELOAD=libtcmalloc.so\nulimit -n 100000\nsource /opt/x.sh\nMODELS=$(realpath \"my models\")\n\
         exec tritonserver --model-repository=$MODELS > log.txt 2>&1 &\nwait\n",
    );
    assert_eq!(order.flags, ["--model-repository=$MODELS"]);
    assert_eq!(said(&order, "LD_PRELOAD").verdict, Verdict::Dropped);
    for line in [
        "CUDA_VISIBLE_DEVICES=1",
        "ulimit -n 100000",
        "source /opt/x.sh",
        "MODELS=$(realpath \"my models\")",
        "wait",
    ] {
        assert_eq!(said(&order, line).verdict, Verdict::Kept, "{line}");
    }
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "set -e\nexport CUDA_VISIBLE_DEVICES=1\nulimit -n 100000\nsource /opt/x.sh\nMODELS=\"$(realpath \"my models\")\"\n\
         hippocamp \\\n    \"--model-repository=$MODELS\" \\\n    > log.txt 2>&1 &\n"
    );
}

#[test]
fn of_a_script_with_branches_only_the_command_is_written_anew() {
    let order = one(
        "if [ -z \"$M\" ]; then\n  M=/models\nfi\nfor i in 1 2; do echo $i; done\nstart() {\n  tritonserver --model-repository=$M | tee log\n}\npip install numpy\nstart\n",
    );
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "hippocamp \\\n    \"--model-repository=$M\" \\\n    | tee log\n"
    );
    assert_eq!(said(&order, "M=/models").verdict, Verdict::Kept);
    assert_eq!(said(&order, "echo $i").why, "where it is in the script");
    assert_eq!(said(&order, "pip install numpy").verdict, Verdict::Different);
}

#[test]
fn a_script_may_start_several() {
    let orders = read(&["f".to_owned()], |_| {
        Ok("M=/m\ntritonserver --model-repository=$M --http-port=1 &\nN=/n\ndocker run -v $N:/m x/triton tritonserver --model-repository=/m\n".to_owned())
    });
    let orders = orders.unwrap();
    assert_eq!(orders.len(), 2);
    assert_eq!(orders[0].before, ["M=/m"]);
    assert_eq!(orders[1].before, ["M=/m", "N=/n"]);
    assert!(orders[1].rewritten(&[], "1").ends_with("N=/n\ndocker run -v \"$N:/m\" hippocamp:1\n"));
}

#[test]
fn programs_in_front_of_the_server() {
    for front in [
        "sudo -E",
        "sudo -u triton",
        "gosu triton",
        "chrt -f 1",
        "nsys profile -o x",
        "nice -n 5",
        "numactl -N 0 -m 0",
        "taskset -c 0-3",
        "timeout 10 numactl -l",
        "setpriv --reuid=1000",
        "runuser -u x --",
        "strace -f -o log",
        "/usr/bin/time -v",
        "sudo -u tritonserver",
    ] {
        let order = one(&format!("{front} tritonserver --model-repository=/m"));
        assert_eq!(order.flags, ["--model-repository=/m"], "{front}");
        assert_eq!(said(&order, front).verdict, Verdict::Kept, "{front}");
        assert_eq!(
            order.rewritten(&order.flags, "1"),
            format!("{front} hippocamp \\\n    --model-repository=/m\n")
        );
        // In a container there is no such program.
        let order = one(&format!("docker run x/triton {front} tritonserver --model-repository=/m"));
        assert_ne!(said(&order, front).verdict, Verdict::Kept, "{front}");
        assert_eq!(
            order.rewritten(&order.flags, "1"),
            "docker run hippocamp:1 \\\n    --model-repository=/m\n"
        );
    }
}

#[test]
fn programs_that_are_not_needed_or_have_variables_between_them() {
    for nothing in ["catchsegv", "nohup", "exec", "tini -s --", "mpirun --allow-run-as-root -n 1", "env"] {
        let order = one(&format!("{nothing} tritonserver --model-repository=/m"));
        assert_eq!(
            order.rewritten(&order.flags, "1"),
            "hippocamp \\\n    --model-repository=/m\n",
            "{nothing}"
        );
    }
    let order =
        one("sudo -E A=b env -u C D=e LD_PRELOAD=libjemalloc.so nice tritonserver --model-repository=/m");
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "sudo -E A=b env -u C D=e nice hippocamp \\\n    --model-repository=/m\n"
    );
    let order = one("su - triton -c 'tritonserver --model-repository=/m'");
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "runuser -u triton -- hippocamp \\\n    --model-repository=/m\n"
    );
}

#[test]
fn programs_that_nobody_knows_are_told() {
    // It stays in front of the command.
    let order = one("my-starter --fast tritonserver --model-repository=/m");
    assert_eq!(said(&order, "my-starter --fast").verdict, Verdict::Different);
    let order = one("docker run x/triton my-starter tritonserver --model-repository=/m");
    assert_eq!(said(&order, "my-starter").verdict, Verdict::Unsupported);
    let order = one("mpirun -n 4 tritonserver --model-repository=/m");
    assert_eq!(said(&order, "mpirun").verdict, Verdict::Unsupported);
    let order = one(
        "mpirun -n 1 tritonserver --model-repository=/m --http-port=1 : -n 1 tritonserver --model-repository=/n",
    );
    assert_eq!(said(&order, ": -n 1 tritonserver").verdict, Verdict::Unsupported);
    assert_eq!(
        order.rewritten(&order.flags, "1"),
        "hippocamp \\\n    --model-repository=/m \\\n    --http-port=1\n"
    );
    let order = one(
        "srun --container-image=nvcr.io#nvidia/tritonserver:24.10-py3 tritonserver --model-repository=/m",
    );
    assert_eq!(said(&order, "srun").verdict, Verdict::Unsupported);
    let order = one("sudo -E nice docker run x/triton tritonserver --model-repository=/m");
    assert_eq!(order.rewritten(&[], "1"), "sudo -E nice docker run hippocamp:1\n");
}

#[test]
fn words_that_only_name_the_server_start_none() {
    for line in [
        "which tritonserver",
        "pkill tritonserver",
        "echo tritonserver --model-repository=/m",
        "ls /opt/tritonserver/bin/tritonserver",
        "command -v tritonserver",
        "python3 make.py tritonserver",
        "docker pull nvcr.io/nvidia/tritonserver:24.10-py3",
        "docker compose run --rm triton tritonserver --model-repository=/m",
    ] {
        let fault = read(&["f".to_owned()], |_| Ok(line.to_owned())).unwrap_err();
        assert!(fault.contains("is no tritonserver"), "{line}: {fault}");
    }
    let order = one(
        "docker pull nvcr.io/nvidia/tritonserver:24.10-py3\nkillall tritonserver\ndocker run x/triton tritonserver --model-repository=/m\n",
    );
    assert_eq!(said(&order, "docker pull").verdict, Verdict::Dropped);
    assert_eq!(said(&order, "killall").verdict, Verdict::Kept);
}

#[test]
fn options_of_a_shell() {
    for shell in ["bash -lc", "bash -e -c", "bash -eo pipefail -c", "/bin/sh -c", "bash --login -c"] {
        let order = one(&format!(
            "docker run x/triton {shell} 'export A=b; exec tritonserver --model-repository=/m > log 2>&1'"
        ));
        assert_eq!(order.flags, ["--model-repository=/m"], "{shell}");
        assert_eq!(said(&order, "A=b").verdict, Verdict::Different, "{shell}");
        assert_eq!(said(&order, "> log 2>&1").verdict, Verdict::Different, "{shell}");
    }
}

#[test]
fn units() {
    let order = one(
        "[Unit]\nDescription=T\n[Service]\nEnvironment=LD_PRELOAD=/usr/lib/libtcmalloc.so \"A=b c\"\nExecStart=-/opt/tritonserver/bin/tritonserver \\\n  --model-repository=/m --log-verbose=1\nRestart=always\n",
    );
    assert_eq!(order.flags, ["--model-repository=/m", "--log-verbose=1"]);
    assert_eq!(said(&order, "LD_PRELOAD").verdict, Verdict::Dropped);
    assert_eq!(said(&order, "A=b c").verdict, Verdict::Kept);
    assert!(order.rewritten(&order.flags, "1").starts_with("ExecStart=/usr/bin/hippocamp \\\n"));
    let order = one(
        "[Service]\nExecStart=/usr/bin/docker run --gpus all x/triton tritonserver --model-repository=/m\n",
    );
    assert!(order.gpus && matches!(order.form, Form::Run { .. }));
    let order = one("[program:triton]\ncommand=tritonserver --model-repository=/m\n");
    assert!(order.rewritten(&order.flags, "1").starts_with("command=/usr/bin/hippocamp"));
}

//! Files as people have them, with something in them that is not as it should be.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// One of each form.
const FILES: [&str; 9] = [
    RUN,
    "#!/bin/sh\nset -e\nexport A=${B:-c} M='/m odels'\nulimit -n 1\nif [ -d \"$M\" ]; then\n  docker create --name=t -v \"$M\":/m nvidia/tritonserver \\\n    tritonserver --model-repository=/m &\nfi\n",
    "FROM nvcr.io/nvidia/tritonserver:24.10-py3 AS base\nARG A=1\nENV A=b \"C d\"=e F\\ g=h\nENV LD_PRELOAD /usr/lib/libtcmalloc.so\n\
     RUN <<EOF\npip install numpy\nEOF\nCOPY --chown=1:1 m /m\nSHELL [\"/bin/bash\", \"-c\"]\nENTRYPOINT [\"tritonserver\"]\nCMD [\"--model-repository=/m\", \"--log-verbose=1\"]\n",
    "services:\n  web: {image: nginx}\n  triton:\n    image: nvidia/tritonserver\n    command: >-\n      tritonserver --model-repository=/m\n      --http-port=${P:-8000}\n    environment: {A: b}\n    shm_size: 1gb\n",
    "kind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n      - name: t\n        image: nvidia/tritonserver\n        args: [tritonserver, '--model-repository=$(M)']\n        \
     env: [{name: M, value: /m}]\n        livenessProbe: {httpGet: {path: /v2/health/live, port: http}, periodSeconds: 3}\n        resources: {limits: {nvidia.com/gpu: 1}}\n",
    "kind: InferenceService\nspec:\n  predictor:\n    model:\n      modelFormat: {name: onnx}\n      protocolVersion: v2\n      runtime: kserve-tritonserver\n      storageUri: gs://b/m\n      args: [--log-verbose=1]\n",
    "[Unit]\nDescription=t\n[Service]\nEnvironment=\"A=b c\" LD_PRELOAD=x\nExecStart=/opt/tritonserver/bin/tritonserver --model-repository=/m \\\n  --http-port=%i\n",
    "[Container]\nImage=nvidia/tritonserver\nEnvironment=A=b\nExec=tritonserver --model-repository=/m\nVolume=/m:/m\nAddDevice=nvidia.com/gpu=all\n",
    "replicaCount: 3\nimage:\n  imageName: nvidia/tritonserver\n  modelRepositoryServer: 10.0.0.5\n  modelRepositoryPath: /m\n  numGpus: 1\nserverArgs: ['--log-verbose=1']\n",
];

/// What means something in one of them.
const PIECES: [&str; 34] = [
    "", "", "", " ", "\n", "\n  ", "\t", "\\", "\\\n", "\"", "'", "=", ":", ": ", "- ", "#", "$", "${", "}",
    "$(", ")", "[", "]", "{", ",", "<<EOF", "&x ", "*x", "|", "é", "\u{e024}", "\0", "-", "123",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Nothing of it ends the program, and what is YAML stays so.
    #[test]
    fn altered_files_are_read_or_refused(
        file in select(&FILES[..]),
        edits in proptest::collection::vec((any::<Index>(), 0usize..6, select(&PIECES[..])), 1..5),
    ) {
        let mut text: Vec<char> = file.chars().collect();
        for (place, length, piece) in edits {
            let start = place.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        for order in read(&["file".to_owned()], |_| Ok(text.clone())).unwrap_or_default() {
            let written = order.rewritten(&order.flags, "1");
            if matches!(order.form, Form::Compose { .. } | Form::Kubernetes { .. } | Form::InferenceService { .. } | Form::Helm { .. }) {
                prop_assert!(yaml::documents(&written).is_ok(), "{text:?} became {written:?}");
            }
        }
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if let Ok(order) = read(&words, |_| Ok(text.clone())) {
            for order in order {
                order.rewritten(&order.flags, "1");
            }
        }
    }
}

#[test]
fn the_files_are_read() {
    for file in FILES {
        assert!(!one(file).flags.is_empty(), "{file}");
    }
}

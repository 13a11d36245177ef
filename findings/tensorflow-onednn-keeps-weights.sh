#!/usr/bin/env bash
# tensorflow-cpu 2.21.0 (PyPI, Linux x86_64): does a closed session give its memory back?
#
# Guess:   yes, all of it, once the graph is gone, too.
# Seen:    the weights of the last large layer stay, one copy for each thread that ran it: oneDNN keeps them until other
#          layers take their place. With TF_ENABLE_ONEDNN_OPTS=0 all is given back.
# Follows: unloading a model is measured with that in mind; it is no leak, as another load does not add to it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install tensorflow-cpu==2.21.0
cat > "$work/close.py" <<'PY'
import gc

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
SIZE = 5016


def resident():
    with open("/proc/self/status", encoding="ascii") as f:
        return int(f.read().split("RssAnon:")[1].split()[0]) // 1024


def run(size):
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        x = v1.placeholder(tf.float32, [None, size])
        y = tf.matmul(x, tf.zeros([size, size]) + v1.get_variable("w", [size, size]))
        session.run(v1.global_variables_initializer())
        session.run(y, {x: np.ones((1, size), np.float32)})
    v1.reset_default_graph()
    del graph, session, x, y
    gc.collect()


run(8)
before = resident()
run(SIZE)
print(resident() - before)
PY
measure() { TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=$1 "$work/venv/bin/python" "$work/close.py" 2>/dev/null; }
with=$(measure 1) without=$(measure 0)
echo "tensorflow 2.21.0, a layer of 96 MiB, after its session: $with MB more with oneDNN, $without MB without"
[ "$with" -ge 90 ] && [ "$without" -le 30 ]

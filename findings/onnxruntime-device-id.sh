#!/usr/bin/env bash
# onnxruntime 1.31.1 and 1.32.0 (PyPI, Linux x86_64): what does loading a model write?
#
# Guess:   nothing; the library's telemetry is a matter of its builds for Windows.
# Seen:    a device id and an event database under $XDG_CACHE_HOME/Microsoft/DeveloperTools/.onnxruntime, in both versions. With
#          ORT_DISABLE_TELEMETRY=1 in the environment before the library is opened: nothing.
# Follows: a server sets the variable before it opens the library, and tests that nothing is written.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/load.py" <<'PY'
import onnx, onnxruntime
from onnx import TensorProto, helper
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value("x")], [value("y")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
PY
status=0
for version in 1.31.1 1.32.0; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" --quiet install "onnxruntime==$version" onnx==1.23.2 numpy==2.4.6
    for switch in 0 1; do
        home="$work/home-$version-$switch" variable=()
        mkdir "$home"
        [ $switch = 0 ] || variable=(ORT_DISABLE_TELEMETRY=1)
        env -u ORT_DISABLE_TELEMETRY HOME="$home" XDG_CACHE_HOME="$home/cache" "${variable[@]}" "$work/$version/bin/python" "$work/load.py"
        seen=$(cd "$home" && find . -type f -printf '%P ' | tr ' ' '\n' | sort | tr '\n' ' ')
        printf 'onnxruntime %s, ORT_DISABLE_TELEMETRY=%s: wrote %s\n' "$version" "$switch" "${seen:-nothing}"
        case $switch in
            0) [[ $seen == *Microsoft/DeveloperTools/.onnxruntime/deviceid* ]] || status=1 ;;
            1) [[ -z ${seen// /} ]] || status=1 ;;
        esac
    done
done
exit $status

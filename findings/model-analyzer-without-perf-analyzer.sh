#!/usr/bin/env bash
# triton-model-analyzer 1.58.0, tritonclient 2.73.0 and perf_analyzer 0.1.0 (PyPI): does `pip install triton-model-analyzer` bring what it measures
# with?
#
# Guess:   yes. It depends on tritonclient[all], that on perf-analyzer, and up to 2.40 the wheel of tritonclient had the program itself.
# Seen:    the one release of perf_analyzer is a placeholder, a module with hello() and no program; tritonclient has had none since. model_analyzer
#          ends before it has started a server: "Either the binary 'perf_analyzer' is not on the PATH, ...".
# Follows: a bench that installs model_analyzer by pip gives it a perf_analyzer from elsewhere, by --perf-analyzer-path; that of tritonclient 2.40 does.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install triton-model-analyzer==1.58.0 'tritonclient[all]==2.73.0' perf_analyzer==0.1.0
"$work/venv/bin/pip" show --files perf_analyzer | grep -E 'Version|Summary|perf_analyzer/|bin/'
programs=$("$work/venv/bin/pip" show --files perf_analyzer tritonclient | grep -cE '^  .*(bin/|/perf_analyzer$)' || true)
mkdir -p "$work/models/identity/1"
: > "$work/models/identity/1/model.py"
printf 'backend: "python"\ninput { name: "A" data_type: TYPE_FP32 dims: [ 1 ] }\noutput { name: "B" data_type: TYPE_FP32 dims: [ 1 ] }\n' \
    > "$work/models/identity/config.pbtxt"
cd "$work"
# Any program stands for the server, which is not started.
seen=$(PATH="$work/venv/bin:/usr/bin:/bin" model-analyzer profile --model-repository="$work/models" --profile-models=identity \
    --triton-launch-mode=local --triton-server-path="$(command -v true)" --output-model-repository-path="$work/variants" 2>&1 | tail -1) || true
printf '%s files of programs\n%s\n' "$programs" "$seen"
[[ $programs == 0 && $seen == *"Either the binary 'perf_analyzer' is not on the PATH"* ]]

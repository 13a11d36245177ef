#!/usr/bin/env bash
# kserve 0.21.0 and tritonclient 2.73.0 (PyPI): can one process use both?
#
# Guess:   yes; pip installs them side by side without a word.
# Seen:    whichever is imported second fails with "duplicate symbol 'inference.ServerLiveRequest'": both register messages of the same
#          full names from files of different names. tritonclient.http is not concerned.
# Follows: a test of both clients runs them in processes of their own.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install kserve==0.21.0 'tritonclient[grpc,http]==2.73.0'
status=0
for order in 'kserve tritonclient.grpc' 'tritonclient.grpc kserve'; do
    seen=$("$work/venv/bin/python" -c "$(printf 'import %s\n' $order)" 2>&1 | tail -1) || true
    printf '%s: %s\n' "$order" "$seen"
    [[ $seen == *"duplicate symbol 'inference."* ]] || status=1
done
"$work/venv/bin/python" -c 'import kserve, tritonclient.http' || status=1
exit $status

#!/bin/sh
# Makes an archive of CenterFace, serves it as TorchServe would, and prints the faces in a picture:
#   examples/torchserve.sh [PICTURE]
# Needs torch-model-archiver (pip install torch-model-archiver). HIPPOCAMP names another binary.
set -e

here=$(cd "$(dirname "$0")/.." && pwd)
picture=${1:-$here/tests/references/images/astronaut.png}
store=$(mktemp -d)
trap 'kill $server 2>/dev/null; rm -rf "$store"' EXIT

# torch-model-archiver wants a file for a handler that is none of TorchServe's own. Only its name counts.
echo '# served by pipelines: docs/from-torchserve.md' > "$store/centerface.py"
torch-model-archiver --model-name fd1 --version 1.0 --export-path "$store" --handler "$store/centerface.py" \
    --serialized-file "$here/model_repository/centerface/1/model.onnx"

hippocamp=${HIPPOCAMP:-$here/target/release/hippocamp}
"$hippocamp" archive "$store/fd1.mar"
"$hippocamp" --model-store "$store" --allow-torchserve --allow-http=false --allow-grpc=false --allow-metrics=false &
server=$!
until curl --silent --output /dev/null 127.0.0.1:8080/ping; do kill -0 $server; done
curl --silent --fail-with-body --retry 20 --retry-all-errors 127.0.0.1:8080/predictions/fd1 -T "$picture"

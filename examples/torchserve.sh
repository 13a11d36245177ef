#!/bin/sh
# System A from the beginning to the end: makes an archive of a face detector, serves it as TorchServe would, registers it by
# the management API, and prints the faces in a picture:
#   examples/torchserve.sh [PICTURE]
# Then it measures, if grpcio is there: examples/torchserve_qps.py. Needs torch-model-archiver (pip install torch-model-archiver). HIPPOCAMP
# names another binary, PORTS five other ports than TorchServe's own: "8080 8081 8082 7070 7071".
set -e

here=$(cd "$(dirname "$0")/.." && pwd)
picture=${1:-$here/tests/references/images/astronaut.png}
hippocamp=${HIPPOCAMP:-$here/target/release/hippocamp}
# An installed one, where none was built.
[ -x "$hippocamp" ] || hippocamp=hippocamp
# shellcheck disable=SC2086
set -- ${PORTS:-8080 8081 8082 7070 7071}
inference=$1 management=$2 metrics=$3 grpc_inference=$4 grpc_management=$5
store=$(mktemp -d)
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$store"' EXIT

# torch-model-archiver wants a file for a handler that is none of TorchServe's own. Only its name counts.
echo '# served by pipelines: docs/from-torchserve.md' > "$store/centerface.py"
archiver='python3 -m model_archiver.model_packaging'
command -v torch-model-archiver > /dev/null && archiver=torch-model-archiver
$archiver --model-name trt_fd1 --version 1.0 --export-path "$store" --handler "$store/centerface.py" \
    --serialized-file "$here/model_repository/centerface/1/model.onnx"
"$hippocamp" archive "$store/trt_fd1.mar"

# The config of the original, with what TorchServe wants since 0.11 before it lets clients register.
cat > "$store/config.properties" <<CONFIG
inference_address=http://127.0.0.1:$inference
management_address=http://127.0.0.1:$management
metrics_address=http://127.0.0.1:$metrics
grpc_inference_port=$grpc_inference
grpc_management_port=$grpc_management
enable_model_api=true
disable_token_authorization=true
CONFIG
"$hippocamp" --allow-torchserve --start --ncs --ts-config "$store/config.properties" --model-store "$store" \
    --allow-http=false --allow-grpc=false --allow-metrics=false &
server=$!
until curl --silent --fail --output /dev/null "127.0.0.1:$inference/ping"; do kill -0 $server; done

curl --silent --fail-with-body --request POST \
    "127.0.0.1:$management/models?url=trt_fd1.mar&batch_size=1&max_batch_delay=2&initial_workers=4&model_name=fd1"
curl --silent --fail-with-body "127.0.0.1:$inference/predictions/fd1" -T "$picture" && echo
if python3 -c 'import grpc' 2> /dev/null; then
    python3 "$here/examples/torchserve_qps.py" --url "127.0.0.1:$grpc_inference" --image "$picture"
fi

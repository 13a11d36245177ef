#!/bin/sh
# Prints the faces in a picture as JSON, with curl alone. Run beside scripts/serve:
#   examples/face.sh [PICTURE [HOST:PORT]]
# The body is the picture and nothing else, which an Inference-Header-Content-Length of 0 says.

picture=${1:-$(dirname "$0")/../tests/references/images/astronaut.png}
answer=$(mktemp) && trap 'rm -f "$answer"' EXIT
header=$(curl --fail-with-body --silent --show-error "http://${2:-localhost:8000}/v2/models/face/infer" \
    --header 'Inference-Header-Content-Length: 0' --data-binary @"$picture" \
    --output "$answer" --write-out '%header{inference-header-content-length}') || { cat "$answer" >&2; exit 1; }
# Behind the answer's header comes the tensor: four bytes of length, then the text.
tail -c +$((header + 5)) "$answer" && echo

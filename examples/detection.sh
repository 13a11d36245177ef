#!/bin/sh
# Finds the faces in a picture, lists them and draws them into faces.png. Run beside scripts/serve:
#   examples/detection.sh [PICTURE [HOST:PORT]]
# The picture goes to the server as it is; what comes back is in its own pixels. HIPPOCAMP names a binary; otherwise the
# one that was built here is used, or the installed one.

here=$(dirname "$0")/..
picture=${1:-$here/tests/references/images/astronaut.png}
hippocamp=${HIPPOCAMP:-$here/target/release/hippocamp}
# An installed one, where none was built.
[ -x "$hippocamp" ] || hippocamp=hippocamp
"$hippocamp" infer detection --url "${2:-localhost:8000}" \
    --input raw_image=@"$picture" --draw faces.png && echo && echo "drawn into faces.png"

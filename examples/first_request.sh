#!/bin/sh
# Adds and subtracts two vectors on the model `simple`. Run beside scripts/serve:
#   examples/first_request.sh [HOST:PORT]

curl --fail-with-body --silent --show-error "http://${1:-localhost:8000}/v2/models/simple/infer" --data '{
  "inputs": [
    {"name": "INPUT0", "datatype": "INT32", "shape": [1, 16],
     "data": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]},
    {"name": "INPUT1", "datatype": "INT32", "shape": [1, 16],
     "data": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}
  ]
}' && echo

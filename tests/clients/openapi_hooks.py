"""What schemathesis is told by tests/clients/test_openapi.py: names of models, and which answers of 5xx may be."""

import schemathesis

# Models that answer at once, of every kind: several inputs, texts, decoupled, always failing. One name that no model has.
MODELS = ["simple", "identity_fp32", "identity_bytes", "repeat_py", "err_py", "ens"]
NAMES = [*MODELS, "nobody"]

# Answers of Triton that clients know by their status.
KNOWN = (
    "Unable to open shared memory region: ",
    "failed to poll from model repository",
    "is not at ready state",
    "HTTP end point doesn't support models with decoupled transaction policy",
)


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Half of the names are those of models, and half of the versions are theirs."""
    name = (path_parameters or {}).get("model_name")
    if isinstance(name, str) and len(name) % 2:
        path_parameters["model_name"] = NAMES[len(name) // 2 % len(NAMES)]
    version = (path_parameters or {}).get("model_version")
    if isinstance(version, int) and version % 2:
        path_parameters["model_version"] = 1
    return path_parameters


@schemathesis.check
def only_known_server_errors(ctx, response, case):
    if response.status_code >= 500:
        assert any(text in response.text for text in KNOWN), f"{response.status_code}: {response.text}"

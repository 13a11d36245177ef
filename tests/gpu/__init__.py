"""The acceptance of GPU support, for scripts/gpu-acceptance: on a machine with a GPU, with the binary given by a flag."""

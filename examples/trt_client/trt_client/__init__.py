"""The interface of the client of the TensorRT Inference Server tutorial, over V1 and v2."""

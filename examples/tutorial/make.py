#!/usr/bin/env python3
"""Writes the tutorial's repository: configs in the form of its tool, and models.

    examples/tutorial/make.py FOLDER [--height 512] [--width 512]

Needs what `scripts/fetch models prepare tensorflow-python` brings. FOLDER/detection-network gets the ONNX file that a plan is to be
built from: plans are of one GPU and one version of TensorRT. With --configs nothing but the configs is written.
"""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

FP32, INT32, STRING = "TYPE_FP32", "TYPE_INT32", "TYPE_STRING"
GRAPHDEF, PLAN, ONNX = "tensorflow_graphdef", "tensorrt_plan", "onnxruntime_onnx"
TOP = 100


def tensors(height, width):
    """The tensors of the three models, by what they are: (name, type, dims with the batch)."""
    rows, columns = height // 4, width // 4
    raw = [("raw_image", STRING, [1])]
    picture = [("process_img", FP32, [1, 3, height, width])]
    matrix = [("affine_trans_mat", FP32, [2, 3])]
    maps = [(name, FP32, [1, channels, rows, columns]) for name, channels in
            (("heatmap", 1), ("bbox_wh", 2), ("center_shift", 2))]
    found = [("score", FP32, [1, TOP]), ("category", INT32, [1, TOP]), ("bbox", FP32, [1, TOP, 4])]
    return raw, picture, matrix, maps, found


def models(height, width):
    """(name, platform, max_batch_size, inputs, outputs) of each model, in the order of the steps."""
    raw, picture, matrix, maps, found = tensors(height, width)
    return [
        ("detection-preprocess", GRAPHDEF, 0, raw, picture + matrix),
        ("detection-network", PLAN, 1, picture, maps),
        ("detection-postprocess", ONNX, 0, maps + matrix, found),
    ]


def tool_config(name, platform, max_batch_size, inputs, outputs, instances=16, gpus=(0, 1, 2, 3)):
    """A config as the tutorial's tool writes it: commas behind the fields of tensors, lists as Python prints them, a reshape that
    drops the batch in every tensor of a plan, and no end of the last line."""

    def listed(named):
        blocks = []
        for tensor, data_type, dims in named:
            fields = [f'name: "{tensor}"', f"dims: {dims}", f"data_type: {data_type}"]
            fields += [f"reshape: {{ shape: {dims[1:]} }}"] if platform == PLAN else []
            blocks.append("  {\n    " + ",\n    ".join(fields) + "\n  }")
        return "[\n" + ",\n".join(blocks) + "\n]"

    return "\n".join([
        f'name: "{name}"',
        f'platform: "{platform}"',
        "version_policy: { all { } }",
        f"max_batch_size: {max_batch_size}",
        f"input {listed(inputs)}",
        f"output {listed(outputs)}",
        "instance_group [",
        "  {",
        f"    count: {instances}",
        "    kind: KIND_GPU",
        f"    gpus: {list(gpus)}",
        "  }",
        "]",
    ])


def ensemble_config(height, width):
    """The ensemble, which the tutorial's author wrote by hand: the tensors of each step have the same names inside and outside."""
    raw, *_, found = tensors(height, width)
    lines = ['name: "detection"', 'platform: "ensemble"', "max_batch_size: 0"]
    for kind, named in (("input", raw), ("output", found)):
        blocks = []
        for tensor, data_type, dims in named:
            shape = ", ".join(map(str, dims))
            blocks.append(f'  {{\n    name: "{tensor}"\n    data_type: {data_type}\n    dims: [ {shape} ]\n  }}')
        lines.append(f"{kind} [\n" + ",\n".join(blocks) + "\n]")
    steps = []
    for name, _, _, inputs, outputs in models(height, width):
        step = [f'      model_name: "{name}"', "      model_version: 1"]
        for kind, named in (("input", inputs), ("output", outputs)):
            for tensor, *_ in named:
                step.append(f'      {kind}_map {{\n        key: "{tensor}"\n        value: "{tensor}"\n      }}')
        steps.append("    {\n" + "\n".join(step) + "\n    }")
    return "\n".join([*lines, "ensemble_scheduling {\n  step [\n" + ",\n".join(steps) + "\n  ]\n}\n"])


def configs(height, width):
    """The text of each model's config, by the model's name."""
    made = {model[0]: tool_config(*model) for model in models(height, width)}
    return made | {"detection": ensemble_config(height, width)}


def write(path, content):
    """Replaces the file at once: a server may be reading it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = f"{path}.{os.getpid()}.partial"
    with open(partial, "wb") as f:
        f.write(content)
    os.replace(partial, path)


def write_configs(folder, height, width):
    for name, text in configs(height, width).items():
        write(os.path.join(folder, name, "config.pbtxt"), text.encode())
    # The version of an ensemble has nothing in it.
    os.makedirs(os.path.join(folder, "detection", "1"), exist_ok=True)


def write_models(folder, height, width):
    sys.path[:0] = [HERE, os.path.join(ROOT, ".cache", "python", "prepare"), os.path.join(ROOT, ".cache", "python", "tensorflow")]
    import networks
    import preprocess

    network = networks.network(height, width, preprocess.MEAN, preprocess.DEVIATION)
    write(os.path.join(folder, "detection-preprocess", "1", "model.graphdef"), preprocess.graph(height, width))
    write(os.path.join(folder, "detection-network", "1", "model.onnx"), network)
    write(os.path.join(folder, "detection-postprocess", "1", "model.onnx"), networks.postprocess(height, width, TOP))


def main():
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("folder")
    usage.add_argument("--height", type=int, default=512)
    usage.add_argument("--width", type=int, default=512)
    usage.add_argument("--configs", action="store_true")
    given = usage.parse_args()
    if given.height % 32 or given.width % 32 or min(given.height, given.width) < 64:
        usage.error("the network takes sides of at least 64 that are multiples of 32")
    write_configs(given.folder, given.height, given.width)
    if given.configs:
        return
    try:
        write_models(given.folder, given.height, given.width)
    except ModuleNotFoundError as missing:
        sys.exit(f"make: the Python package {missing.name} is missing; run scripts/fetch models prepare tensorflow-python")


if __name__ == "__main__":
    main()

"""The second and the third model: a stand-in for the tutorial's network, and its postprocessing, as ONNX files."""

import importlib.machinery
import importlib.util
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLOAT = TensorProto.FLOAT


def prepare():
    """scripts/prepare as a module."""
    path = os.path.join(ROOT, "scripts", "prepare")
    loader = importlib.machinery.SourceFileLoader("prepare", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prepare", loader))
    loader.exec_module(module)
    return module


def network(height, width, mean, deviation):
    """CenterFace with the tutorial's tensors, all of them with a batch of one, as the tutorial's tool exports them.

    The tutorial's own weights are not to be had. CenterFace is of the same family; it differs in conventions: it takes colours
    from 0 to 255, gives scores that went through a sigmoid, logarithms of sizes, y before x, and the middle of a cell.
    """
    script = prepare()
    model = script.free_centerface(script.source("centerface.onnx"))
    graph = model.graph

    def constant(name, values):
        graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def colours(values):
        return np.array(values, np.float32).reshape(1, 3, 1, 1) * 255

    (picture,), (scores,) = graph.input, [n for n in graph.node if "537" in n.output]
    swapped = constant("x_before_y", np.array([1, 0], np.int64))
    before = [
        helper.make_node("Mul", ["process_img", constant("deviation", colours(deviation))], ["scaled"]),
        helper.make_node("Add", ["scaled", constant("mean", colours(mean))], [picture.name]),
    ]
    behind = [
        helper.make_node("Identity", list(scores.input), ["heatmap"]),
        helper.make_node("Exp", ["538"], ["height_width"]),
        helper.make_node("Gather", ["height_width", swapped], ["bbox_wh"], axis=1),
        helper.make_node("Gather", ["539", swapped], ["corner_shift"], axis=1),
        helper.make_node("Add", ["corner_shift", constant("half", np.array(0.5, np.float32))], ["center_shift"]),
    ]
    # Without the landmarks, which the tutorial has not.
    kept = [node for node in graph.node if not {"537", "540"} & set(node.output)]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend([*before, *kept, *behind])
    script.drop_unused_weights(graph)
    graph.input.append(helper.make_tensor_value_info("process_img", FLOAT, [1, 3, height, width]))
    for name, channels in MAPS:
        shape = [1, channels, height // 4, width // 4]
        graph.output.append(helper.make_tensor_value_info(name, FLOAT, shape))
    return script.serialized(model)


MAPS = [("heatmap", 1), ("bbox_wh", 2), ("center_shift", 2)]


def postprocess(height, width, top):
    """The best peaks of the heat map as boxes in pixels of the picture. As the tool exports it: opset 10, weights among the inputs."""
    rows, columns = height // 4, width // 4
    nodes, weights = [], []

    def constant(name, value, kind=np.float32):
        weights.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    whole = constant("whole", [-1], np.int64)
    places = constant("places", [2, rows * columns], np.int64)

    node("MaxPool", ["heatmap"], "largest", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
    node("Sigmoid", ["heatmap"], "score_of_cell")
    node("Sigmoid", ["largest"], "score_around")
    node("Sub", ["score_of_cell", "score_around"], "lower")
    node("Abs", ["lower"], "by")
    node("Less", ["by", constant("nothing", 1e-7)], "is_peak")
    node("Where", ["is_peak", "score_of_cell", constant("none", 0)], "peaks")
    node("Reshape", ["peaks", constant("cells", [1, -1, rows * columns], np.int64)], "peaks_of_class")
    node("ReduceMax", ["peaks_of_class"], "best", axes=[1], keepdims=0)
    node("ArgMax", ["peaks_of_class"], "class_of_cell", axis=1, keepdims=0)
    nodes.append(helper.make_node("TopK", ["best", constant("top", [top], np.int64)], ["score", "indices"], axis=1))
    node("Reshape", ["indices", whole], "index")
    node("Reshape", ["class_of_cell", whole], "classes")
    node("Gather", ["classes", "index"], "class")
    node("Cast", ["class"], "class_number", to=TensorProto.INT32)
    node("Reshape", ["class_number", constant("one_row", [1, top], np.int64)], "category")

    columns_each = constant("columns", columns, np.int64)
    node("Div", ["index", columns_each], "row")
    node("Mul", ["row", columns_each], "begin_of_row")
    node("Sub", ["index", "begin_of_row"], "column")
    middle = {}
    for axis, name, cell in ((0, "x", "column"), (1, "y", "row")):
        number = constant(f"{name}_axis", axis, np.int64)
        node("Cast", [cell], f"{name}_cell", to=FLOAT)
        for tensor, short in (("center_shift", "shift"), ("bbox_wh", "size")):
            node("Reshape", [tensor, places], f"{name}_{short}s")
            node("Gather", [f"{name}_{short}s", number], f"{name}_{short}_of_cell", axis=0)
            node("Gather", [f"{name}_{short}_of_cell", "index"], f"{name}_{short}", axis=0)
        middle[name] = node("Add", [f"{name}_cell", f"{name}_shift"], f"{name}_middle")
        node("Div", [f"{name}_size", constant(f"{name}_two", 2)], f"{name}_half")

    corners = []
    for corner, kind in ((0, "Sub"), (1, "Add")):
        for name in ("x", "y"):
            node(kind, [middle[name], f"{name}_half"], f"{name}{corner}")
        for axis, name in enumerate("xy"):
            node("Gather", ["affine_trans_mat", constant(f"row_{name}{corner}", axis, np.int64)], f"to_{name}{corner}")
            for column, part in enumerate(("x", "y", "1")):
                key = constant(f"{name}{corner}_{part}", column, np.int64)
                node("Gather", [f"to_{name}{corner}", key], f"by_{part}_{name}{corner}")
            node("Mul", [f"x{corner}", f"by_x_{name}{corner}"], f"from_x_{name}{corner}")
            node("Mul", [f"y{corner}", f"by_y_{name}{corner}"], f"from_y_{name}{corner}")
            node("Add", [f"from_x_{name}{corner}", f"from_y_{name}{corner}"], f"turned_{name}{corner}")
            node("Add", [f"turned_{name}{corner}", f"by_1_{name}{corner}"], f"raw_{name}{corner}")
            corners.append(node("Unsqueeze", [f"raw_{name}{corner}"], f"column_{name}{corner}", axes=[1]))
    node("Concat", corners, "boxes", axis=1)
    node("Reshape", ["boxes", constant("all_boxes", [1, top, 4], np.int64)], "bbox")

    inputs = [(name, FLOAT, [1, channels, rows, columns]) for name, channels in MAPS]
    inputs += [("affine_trans_mat", FLOAT, [2, 3])]
    listed = [helper.make_tensor_value_info(*each) for each in inputs]
    listed += [helper.make_tensor_value_info(each.name, each.data_type, list(each.dims)) for each in weights]
    outputs = [("score", FLOAT, [1, top]), ("category", TensorProto.INT32, [1, top]), ("bbox", FLOAT, [1, top, 4])]
    outputs = [helper.make_tensor_value_info(*each) for each in outputs]
    graph = helper.make_graph(nodes, "postprocess", listed, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=5)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)

#!/usr/bin/env bash
# onnxruntime-extensions 0.15.2 beside tokenizers 0.23.3 (PyPI): are the ids of BertTokenizer, which is a node of the graph, those of the tokenizer that
# BERT is trained with?
#
# Guess:   yes; it takes the same vocab.txt and the same settings, and exists to have the tokenizer in the graph instead of beside it.
# Seen:    for plain English. A word with a character that the vocabulary lacks is [UNK] as a whole in one, and its pieces before that character and then
#          [UNK] in the other: "5€", "100°", "Straße" have other ids and another length. strip_accents knows Latin letters: Russian й
#          stays, which BERT's tokenizer makes и. Capital İ is unknown. And [MASK] in a text is the token in the one, and letters in brackets
#          in the other, so that no text can be filled in.
# Follows: a model whose tokenizer was moved into the graph is compared on texts with prices, degrees and names, not on English sentences alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime-extensions==0.15.2 onnxruntime==1.32.0 tokenizers==0.23.3 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import os, tempfile
import numpy as np, onnxruntime, onnxruntime_extensions
from onnx import TensorProto, helper
from tokenizers import BertWordPieceTokenizer

onnxruntime.set_default_logger_severity(3)
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz0123456789[].,", *("##" + letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789"),
         "hello", "world", "и", "##и", "й", "##й", "##о", "м", "##м", "##а", "о", "##л", "л", "к"]
path = os.path.join(tempfile.mkdtemp(), "vocab.txt")
open(path, "w").write("\n".join(words) + "\n")
node = helper.make_node("BertTokenizer", ["text"], ["ids", "types", "mask"], domain="ai.onnx.contrib", vocab_file=open(path).read(), do_lower_case=1, strip_accents=1)
graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("text", TensorProto.STRING, [None])], [helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in node.output])
options = onnxruntime.SessionOptions()
options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
session = onnxruntime.InferenceSession(
    helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)], ir_version=9).SerializeToString(), options, providers=["CPUExecutionProvider"])
plain = BertWordPieceTokenizer(path, lowercase=True, strip_accents=True)

ok = True
for text, same in (("Hello world, café.", True), ("hello [MASK] world", False), ("5€", False), ("100°", False), ("x²", False), ("Straße", False), ("мой", False), ("Йолка", False), ("İzmir", False), ("naïve", True)):
    wanted = plain.encode(text).tokens[1:-1]
    got = [words[index] for index in session.run(None, {"text": np.array([text], object)})[0].ravel()][1:-1]
    print(f"{text!r}: {' '.join(wanted)}; the node: {' '.join(got)}")
    ok &= (wanted == got) == same
raise SystemExit(not ok)
PY

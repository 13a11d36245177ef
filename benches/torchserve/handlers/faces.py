"""A handler of TorchServe that finds faces by CenterFace, in the steps of the face detector that people come from: OpenCV, one thread of
ONNX Runtime, NumPy, JSON."""

import json
import os

import cv2
import numpy as np
import onnxruntime
import torch

SIDE, STRIDE, THRESHOLD, IOU = 640, 4, 0.5, 0.3


class Faces:
    def __init__(self):
        self.initialized = False

    def initialize(self, context):
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = os.path.join(context.system_properties["model_dir"], context.manifest["model"]["serializedFile"])
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.initialized = True

    def handle(self, data, context):
        return [json.dumps(self.detect(bytes(row.get("data") or row.get("body")))) for row in data]

    def detect(self, body):
        picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            picture = np.zeros((320, 320, 3), np.uint8)
        height, width = picture.shape[:2]
        scale = max(width, height) / SIDE
        x, y = width / 2 - scale * SIDE / 2, height / 2 - scale * SIDE / 2
        matrix = np.array([[scale, 0, x], [0, scale, y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        square = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=flags)
        image = cv2.cvtColor(square, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)[np.newaxis].astype(np.float32)
        heat, size, offset, marks = (output[0] for output in self.session.run(None, {self.input: image}))
        faces = []
        peaks = (cv2.dilate(heat[0], np.ones((3, 3))) == heat[0]) & (heat[0] > THRESHOLD)
        for row, column in np.argwhere(peaks):
            h, w = STRIDE * np.exp(size[:, row, column])
            top = STRIDE * (row + offset[0, row, column] + 0.5) - h / 2
            left = STRIDE * (column + offset[1, row, column] + 0.5) - w / 2
            down, right = marks[0::2, row, column] * h + top, marks[1::2, row, column] * w + left
            points = np.stack([right * scale + x, down * scale + y], 1)
            faces.append((float(heat[0, row, column]), left * scale + x, top * scale + y, w * scale, h * scale, points))
        boxes, scores = [face[1:5] for face in faces], [face[0] for face in faces]
        kept = np.array(cv2.dnn.NMSBoxes(boxes, scores, THRESHOLD, IOU)).reshape(-1) if faces else []
        answer = []
        for score, left, top, w, h, points in (faces[index] for index in kept):
            box = ((left + w / 2) / width, (top + h / 2) / height, w / width, h / height)
            marks = (points / (width, height)).reshape(-1)
            rounded = [round(float(part), 3) for part in box], [round(float(part), 3) for part in marks]
            answer.append({"xywh_ratio": rounded[0], "conf": score, "landmarks_ratio": rounded[1]})
        return answer

// Finds boxes among the outputs of a model: of tensors by their names and shapes, or of JSON.

import type { Output } from "./infer";

export interface Found {
  /** Left, top, right, bottom, in pixels of the picture. */
  box: [number, number, number, number];
  score?: number;
  label?: string;
  /** x and y in turn. */
  points: number[];
}

/** What is not worth drawing. */
const LEAST = 0.3;

const numbers = (output: Output) => output.elements.map(Number);
const last = (output: Output) => output.shape.at(-1) ?? 0;

/** `scale` is what the boxes' pixels are to those of the picture, where the picture was resized for the model. */
export function boxes(outputs: Output[], picture: { width: number; height: number }, scale: [number, number]): Found[] {
  const found = ofTensors(outputs) ?? ofJson(outputs) ?? [];
  // One by one: a call takes fewer arguments than a detector may have numbers.
  const largest = found.reduce((most, one) => Math.max(most, ...one.box), 0);
  // Parts of the picture instead of pixels.
  const [x, y] = largest > 0 && largest <= 1.5 ? [picture.width, picture.height] : scale;
  return found
    .filter((one) => (one.score ?? 1) >= LEAST && one.box[2] > one.box[0] && one.box[3] > one.box[1])
    .map((one) => ({
      ...one,
      box: [one.box[0] * x, one.box[1] * y, one.box[2] * x, one.box[3] * y],
      points: one.points.map((value, n) => value * (n % 2 ? y : x)),
    }));
}

function ofTensors(outputs: Output[]): Found[] | undefined {
  const numeric = outputs.filter((output) => output.datatype !== "BYTES");
  const named = (pattern: RegExp) => numeric.find((output) => pattern.test(output.name));
  const places = numeric.find((output) => /box|rect/i.test(output.name) && last(output) === 4);
  if (!places) return undefined;
  const values = numbers(places);
  const count = values.length / 4;
  const along = (output: Output | undefined) =>
    output && output.elements.length === count ? numbers(output) : undefined;
  const scores = along(named(/score|conf|prob/i));
  const classes = along(named(/class|categor|label/i));
  const marks = named(/landmark|keypoint|kps/i);
  const points = marks && marks.elements.length % count === 0 ? numbers(marks) : [];
  const each = points.length / count;
  return Array.from({ length: count }, (_, n) => ({
    box: values.slice(n * 4, n * 4 + 4) as Found["box"],
    score: scores?.[n],
    label: classes ? String(classes[n]) : undefined,
    points: points.slice(n * each, (n + 1) * each),
  }));
}

type Json = Record<string, unknown>;

function ofJson(outputs: Output[]): Found[] | undefined {
  for (const output of outputs) {
    const first = output.elements[0];
    if (!(first instanceof Uint8Array) || ![0x5b, 0x7b].includes(first[0]!)) continue;
    try {
      const value: unknown = JSON.parse(new TextDecoder().decode(first));
      const list = (Array.isArray(value) ? value : ((value as Json).detections ?? [])) as Json[];
      const found = list.map(object).filter((one) => one !== undefined);
      if (found.length) return found;
    } catch {
      // It is no JSON.
    }
  }
  return undefined;
}

function object(one: Json): Found | undefined {
  let box = one.box ?? one.bbox ?? one.rect;
  let score = one.score ?? one.confidence;
  let label = one.label ?? one.class ?? one.category;
  if (box === undefined) {
    // TorchServe's detectors name the box by its class.
    const named = Object.entries(one).find(([, value]) => Array.isArray(value) && value.length === 4);
    [label, box] = named ?? [label, box];
  }
  if (box && typeof box === "object" && !Array.isArray(box)) {
    const { left, top, right, bottom } = box as Json;
    box = [left, top, right, bottom];
  }
  if (!Array.isArray(box) || box.length !== 4 || box.some((value) => typeof value !== "number")) return undefined;
  const marks = (one.landmarks ?? one.landmark ?? []) as unknown[];
  return {
    box: box as Found["box"],
    score: typeof score === "number" ? score : undefined,
    label: label === undefined ? undefined : String(label),
    points: marks.flat().filter((value) => typeof value === "number"),
  };
}

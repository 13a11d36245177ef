// Places the steps of an ensemble in layers, by the longest way from the request.

import type { Details, Step } from "./api";

export interface Box {
  id: string;
  kind: "request" | "step" | "response";
  step?: Step;
  layer: number;
  row: number;
}

export interface Edge {
  from: string;
  to: string;
  tensors: string[];
}

export interface Layout {
  boxes: Box[];
  edges: Edge[];
  layers: number;
  rows: number;
}

export function layout(about: Details): Layout {
  const steps = about.steps ?? [];
  const makers = new Map<string, string>((about.inputs ?? []).map((input) => [input.name, "in"]));
  steps.forEach((step, n) => Object.values(step.outputs).forEach((tensor) => makers.set(tensor, `s${n}`)));
  const edges = new Map<string, Edge>();
  const join = (tensor: string, to: string) => {
    const from = makers.get(tensor);
    if (from === undefined || from === to) return;
    const edge = edges.get(`${from}>${to}`) ?? { from, to, tensors: [] };
    if (!edge.tensors.includes(tensor)) edge.tensors.push(tensor);
    edges.set(`${from}>${to}`, edge);
  };
  steps.forEach((step, n) => Object.values(step.inputs).forEach((tensor) => join(tensor, `s${n}`)));
  (about.outputs ?? []).forEach((output) => join(output.name, "out"));

  const depth = new Map<string, number>([["in", 0]]);
  // There are no circles: as many rounds as steps reach the last one.
  for (let round = 0; round <= steps.length; round += 1) {
    for (const { from, to } of edges.values()) {
      depth.set(to, Math.max(depth.get(to) ?? 1, (depth.get(from) ?? 0) + 1));
    }
  }
  const last = Math.max(1, ...steps.map((_, n) => depth.get(`s${n}`) ?? 1)) + 1;
  const rows = new Map<number, number>();
  const place = (id: string, kind: Box["kind"], layer: number, step?: Step): Box => {
    const row = rows.get(layer) ?? 0;
    rows.set(layer, row + 1);
    return { id, kind, step, layer, row };
  };
  const boxes = [
    place("in", "request", 0),
    ...steps.map((step, n) => place(`s${n}`, "step", depth.get(`s${n}`) ?? 1, step)),
    place("out", "response", last),
  ];
  return { boxes, edges: [...edges.values()], layers: last + 1, rows: Math.max(...rows.values()) };
}

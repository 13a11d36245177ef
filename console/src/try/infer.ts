// One request over KServe v2, with pictures as bytes behind the JSON.

import { type Tensor, headers, refusal } from "../api";
import { type Element, decode, shapeOf } from "./tensors";

/** What an input is: text of JSON, or bytes with their shape. */
export type Value = { json: string } | { bytes: Uint8Array; shape: number[] };

export interface Output {
  name: string;
  datatype: string;
  shape: number[];
  elements: Element[];
}

export interface Answer {
  outputs: Output[];
  version: string;
  ms: number;
  parameters?: Record<string, unknown>;
}

/** The classes that an output with labels is asked for. */
const CLASSES = 5;

/** The header of an input in JSON, and its bytes. Numbers stay as they were typed: to parse them would round large ones. */
export function input(tensor: Tensor, value: Value): { header: string; bytes?: Uint8Array } {
  const head = { name: tensor.name, datatype: tensor.datatype };
  if ("bytes" in value) {
    const parameters = { binary_data_size: value.bytes.length };
    return { header: JSON.stringify({ ...head, shape: value.shape, parameters }), bytes: value.bytes };
  }
  try {
    const parsed: unknown = JSON.parse(value.json);
    const start = JSON.stringify({ ...head, shape: shapeOf(parsed) });
    const data = Array.isArray(parsed) ? value.json : `[${value.json}]`;
    return { header: `${start.slice(0, -1)},"data":${data}}` };
  } catch (error) {
    throw new Error(`${tensor.name}: ${(error as Error).message}`);
  }
}

export async function infer(
  model: string,
  inputs: [Tensor, Value][],
  outputs: Tensor[],
  parameters: object,
): Promise<Answer> {
  const parts = inputs.map(([tensor, value]) => input(tensor, value));
  const wanted = outputs.map((output) => ({
    name: output.name,
    parameters: output.labels ? { classification: CLASSES, binary_data: true } : { binary_data: true },
  }));
  const rest = JSON.stringify({ outputs: wanted, parameters });
  const header = new TextEncoder().encode(`{"inputs":[${parts.map((part) => part.header).join()}],${rest.slice(1)}`);
  const body = new Blob([header, ...parts.flatMap((part) => (part.bytes ? [part.bytes as Uint8Array<ArrayBuffer>] : []))]);
  const began = performance.now();
  const response = await fetch(`/v2/models/${encodeURIComponent(model)}/infer`, {
    method: "POST",
    headers: headers({
      "Content-Type": "application/octet-stream",
      "Inference-Header-Content-Length": String(header.length),
    }),
    body,
  });
  if (!response.ok) throw await refusal(response);
  const content = new Uint8Array(await response.arrayBuffer());
  return parsed(response.headers.get("inference-header-content-length"), content, performance.now() - began);
}

interface Told {
  model_version?: string;
  parameters?: Record<string, unknown>;
  outputs: {
    name: string;
    datatype: string;
    shape: number[];
    data?: unknown[];
    parameters?: { binary_data_size?: number };
  }[];
}

function parsed(length: string | null, content: Uint8Array, ms: number): Answer {
  const end = length === null ? content.length : Number(length);
  const told = JSON.parse(new TextDecoder().decode(content.subarray(0, end))) as Told;
  let at = end;
  const outputs = told.outputs.map(({ name, datatype, shape, data, parameters }) => {
    const size = parameters?.binary_data_size;
    if (size === undefined) {
      const encoder = new TextEncoder();
      const elements = (data ?? []).map((one) => (typeof one === "string" ? encoder.encode(one) : (one as Element)));
      return { name, datatype, shape, elements };
    }
    const bytes = content.subarray(at, at + size);
    at += size;
    return { name, datatype, shape, elements: decode(datatype, bytes) };
  });
  return { outputs, version: told.model_version ?? "", ms, parameters: told.parameters };
}

// What the server is asked, and what it answers.

export interface Version {
  version: number;
  state: "READY" | "UNAVAILABLE" | "LOADING" | "UNLOADING" | "UNKNOWN";
  reason: string;
}

export interface Model {
  name: string;
  platform?: string;
  instances?: number;
  max_batch_size?: number;
  pending?: number;
  infers: boolean;
  controls: boolean;
  versions: Version[];
}

export interface State {
  server: {
    name: string;
    version: string;
    mode: "none" | "poll" | "explicit";
    ready: boolean;
    live: boolean;
    lazy: boolean;
    acts: boolean;
    uptime: number;
    interval: number;
    processors: number;
    gpus: { id: number; name: string }[];
  };
  now?: { memory_total: number; gpu_memory_total: number[] };
  next: number;
  models: Model[];
}

/** Succeeded, failed, p50 and p99 of requests in microseconds, pending. */
export type Row = [number, number, number, number, number];

export interface Sample {
  t: number;
  s: number;
  busy: number;
  used: number;
  resident: number;
  gpus: [number, number, number][];
  models: Record<string, Row>;
}

export type Percentiles = [number, number, number];

/** What a model did; only `t` and `s` if it did nothing. */
export interface ModelSample {
  t: number;
  s: number;
  succeeded?: number;
  cached?: number;
  inferences?: number;
  executions?: number;
  pending?: number;
  failed?: [number, number, number, number];
  request?: Percentiles;
  queue?: Percentiles;
  compute?: Percentiles;
  spent?: [number, number, number, number];
  batches?: [number, number][];
}

export interface Tensor {
  name: string;
  datatype: string;
  shape: number[];
  batched: boolean;
  optional: boolean;
  labels: boolean;
}

export interface Finding {
  error: boolean;
  line: number;
  column: number;
  field: string;
  message: string;
  hint?: string;
}

export interface Step {
  model: string;
  inputs: Record<string, string>;
  outputs: Record<string, string>;
  /** The tensors for whose rows it runs, one by one. */
  each: string[];
  requests: number;
  spent: [number, number, number, number];
}

export interface Details {
  name: string;
  written?: { path: string; text?: string; findings: Finding[] };
  version?: number;
  config?: unknown;
  decoupled?: boolean;
  sequences?: boolean;
  inputs?: Tensor[];
  outputs?: Tensor[];
  steps?: Step[];
}

/** An answer that is not the one that was asked for. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const TOKEN = "hippocamp.token";

export const token = () => sessionStorage.getItem(TOKEN) ?? "";
export const setToken = (value: string) => sessionStorage.setItem(TOKEN, value);

export function headers(more: Record<string, string> = {}): Record<string, string> {
  const own = token();
  return own ? { ...more, Authorization: `Bearer ${own}` } : more;
}

export async function ask<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(path, { ...init, headers: headers(init.headers as Record<string, string>) });
  if (!response.ok) throw await refusal(response);
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

export async function refusal(response: Response): Promise<Refused> {
  const text = await response.text();
  let message = text.trim();
  try {
    message = (JSON.parse(text) as { error?: string }).error ?? message;
  } catch {
    // It is no JSON.
  }
  return new Refused(response.status, message || `${response.status} ${response.statusText}`);
}

export const state = () => ask<State>("/console/state");
export const history = (since: number) =>
  ask<{ next: number; samples: Sample[] }>(`/console/history?since=${since}`);
export const modelHistory = (model: string, since: number) =>
  ask<{ next: number; samples: ModelSample[] }>(
    `/console/history?model=${encodeURIComponent(model)}&since=${since}`,
  );
export const details = (model: string) => ask<Details>(`/console/model?model=${encodeURIComponent(model)}`);
export const control = (model: string, action: "load" | "unload") =>
  ask<unknown>(`/v2/repository/models/${encodeURIComponent(model)}/${action}`, { method: "POST", body: "{}" });

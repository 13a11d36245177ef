// What a model did in the last quarter of an hour.

import { useMemo } from "preact/hooks";
import type { ModelSample } from "./api";
import { number, time } from "./format";
import { useModelSamples } from "./live";
import { Plot } from "./plot";

const REASONS = ["rejected", "cancelled", "failed in the backend", "other"];

export function Traffic({ name }: { name: string }) {
  const samples = useModelSamples(name);
  const times = useMemo(() => samples.map((sample) => sample.t), [samples]);
  const of = (read: (sample: ModelSample) => number | undefined) =>
    useMemo(() => samples.map((sample) => read(sample) ?? 0), [samples]);
  const gaps = (read: (sample: ModelSample) => number | undefined) =>
    useMemo(() => samples.map((sample) => (sample.succeeded ? (read(sample) ?? null) : null)), [samples]);

  const rate = of((one) => (one.succeeded ?? 0) / one.s);
  const cached = of((one) => (one.cached ?? 0) / one.s);
  const failures = REASONS.map((_, n) => of((one) => (one.failed?.[n] ?? 0) / one.s));
  const percentiles = (["request", "queue", "compute"] as const).map((what) =>
    [0, 1, 2].map((n) => gaps((one) => one[what]?.[n])),
  );
  const batch = gaps((one) => (one.executions ? one.inferences! / one.executions : undefined));
  const pending = of((one) => one.pending);
  const latency = (title: string, values: (number | null)[][]) => (
    <Plot
      title={title}
      times={times}
      value={time}
      lines={[
        { label: "p50", tone: "b", values: values[0]! },
        { label: "p90", tone: "c", values: values[1]!, dashed: true },
        { label: "p99", tone: "d", values: values[2]! },
      ]}
    />
  );
  const reasons = REASONS.map((label, n) => ({ label, tone: "abcd"[n]!, values: failures[n]! })).filter((line) =>
    line.values.some((value) => value > 0),
  );
  const usesCache = cached.some((value) => value > 0);
  if (!samples.length) return <p class="muted">The first figures come within seconds.</p>;
  return (
    <div class="plots">
      <Plot
        title="Requests"
        note="a second"
        times={times}
        value={number}
        lines={[
          { label: "answered", tone: "a", values: rate, filled: true },
          ...(usesCache ? [{ label: "by the cache", tone: "c", values: cached }] : []),
        ]}
      />
      <Plot
        title="Failures"
        note="a second"
        times={times}
        value={number}
        lines={reasons.length ? reasons : [{ label: "none", tone: "muted", values: failures[0]! }]}
      />
      <Plot
        title="Queue"
        note="requests waiting"
        times={times}
        value={number}
        lines={[{ label: "waiting", tone: "c", values: pending, filled: true }]}
      />
      {latency("Latency", percentiles[0]!)}
      {latency("Waiting for an instance", percentiles[1]!)}
      {latency("Computing", percentiles[2]!)}
      <Plot
        title="Batch size"
        note="mean of the executions"
        times={times}
        value={number}
        lines={[{ label: "mean", tone: "b", values: batch }]}
      />
      <Batches samples={samples} />
    </div>
  );
}

function Batches({ samples }: { samples: ModelSample[] }) {
  const counts = new Map<number, number>();
  for (const sample of samples) {
    for (const [size, count] of sample.batches ?? []) counts.set(size, (counts.get(size) ?? 0) + count);
  }
  const rows = [...counts].sort(([a], [b]) => a - b);
  const total = rows.reduce((all, [, count]) => all + count, 0);
  const most = Math.max(1, ...rows.map(([, count]) => count));
  return (
    <figure class="plot">
      <figcaption><b>Executions by batch size</b> <span class="muted">{number(total)} in 15 min</span></figcaption>
      <div class="bars">
        {rows.map(([size, count]) => (
          <div class="meter" key={size}>
            <span class="n">{size}</span>
            <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
              <rect class="b" width={Math.max(0.6, (count / most) * 100)} height="10" rx="1" />
            </svg>
            <span class="n muted">{number(count)}</span>
          </div>
        ))}
        {!rows.length && <p class="muted">Nothing was executed.</p>}
      </div>
    </figure>
  );
}

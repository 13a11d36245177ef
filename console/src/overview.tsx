// All models, and the machine.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Model, Sample } from "./api";
import { bytes, number, share, time } from "./format";
import type { Live } from "./live";
import { Spark, thinned } from "./spark";
import { Badge, reasonOf, worst } from "./status";

export function Overview({ live }: { live: Live }) {
  const { samples } = live;
  const state = live.state!;
  const rates = samples.map((sample) => sum(sample, 0) / sample.s);
  const failures = samples.map((sample) => sum(sample, 1) / sample.s);
  const last = samples.at(-1);
  return (
    <>
      <section class="cards" aria-label="The server in the last 15 minutes">
        <Card title="Requests" value={number(rates.at(-1) ?? 0)} unit="/s" values={rates} tone="a" />
        <Card
          title="Failures"
          value={number(failures.at(-1) ?? 0)}
          unit="/s"
          note={`${number(samples.reduce((all, sample) => all + sum(sample, 1), 0))} in 15 min`}
          values={failures}
          tone="bad"
        />
        <Card
          title="Processors"
          value={share(last?.busy ?? 0)}
          note={`of ${state.server.processors}`}
          values={samples.map((sample) => sample.busy)}
          max={1}
          tone="b"
        />
        <Card
          title="Memory"
          value={bytes(last?.resident ?? 0)}
          note={`host ${Math.round(((last?.used ?? 0) / (state.now?.memory_total || 1)) * 100)} % of ${bytes(state.now?.memory_total ?? 0)}`}
          values={samples.map((sample) => sample.resident)}
          tone="c"
        />
        {state.server.gpus.map((gpu, index) => (
          <Gpu key={gpu.id} gpu={gpu} samples={samples} total={state.now?.gpu_memory_total[index] ?? 0} />
        ))}
      </section>
      <Models models={state.models} samples={samples} />
    </>
  );
}

const sum = (sample: Sample, column: number) =>
  Object.values(sample.models).reduce((all, row) => all + row[column]!, 0);

function Card(props: {
  title: string;
  value: string;
  unit?: string;
  note?: string;
  values: number[];
  max?: number;
  tone: string;
}) {
  return (
    <div class="card">
      <div class="label">{props.title}</div>
      <div class="figure">
        {props.value}
        {props.unit && <small>{props.unit}</small>}
        {props.note && <span class="muted">{props.note}</span>}
      </div>
      <Spark values={thinned(props.values, 100)} width={240} height={36} tone={props.tone} max={props.max} />
    </div>
  );
}

function Gpu(props: { gpu: { id: number; name: string }; samples: Sample[]; total: number }) {
  const of = (sample: Sample) => sample.gpus.find(([id]) => id === props.gpu.id);
  const last = props.samples.at(-1);
  const [, busy, used] = (last && of(last)) ?? [0, -1, 0];
  return (
    <Card
      title={`GPU ${props.gpu.id} · ${props.gpu.name}`}
      value={busy < 0 ? bytes(used) : share(busy)}
      note={`${bytes(used)} of ${bytes(props.total)}`}
      values={props.samples.map((sample) => Math.max(0, of(sample)?.[1] ?? 0))}
      max={1}
      tone="d"
    />
  );
}

type Order = "name" | "rate" | "p99" | "pending" | "failed";

interface Entry {
  model: Model;
  state: string;
  reason: string;
  rates: number[];
  rate: number;
  p50: number;
  p99: number;
  pending: number;
  failed: number;
}

function entry(model: Model, samples: Sample[]): Entry {
  const rows = samples.map((sample) => sample.models[model.name]);
  const rates = rows.map((row, n) => (row ? row[0] / samples[n]!.s : 0));
  const seen = rows.slice(-20).filter((row) => row !== undefined && row[0] > 0) as number[][];
  return {
    model,
    state: worst(model),
    reason: reasonOf(model),
    rates,
    rate: rates.at(-1) ?? 0,
    p50: seen.at(-1)?.[2] ?? 0,
    p99: Math.max(0, ...seen.map((row) => row[3]!)),
    pending: model.pending ?? 0,
    failed: rows.reduce((all, row) => all + (row?.[1] ?? 0), 0),
  };
}

/** What fails first, then what serves, then what is not loaded. */
const RANK: Record<string, number> = { failed: 0, loading: 1, ready: 2, unloaded: 3 };

function Models({ models, samples }: { models: Model[]; samples: Sample[] }) {
  const [filter, setFilter] = useState("");
  const [order, setOrder] = useState<Order>("name");
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      if (event.key === "/" && !typing) {
        event.preventDefault();
        field.current?.focus();
      }
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);

  const entries = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    const shown = models.filter((model) => model.name.toLowerCase().includes(wanted));
    const all = shown.map((model) => entry(model, samples));
    const compare = (a: Entry, b: Entry) =>
      order === "name"
        ? RANK[a.state]! - RANK[b.state]! || a.model.name.localeCompare(b.model.name)
        : b[order] - a[order] || a.model.name.localeCompare(b.model.name);
    return all.sort(compare);
  }, [models, samples, filter, order]);

  const down = (event: KeyboardEvent) => {
    const rows = [...document.querySelectorAll<HTMLElement>(".models a.name")];
    const at = rows.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    (rows[at + step] ?? (step < 0 ? field.current : undefined))?.focus();
  };

  const Head = (props: { by: Order; children: string; class?: string }) => (
    <th class={props.class} aria-sort={order === props.by ? (props.by === "name" ? "ascending" : "descending") : "none"}>
      <button class="head" onClick={() => setOrder(props.by)}>{props.children}</button>
    </th>
  );
  const failing = entries.filter((one) => one.state === "failed").length;
  return (
    <section onKeyDown={down}>
      <div class="bar">
        <h1>
          Models <span class="count">{models.length}</span>
          {failing > 0 && <span class="badge bad">{failing} failing</span>}
        </h1>
        <input
          ref={field}
          type="search"
          placeholder="Filter   /"
          aria-label="Filter models by name"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      </div>
      <table class="models">
        <thead>
          <tr>
            <Head by="name">Model</Head>
            <th class="wide">Versions</th>
            <th class="wide">Platform</th>
            <Head by="rate" class="n">Requests/s</Head>
            <th class="wide" aria-label="Requests in the last 15 minutes" />
            <th class="n">p50</th>
            <Head by="p99" class="n">p99</Head>
            <Head by="pending" class="n">Waiting</Head>
            <Head by="failed" class="n">Failed</Head>
          </tr>
        </thead>
        <tbody>
          {entries.map((one) => (
            <Row key={one.model.name} one={one} />
          ))}
        </tbody>
      </table>
      {entries.length === 0 && (
        <p class="muted empty">{models.length ? "No model has that in its name." : "There are no models in the repositories."}</p>
      )}
    </section>
  );
}

function Row({ one }: { one: Entry }) {
  const { model } = one;
  const versions = model.versions.filter((version) => version.state === "READY");
  return (
    <tr class={one.state}>
      <td class="first">
        <a class="name" href={`#/model/${encodeURIComponent(model.name)}`}>{model.name}</a>{" "}
        {one.state !== "ready" && <Badge state={model.versions[0]?.version === 0 ? "faulty" : one.state} />}
        {one.reason && <div class="reason" title={one.reason}>{one.reason}</div>}
      </td>
      <td class="wide muted">{versions.map((version) => version.version).join(", ")}</td>
      <td class="wide muted">{model.platform}</td>
      <td class="n strong">{one.rate ? number(one.rate) : <span class="muted">–</span>}</td>
      <td class="wide trend">{one.rates.some((rate) => rate > 0) && <Spark values={thinned(one.rates, 60)} tone="a" />}</td>
      <td class="n">{time(one.p50)}</td>
      <td class="n">{time(one.p99)}</td>
      <td class="n">{one.pending || <span class="muted">–</span>}</td>
      <td class={`n${one.failed ? " bad" : ""}`}>{one.failed ? number(one.failed) : <span class="muted">–</span>}</td>
    </tr>
  );
}

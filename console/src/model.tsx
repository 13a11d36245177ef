// One model: its traffic, a form to try it, its graph and its config.

import { useEffect, useState } from "preact/hooks";
import { type Details, control, details } from "./api";
import { Config } from "./config";
import { Graph } from "./graph";
import type { Live } from "./live";
import { Badge, reasonOf, worst } from "./status";
import { Traffic } from "./traffic";
import { Try } from "./try/form";

export function ModelPage(props: { live: Live; name: string; tab?: string; refresh: () => Promise<void> }) {
  const { name, live, refresh } = props;
  const model = live.state!.models.find((one) => one.name === name);
  const versions = JSON.stringify(model?.versions);
  // A load may bring another config, and leave all versions as they were.
  const [loads, setLoads] = useState(0);
  const [about, setAbout] = useState<Details>();
  const [error, setError] = useState("");

  useEffect(() => {
    let gone = false;
    details(name).then(
      (found) => !gone && (setAbout(found), setError("")),
      (reason: Error) => !gone && setError(reason.message),
    );
    return () => void (gone = true);
  }, [name, versions, loads]);
  // The times of the steps are of the last minute.
  useEffect(() => {
    if (!about?.steps) return;
    const timer = setInterval(() => !document.hidden && details(name).then(setAbout, () => {}), 6000);
    return () => clearInterval(timer);
  }, [name, !!about?.steps]);

  if (!model) return <p class="banner" role="alert">There is no model “{name}” here. <a href="#/">All models</a></p>;
  const state = worst(model);
  const reason = reasonOf(model);
  const tabs: [string, string][] = [
    ["traffic", "Traffic"],
    ...(about?.inputs ? ([["try", "Try it"]] as [string, string][]) : []),
    ...(about?.steps ? ([["graph", "Graph"]] as [string, string][]) : []),
    ["config", "Config"],
  ];
  const wanted = props.tab ?? (state === "failed" ? "config" : "traffic");
  const tab = tabs.some(([id]) => id === wanted) ? wanted : "traffic";
  return (
    <>
      <div class="bar">
        <h1>
          <a class="back" href="#/" aria-label="All models">Models</a> {name} <Badge state={model.versions[0]?.version === 0 ? "faulty" : state} />
        </h1>
        {model.controls && <Controls name={name} state={state} refresh={() => (setLoads((count) => count + 1), refresh())} />}
      </div>
      <dl class="facts">
        {model.platform && <Fact name="platform" value={model.platform} />}
        {model.versions.map((version) =>
          version.version > 0 && (
            <Fact key={version.version} name={`version ${version.version}`} value={version.state.toLowerCase()} />
          ),
        )}
        {!!model.instances && <Fact name="instances" value={String(model.instances)} />}
        {!!model.max_batch_size && <Fact name="batches up to" value={String(model.max_batch_size)} />}
        {about?.decoupled && <Fact name="answers" value="any number (decoupled)" />}
        {about?.sequences && <Fact name="requests" value="in sequences" />}
      </dl>
      {reason && <pre class={`banner ${state === "failed" ? "bad" : ""}`} role="status">{reason}</pre>}
      {error && <p class="banner bad" role="alert">{error}</p>}
      <Tabs tabs={tabs} tab={tab} name={name} />
      <div role="tabpanel" id="panel" aria-label={tab}>
        {tab === "traffic" && <Traffic name={name} />}
        {tab === "try" && about && <Try key={JSON.stringify(about.inputs)} about={about} allowed={model.infers} acts={live.state!.server.acts} />}
        {tab === "graph" && about?.steps && <Graph about={about} />}
        {tab === "config" && about && <Config about={about} reason={state === "failed" ? reason : ""} />}
      </div>
    </>
  );
}

const Fact = (props: { name: string; value: string }) => (
  <div><dt>{props.name}</dt> <dd>{props.value}</dd></div>
);

function Tabs(props: { tabs: [string, string][]; tab: string; name: string }) {
  const { tabs, tab, name } = props;
  const address = (id: string) => `#/model/${encodeURIComponent(name)}/${id}`;
  const pressed = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const at = tabs.findIndex(([id]) => id === tab);
    const next = tabs[(at + step + tabs.length) % tabs.length]!;
    location.hash = address(next[0]).slice(1);
    requestAnimationFrame(() => document.getElementById(`tab-${next[0]}`)?.focus());
  };
  return (
    <nav class="tabs" role="tablist" onKeyDown={pressed}>
      {tabs.map(([id, text]) => (
        <a
          key={id}
          id={`tab-${id}`}
          role="tab"
          aria-selected={id === tab}
          aria-controls="panel"
          tabIndex={id === tab ? 0 : -1}
          href={address(id)}
        >
          {text}
        </a>
      ))}
    </nav>
  );
}

function Controls(props: { name: string; state: string; refresh: () => Promise<void> }) {
  const { name, state, refresh } = props;
  const [busy, setBusy] = useState("");
  const [error, setError] = useState("");
  const [sure, setSure] = useState(false);
  useEffect(() => {
    if (!sure) return;
    const timer = setTimeout(() => setSure(false), 4000);
    return () => clearTimeout(timer);
  }, [sure]);
  const go = async (action: "load" | "unload") => {
    setSure(false);
    setBusy(action);
    setError("");
    try {
      await control(name, action);
    } catch (reason) {
      setError((reason as Error).message);
    }
    setBusy("");
    await refresh();
  };
  return (
    <div class="controls">
      <button disabled={!!busy} onClick={() => go("load")}>
        {busy === "load" ? "Loading …" : state === "ready" ? "Load again" : "Load"}
      </button>
      {state === "ready" && (
        <button class="danger" disabled={!!busy} onClick={() => (sure ? go("unload") : setSure(true))}>
          {busy === "unload" ? "Unloading …" : sure ? "Yes, unload" : "Unload"}
        </button>
      )}
      {error && <pre class="banner bad" role="alert">{error}</pre>}
    </div>
  );
}

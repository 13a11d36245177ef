// Tries a model: an editor for each input, and what came back.

import { useEffect, useState } from "preact/hooks";
import type { Details, Tensor } from "../api";
import { type Answer, type Value, infer } from "./infer";
import { type Form, type Scale, SCALES, form, toTensor } from "./picture";
import { Results } from "./results";
import { count, example } from "./tensors";

interface Draft {
  json: string;
  file?: File;
  scale: Scale;
}

const shown = (tensor: Tensor) => (tensor.batched ? [1, ...tensor.shape.slice(1)] : tensor.shape).map((size) => (size < 0 ? 1 : size));

/** The elements that are filled in beforehand, and by a button. */
const SHORT = 64;
const LONG = 200_000;

const SEQUENCE = '{ "sequence_id": 1, "sequence_start": true, "sequence_end": true }';

export function Try(props: { about: Details; allowed: boolean; acts: boolean }) {
  const { about } = props;
  const inputs = about.inputs ?? [];
  const blank = (tensor: Tensor): Draft => ({
    json: count(shown(tensor)) <= SHORT ? example(tensor.datatype, shown(tensor)) : "",
    scale: "0 to 1",
  });
  const [drafts, setDrafts] = useState<Draft[]>(() => inputs.map(blank));
  const [parameters, setParameters] = useState(about.sequences ? SEQUENCE : "");
  const [answer, setAnswer] = useState<Answer>();
  const [picture, setPicture] = useState<{ file: File; sent?: [number, number] }>();
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const change = (n: number, part: Partial<Draft>) =>
    setDrafts((all) => all.map((draft, at) => (at === n ? { ...draft, ...part } : draft)));

  const send = async (event?: Event) => {
    event?.preventDefault();
    if (busy) return;
    setBusy(true);
    setError("");
    try {
      const values: [Tensor, Value][] = [];
      let seen: typeof picture;
      for (const [n, tensor] of inputs.entries()) {
        const draft = drafts[n]!;
        const takes = form(tensor);
        if (draft.file && takes) {
          const { value, width, height } = await toTensor(tensor, takes, draft.file, draft.scale);
          seen = { file: draft.file, sent: width && height ? [width, height] : undefined };
          values.push([tensor, value]);
        } else if (draft.json.trim()) {
          values.push([tensor, { json: draft.json }]);
        } else if (!tensor.optional) {
          throw new Error(`${tensor.name} needs a value`);
        }
      }
      const more = parameters.trim() ? (JSON.parse(parameters) as object) : {};
      const came = await infer(about.name, values, about.outputs ?? [], more);
      setPicture(seen);
      setAnswer(came);
    } catch (reason) {
      setAnswer(undefined);
      setError((reason as Error).message);
    }
    setBusy(false);
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void send(event);
  };

  if (!props.allowed) {
    return (
      <p class="banner">
        {props.acts
          ? "Your token has no role 'infer' for this model."
          : "The console only shows here. It can try, load and unload models on this machine's own address, or where --allow-console=true or --console-port says so and HTTP is as open."}
      </p>
    );
  }
  return (
    <div class="try">
      <form onSubmit={send} onKeyDown={pressed}>
        <h2>Request</h2>
        {about.decoupled && (
          <p class="muted">The model is decoupled: over HTTP it answers where it gives one response to each request.</p>
        )}
        {inputs.map((tensor, n) => (
          <Input key={tensor.name} tensor={tensor} draft={drafts[n]!} change={(part) => change(n, part)} />
        ))}
        <details open={!!about.sequences}>
          <summary>Parameters</summary>
          <textarea rows={2} spellcheck={false} aria-label="Parameters as JSON" placeholder='{ "priority": 1 }' value={parameters} onInput={(event) => setParameters(event.currentTarget.value)} />
        </details>
        <div class="bar small">
          <button class="primary" disabled={busy}>{busy ? "Waiting …" : "Send"}</button>
          <span class="muted wide">Ctrl + Enter</span>
        </div>
      </form>
      <section class="answer" aria-live="polite">
        <h2>Answer</h2>
        {error && <pre class="banner bad" role="alert">{error}</pre>}
        {answer && <Results answer={answer} picture={picture} />}
        {!answer && !error && <p class="muted">It appears here.</p>}
      </section>
    </div>
  );
}

function Input(props: { tensor: Tensor; draft: Draft; change: (part: Partial<Draft>) => void }) {
  const { tensor, draft, change } = props;
  const takes = form(tensor);
  const id = `input-${tensor.name}`;
  return (
    <fieldset>
      <legend>
        <label for={id}>{tensor.name}</label>{" "}
        <code>{tensor.datatype} [{tensor.shape.join(", ")}]</code>
        {tensor.optional && <span class="muted"> optional</span>}
      </legend>
      {takes && <Picture takes={takes} draft={draft} change={change} />}
      {!draft.file && tensor.datatype !== "BYTES" && count(shown(tensor)) > 1 && count(shown(tensor)) <= LONG && (
        <div class="fill">
          {["zeros", "random"].map((what) => (
            <button key={what} type="button" class="quiet" onClick={() => change({ json: example(tensor.datatype, shown(tensor), what === "random") })}>
              {what}
            </button>
          ))}
        </div>
      )}
      {!draft.file && (
        <textarea
          id={id}
          rows={draft.json.length > 120 ? 5 : 2}
          spellcheck={false}
          placeholder={takes ? "or type JSON" : "JSON, lists in lists"}
          value={draft.json}
          onInput={(event) => change({ json: event.currentTarget.value })}
        />
      )}
    </fieldset>
  );
}

function Picture(props: { takes: Form; draft: Draft; change: (part: Partial<Draft>) => void }) {
  const { takes, draft, change } = props;
  const [over, setOver] = useState(false);
  const [url, setUrl] = useState("");
  useEffect(() => {
    if (!draft.file) return setUrl("");
    const made = URL.createObjectURL(draft.file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [draft.file]);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const file = event.dataTransfer?.files[0];
    if (file) change({ file });
  };
  return (
    <div class="picture">
      <label
        class={`drop${over ? " over" : ""}`}
        onDragOver={(event) => (event.preventDefault(), setOver(true))}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        {url ? <img src={url} alt="The picture that is sent" /> : <span>Pick a picture, or drop it here</span>}
        <input
          type="file"
          accept="image/*"
          aria-label="Picture"
          onChange={(event) => change({ file: event.currentTarget.files?.[0] })}
        />
      </label>
      {draft.file && (
        <div class="bar small">
          <span class="muted path">{draft.file.name}</span>
          <button type="button" class="quiet" onClick={() => change({ file: undefined })}>Type JSON instead</button>
        </div>
      )}
      {draft.file && takes.kind === "pixels" && takes.scaled && (
        <label class="muted">
          Values{" "}
          <select value={draft.scale} onChange={(event) => change({ scale: event.currentTarget.value as Scale })}>
            {Object.keys(SCALES).map((scale) => <option key={scale}>{scale}</option>)}
          </select>
        </label>
      )}
    </div>
  );
}

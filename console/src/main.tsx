// The page: a head, and below it what the part behind # of the address names.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refused, setToken, token } from "./api";
import { duration } from "./format";
import { useLive } from "./live";
import { ModelPage } from "./model";
import { Overview } from "./overview";
import * as theme from "./theme";
import "uplot/dist/uPlot.min.css";
import "./console.css";

function usePath(): string {
  const [path, setPath] = useState(location.hash.slice(1));
  useEffect(() => {
    const changed = () => {
      setPath(location.hash.slice(1));
      window.scrollTo(0, 0);
    };
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return path;
}

function App() {
  const [restart, setRestart] = useState(0);
  const [live, refresh] = useLive(restart);
  const path = usePath();
  const { state, error } = live;
  const [, name, tab] = path.match(/^\/model\/([^/]+)(?:\/(\w+))?$/) ?? [];
  const model = name === undefined ? undefined : decoded(name);
  const refused = error instanceof Refused && [401, 403].includes(error.status) ? error : undefined;

  useEffect(() => {
    document.title = model ? `${model} – Hippocamp` : `${state?.server.name ?? "Hippocamp"} – console`;
  }, [model, state?.server.name]);

  return (
    <>
      <a class="skip" href="#main">Skip to content</a>
      <header class="top">
        <a class="brand" href="#/" aria-label="All models">
          <Mark /> <b>{state?.server.name ?? "hippocamp"}</b>
        </a>
        {state && (
          <span class="facts">
            <Status ready={state.server.ready} lost={!!error && !refused} />
            <span class="muted wide">
              {state.server.version} · {mode(state.server.mode)}
              {state.server.lazy && " · on demand"} · up {duration(state.server.uptime)}
            </span>
          </span>
        )}
        <span class="space" />
        <a class="quiet wide" href="/metrics">/metrics</a>
        {(refused || token()) && <TokenField refused={!!refused} done={() => setRestart((n) => n + 1)} />}
        <button class="quiet" onClick={theme.toggle} aria-label="Dark or light" title="Dark or light">◐</button>
      </header>
      <main id="main" tabIndex={-1}>
        {error && !refused && (
          <p class="banner bad" role="alert">
            The server does not answer: {error.message}. What you see is what it said last.
          </p>
        )}
        {refused && (
          <p class="banner" role="alert">
            {refused.message}. {refused.status === 401 && "Give a token with the role 'read', above."}
          </p>
        )}
        {state &&
          (model !== undefined ? (
            <ModelPage key={model} live={live} name={model} tab={tab} refresh={refresh} />
          ) : (
            <Overview live={live} />
          ))}
        {!state && !error && <p class="muted">Asking the server …</p>}
      </main>
    </>
  );
}

/** A name in the address, which anybody may have typed. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

const mode = (mode: string) =>
  ({ none: "models fixed at the start", poll: "follows the repository", explicit: "loads on request" })[mode];

function Status(props: { ready: boolean; lost: boolean }) {
  const [tone, text] = props.lost ? ["bad", "unreachable"] : props.ready ? ["good", "ready"] : ["warn", "not ready"];
  return <span class={`badge ${tone}`}>{text}</span>;
}

function TokenField(props: { refused: boolean; done: () => void }) {
  const [value, setValue] = useState(token());
  const send = (event: Event) => {
    event.preventDefault();
    setToken(value.trim());
    props.done();
  };
  return (
    <form class="token" onSubmit={send}>
      <input
        type="password"
        autocomplete="off"
        aria-label="Token"
        placeholder="token"
        value={value}
        onInput={(event) => setValue(event.currentTarget.value)}
      />
      <button>{props.refused ? "Sign in" : "Change"}</button>
    </form>
  );
}

const Mark = () => (
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" />
    <path d="M9 23V9m0 7c5-5 14-4 14 2v5" />
  </svg>
);

theme.restore();
render(<App />, document.getElementById("app")!);

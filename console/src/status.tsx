// The state of a model in a word.

import type { Model } from "./api";

/** "failed" if a version could not be loaded, else "loading", "ready" or "unloaded". */
export function worst(model: Model): string {
  const states = model.versions.map((version) => version.state);
  if (model.versions.some(failed)) return "failed";
  if (states.includes("LOADING") || states.includes("UNLOADING")) return "loading";
  return states.includes("READY") ? "ready" : "unloaded";
}

const failed = (version: Model["versions"][number]) =>
  version.state === "UNAVAILABLE" && !["", "unloaded"].includes(version.reason);

/** Why it is so, in the words of the server. */
export function reasonOf(model: Model): string {
  const told = model.versions.find(failed) ?? model.versions.find((version) => version.state !== "UNAVAILABLE");
  return told?.reason ?? "";
}

const WORDS: Record<string, [string, string]> = {
  failed: ["bad", "failed"],
  faulty: ["bad", "faulty config"],
  loading: ["warn", "loading"],
  ready: ["good", "ready"],
  unloaded: ["", "not loaded"],
};

export function Badge({ state }: { state: string }) {
  const [tone, text] = WORDS[state] ?? ["", state];
  return <span class={`badge ${tone}`}>{text}</span>;
}

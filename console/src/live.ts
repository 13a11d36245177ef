// Figures that are asked for again and again, while the page is seen.

import { useEffect, useRef, useState } from "preact/hooks";
import { Refused, type ModelSample, type Sample, type State, history, modelHistory, state } from "./api";

/** As many samples as the server keeps. */
const SAMPLES = 300;

export interface Live {
  state?: State;
  samples: Sample[];
  /** Why the last question was not answered. */
  error?: Refused | Error;
}

/** Calls `tick` now and then, but not while nobody looks. */
export function useTicks(tick: () => Promise<void>, seconds: number, restart: unknown) {
  useEffect(() => {
    let timer = 0;
    let gone = false;
    let running = false;
    const next = async () => {
      clearTimeout(timer);
      if (running || gone) return;
      running = true;
      if (!document.hidden) await tick();
      running = false;
      if (!gone && !document.hidden) timer = window.setTimeout(next, seconds * 1000);
    };
    const seen = () => void (!document.hidden && next());
    document.addEventListener("visibilitychange", seen);
    void next();
    return () => {
      gone = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [restart, seconds]);
}

/** Adds new samples behind those that are there, up to as many as the server keeps. */
function joined<T>(known: T[], fresh: T[]): T[] {
  return fresh.length ? [...known, ...fresh].slice(-SAMPLES) : known;
}

export function useLive(restart: number): [Live, () => Promise<void>] {
  const [live, setLive] = useState<Live>({ samples: [] });
  const next = useRef(0);
  const tick = async () => {
    try {
      const now = await state();
      // A server that was started anew counts from the beginning.
      if (now.next < next.current) next.current = 0;
      const from = next.current;
      const { samples, next: following } = await history(from);
      next.current = following;
      setLive((before) => ({ state: now, samples: joined(from ? before.samples : [], samples) }));
    } catch (error) {
      setLive((before) => ({ ...before, error: error as Error }));
    }
  };
  useTicks(tick, 3, restart);
  return [live, tick];
}

export function useModelSamples(model: string): ModelSample[] {
  const [samples, setSamples] = useState<ModelSample[]>([]);
  const next = useRef(0);
  useEffect(() => {
    next.current = 0;
    setSamples([]);
  }, [model]);
  const tick = async () => {
    try {
      const from = next.current;
      const answer = await modelHistory(model, from);
      if (answer.next < from) {
        next.current = 0;
        return;
      }
      next.current = answer.next;
      setSamples((before) => joined(from ? before : [], answer.samples));
    } catch {
      // The other questions tell.
    }
  };
  useTicks(tick, 3, model);
  return samples;
}
